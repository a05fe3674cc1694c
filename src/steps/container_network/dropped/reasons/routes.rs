//! Routes and routing rules that reject packets.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::{Measured, Reason};
use crate::facts::firewall::{Packet, Way};
use crate::facts::programs::locate;
use crate::host::SystemReader;

/// The deadline of a program: it takes milliseconds.
const WITHIN: Duration = Duration::from_secs(5);
/// The types of routes, and actions of rules, that let no packet pass (ip-route(8), ip-rule(8)).
const REJECTS: [&str; 3] = ["blackhole", "unreachable", "prohibit"];

/// The route or routing rule that rejects one of the packets, where the kernel says that there is no way.
pub(super) fn rejecting(measured: &Measured<'_>, packets: &[Packet]) -> Option<Reason> {
    let ip = locate(measured.host, "ip").ok()??;
    packets.iter().find_map(|packet| {
        let (from, to) = (packet.sources.first()?, packet.targets.first()?);
        if packet.way == Way::In || has_route(measured.host, &ip, packet, (*from, *to)) {
            return None;
        }
        rule(measured.host, &ip, packet, *from, *to).or_else(|| route(measured.host, &ip, *to))
    })
}

/// Whether the kernel finds a way. An answer that is not there counts as one.
fn has_route(host: &dyn SystemReader, ip: &Path, packet: &Packet, (from, to): (IpAddr, IpAddr)) -> bool {
    let (from, to) = (from.to_string(), to.to_string());
    let mut args = vec!["route", "get", &to, "from", &from];
    if let (Way::Through, Some(input)) = (packet.way, packet.inputs.first()) {
        args.extend(["iif", input]);
    }
    host.run(ip, &args, WITHIN).map_or(true, |ran| ran.code == 0)
}

/// The most exact route of a rejecting type that holds an address.
fn route(host: &dyn SystemReader, ip: &Path, to: IpAddr) -> Option<Reason> {
    let family = if to.is_ipv6() { "-6" } else { "-4" };
    let ran = host.run(ip, &[family, "route", "show", "table", "all"], WITHIN).ok()?;
    let of = |line: &str| -> Option<(u8, String)> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (kind, net) = (words.first()?, words.get(1)?);
        let bits = REJECTS.contains(kind).then(|| holds(net, to)).flatten()?;
        let after = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            Some(format!(" {name} {}", words.get(at + 1)?))
        };
        let options: String = ["table", "metric"].into_iter().filter_map(after).collect();
        Some((bits, format!("{kind} {net}{options}")))
    };
    let (_, route) = ran.stdout.lines().filter_map(of).max()?;
    let what = format!("the route `{route}` rejects its packets");
    Some(Reason::new(what, format!("ip {family} route del {route}")).with("route", route))
}

/// The first routing rule of a rejecting action that an address meets.
fn rule(host: &dyn SystemReader, ip: &Path, packet: &Packet, from: IpAddr, to: IpAddr) -> Option<Reason> {
    let family = if to.is_ipv6() { "-6" } else { "-4" };
    let ran = host.run(ip, &[family, "rule", "show"], WITHIN).ok()?;
    let of = |line: &str| -> Option<(String, String)> {
        let (priority, rule) = line.split_once(':')?;
        let words: Vec<&str> = rule.split_whitespace().collect();
        let value = |name: &str| {
            words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1)).copied()
        };
        let meets = words.iter().any(|word| REJECTS.contains(word))
            && value("from").is_none_or(|net| net == "all" || holds(net, from).is_some())
            && value("to").is_none_or(|net| holds(net, to).is_some())
            && value("iif").is_none_or(|name| packet.inputs.iter().any(|input| input == name))
            && value("fwmark").is_none();
        meets.then(|| (priority.to_owned(), words.join(" ")))
    };
    let (priority, rule) = ran.stdout.lines().find_map(of)?;
    let what = format!("the routing rule `{rule}` rejects its packets");
    Some(Reason::new(what, format!("ip {family} rule del pref {priority}")).with("routing_rule", rule))
}

/// The prefix length of a network (`default`, an address, or one with a length) that holds an address.
fn holds(net: &str, address: IpAddr) -> Option<u8> {
    if net == "default" {
        return Some(0);
    }
    let net: ipnet::IpNet = net.parse().or_else(|_| net.parse::<IpAddr>().map(Into::into)).ok()?;
    net.contains(&address).then(|| net.prefix_len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_exact_network_has_the_longest_prefix() {
        let address = "10.77.0.1".parse().unwrap();
        assert_eq!(holds("default", address), Some(0));
        assert_eq!(holds("10.0.0.0/8", address), Some(8));
        assert_eq!(holds("10.77.0.1", address), Some(32));
        assert_eq!(holds("10.78.0.0/16", address), None);
    }
}

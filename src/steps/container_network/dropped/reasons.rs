//! What drops the packets of a failed attempt, said in its finding, with the command that takes it away.

use super::Measured;
use super::place::Place;
use crate::facts::firewall::kernel::{conf, is_down, set_conf};
use crate::facts::firewall::{Hook, Packet, Suspect, Way};
use crate::finding::{Finding, quoted_text};

mod routes;

/// What drops packets, and the command that takes it away.
struct Reason {
    /// What follows the finding's own words.
    what: String,
    /// The command, where there is one.
    command: Option<String>,
    evidence: Vec<(&'static str, String)>,
}

impl Reason {
    fn new(what: impl Into<String>, command: impl Into<String>) -> Self {
        Self { what: what.into(), command: Some(command.into()), evidence: Vec::new() }
    }

    fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.evidence.push((key, value.to_string()));
        self
    }
}

/// Adds the reason to a finding.
pub(super) fn add(finding: &mut Finding, measured: &Measured<'_>, packets: &[Packet]) {
    if packets.is_empty() {
        return;
    }
    match reason(measured, packets) {
        Some(reason) => {
            finding.what.push_str(&format!(": {}", reason.what));
            let (mut said, evidence) = (finding.clone(), reason.evidence);
            said = evidence.into_iter().fold(said, |said, (key, value)| said.with(key, value));
            *finding = match reason.command {
                Some(command) => said.hint(command),
                None => said,
            };
        }
        None if !measured.after.firewall.unread.is_empty() => {
            *finding = finding.clone().with("unread", measured.after.firewall.unread.join("; "));
        }
        None => {}
    }
}

/// The rule that answers in the place of a destination that seemed to refuse a connection.
pub(super) fn rejecting(measured: &Measured<'_>, packets: &[Packet]) -> Option<(String, String)> {
    let firewall = &measured.after.firewall;
    let rejects = |suspect: &Suspect| {
        suspect.rule.as_ref().is_some_and(|rule| rule.rejects() && rule.packets != Some(0))
    };
    let certain = |packet: &Packet| firewall.certain_droppers(packet, &[]).into_iter().next();
    let first = packets.iter().find_map(certain).filter(rejects)?;
    let reason = rules(measured, packets, &[first]);
    Some((reason.what.replace("may drop its packets", "refuses its connections"), reason.command?))
}

/// The first that is certain: a rule whose counter grew, the kernel itself, a translation; then what may be.
fn reason(measured: &Measured<'_>, packets: &[Packet]) -> Option<Reason> {
    let droppers = measured.droppers(packets);
    let is_counted = droppers.iter().any(Suspect::is_counted);
    let rules = || (!droppers.is_empty()).then(|| rules(measured, packets, &droppers));
    let certain = if is_counted { rules() } else { None };
    certain
        .or_else(|| down(measured, packets))
        .or_else(|| reverse_path(measured))
        .or_else(|| forwarding(measured, packets))
        .or_else(|| routes::rejecting(measured, packets))
        .or_else(|| diverted(measured, packets))
        .or_else(rules)
        .or_else(|| masquerade(measured, packets))
        .or_else(|| outside(measured, packets))
}

/// Rules and policies, with all that must go until the packets pass.
fn rules(measured: &Measured<'_>, packets: &[Packet], droppers: &[Suspect]) -> Reason {
    let remover = measured.after.firewall.remover;
    let mut all = droppers.to_vec();
    for packet in packets {
        for next in measured.after.firewall.certain_droppers(packet, &all) {
            if !next.is_dockerds() {
                all.push(next);
            }
        }
    }
    let commands: Vec<String> = all.iter().map(|suspect| remover.command(suspect)).collect();
    let first = &droppers[0];
    let drops = if first.is_counted() { "drops" } else { "may drop" };
    let what = match &first.rule {
        Some(rule) => format!("the rule `{}` in {} {drops} its packets", rule.text, first.chain.title()),
        None => format!("the policy of {} {drops} its packets", first.chain.title()),
    };
    said(Reason::new(what, commands.join("; ")), droppers)
}

/// The first rule as evidence, and the names of the others.
fn said(reason: Reason, suspects: &[Suspect]) -> Reason {
    let Some((first, others)) = suspects.split_first() else { return reason };
    let counted = match first.packets {
        Some((before, after)) => format!("{before} before the attempt, {after} after it"),
        None => "not counted".to_owned(),
    };
    let reason = reason
        .with("back_end", first.chain.back_end)
        .with("table", format!("{} {}", first.chain.family, first.chain.table))
        .with("chain", &first.chain.name)
        .with("rule", first.text())
        .with("packets", counted);
    let others: Vec<String> =
        others.iter().map(|other| format!("{} in {}", other.text(), other.chain.title())).collect();
    if others.is_empty() { reason } else { reason.with("also", others.join("; ")) }
}

/// The strict reverse path filter of an interface by which packets come.
fn reverse_path(measured: &Measured<'_>) -> Option<Reason> {
    let (before, after) = (measured.before.drops.reverse_path, measured.after.drops.reverse_path);
    if after <= before {
        return None;
    }
    let strict = |name: &&str| conf(measured.host, name, "rp_filter") == Some(1);
    // The larger of the two counts (ip-sysctl, `rp_filter`), and 2 asks for any route back.
    let receiving = measured.after.traffic.iter().filter(|(name, traffic)| {
        measured.before.traffic.get(*name).is_none_or(|before| traffic.received > before.received)
    });
    let mut names = ["all"].into_iter().chain(receiving.map(|(name, _)| name.as_str()));
    let name = names.find(strict)?;
    let what = format!(
        "the reverse path filter (net.ipv4.conf.{name}.rp_filter = 1) drops packets that come by another interface than their answers would leave by"
    );
    Some(
        Reason::new(what, set_conf(name, "rp_filter", 2))
            .with("IPReversePathFilter", format!("{before} before the attempt, {after} after it")),
    )
}

/// An interface that is down.
fn down(measured: &Measured<'_>, packets: &[Packet]) -> Option<Reason> {
    let mut names = packets.iter().flat_map(|packet| packet.inputs.iter().chain(&packet.outputs));
    let name = names.find(|name| is_down(measured.host, name))?;
    let command = format!("ip link set {} up", quoted_text(name));
    Some(Reason::new(format!("the interface {name} is down"), command).with("down", name))
}

/// Forwarding that is off.
fn forwarding(measured: &Measured<'_>, packets: &[Packet]) -> Option<Reason> {
    let through =
        packets.iter().find(|packet| packet.way == Way::Through && packet.inputs != packet.outputs)?;
    if through.v6 {
        return None;
    }
    let off = |name: &str| conf(measured.host, name, "forwarding") == Some(0);
    if off("all") {
        return Some(
            Reason::new("IPv4 forwarding is off", "sysctl -w net.ipv4.ip_forward=1")
                .with("net.ipv4.ip_forward", 0),
        );
    }
    let name = through.inputs.iter().chain(&through.outputs).find(|name| off(name))?;
    let what = format!("IPv4 forwarding of {name} is off");
    Some(
        Reason::new(what, set_conf(name, "forwarding", 1))
            .with("sysctl", format!("net.ipv4.conf.{name}.forwarding = 0")),
    )
}

/// A rule that translates or marks them.
fn diverted(measured: &Measured<'_>, packets: &[Packet]) -> Option<Reason> {
    let (after, before) = (&measured.after.firewall, &measured.before.firewall);
    let found = super::distinct(packets.iter().flat_map(|packet| after.diverters(before, packet)));
    let first = found.first()?;
    let rule = first.rule.as_ref()?;
    let what = format!(
        "the rule `{}` in {} diverts its packets, or keeps them from dockerd's translation",
        rule.text,
        first.chain.title()
    );
    let commands: Vec<String> = found.iter().map(|suspect| after.remover.command(suspect)).collect();
    Some(said(Reason::new(what, commands.join("; ")), &found))
}

/// No rule that gives packets of containers this container's address.
fn masquerade(measured: &Measured<'_>, packets: &[Packet]) -> Option<Reason> {
    let out = packets.iter().find(|packet| leaves(packet))?;
    let Place { subnet: Some(subnet), bridge, .. } = &measured.place else { return None };
    let firewall = &measured.after.firewall;
    if !firewall.unread.is_empty() || firewall.translates(out) {
        return None;
    }
    let what = format!("no rule masquerades the subnet {subnet} of the containers");
    let (subnet, bridge) = (quoted_text(subnet), quoted_text(bridge));
    Some(
        Reason::new(what, format!("iptables -t nat -A POSTROUTING -s {subnet} ! -o {bridge} -j MASQUERADE"))
            .with("table", "ip nat")
            .with("chain", "POSTROUTING"),
    )
}

/// Packets that leave, and nothing here that drops them.
fn outside(measured: &Measured<'_>, packets: &[Packet]) -> Option<Reason> {
    let out = packets.iter().find(|packet| leaves(packet))?;
    let interface = out.outputs.first()?;
    let (before, after) = (measured.before.traffic.get(interface)?, measured.after.traffic.get(interface)?);
    let sent = after.sent.saturating_sub(before.sent);
    let received = after.received.saturating_sub(before.received);
    // What is rejected here is not sent on, and rules that cannot be read may drop it.
    let may_be_here = !measured.after.firewall.unread.is_empty();
    if sent == 0 || may_be_here || measured.after.drops.forwarded == measured.before.drops.forwarded {
        return None;
    }
    let what = format!(
        "its packets leave by {interface} and no rule here drops them: what drops them, or their answers, is outside of this container"
    );
    let to = destination(out);
    let hint = format!(
        "permit {to} outside of this container, in the firewall behind {interface} (on a Docker host: `iptables -S DOCKER-USER`, `nft list ruleset`), or start what should answer there"
    );
    Some(Reason::new(what, hint).with("leaves_by", interface).with("sent", sent).with("received", received))
}

/// Protocol, address and port that a packet goes to.
fn destination(packet: &Packet) -> String {
    let port = packet.target_port.map(|port| format!(":{port}")).unwrap_or_default();
    let address = packet.targets.first().map_or_else(|| "it".to_owned(), ToString::to_string);
    format!("{} {address}{port}", packet.protocol)
}

/// Whether it leaves this network namespace by another interface than a bridge of containers.
fn leaves(packet: &Packet) -> bool {
    packet.way == Way::Through
        && packet.inputs != packet.outputs
        && !packet.established
        && packet.hooks().contains(&Hook::Postrouting)
}

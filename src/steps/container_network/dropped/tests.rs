use std::net::SocketAddr;

use super::super::{AddressKind, NONE, PORT};
use super::*;
use crate::facts::firewall::Way;
use crate::host::HostError;
use crate::host::fake::Fake;

const BEFORE: &str = "*filter\n:FORWARD ACCEPT [0:0]\n[1:60] -A FORWARD -o eth0 -j DROP\nCOMMIT\n";

/// A machine with these rules, in which the answers of resolvers are dropped.
fn host(saved: &str) -> Fake {
    Fake::new()
        .variable("PATH", "/usr/sbin")
        .program("/usr/sbin/iptables-save -c", 0, saved)
        .program("/usr/sbin/iptables-save --version", 0, "iptables-save v1.8.9 (nf_tables)")
        .file("/proc/net/snmp", "Ip: ForwDatagrams\nIp: 4\n")
        .file("/proc/sys/net/ipv4/conf/all/forwarding", "1\n")
        .file("/proc/net/route", "Iface\n")
}

fn place() -> Place {
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    Place {
        bridge: "docker0".into(),
        gateway: Some(address("172.17.0.1")),
        containers: vec![address("172.17.0.2")],
        local: vec![address("172.17.0.1"), address("10.0.0.2")],
        subnet: Some("172.17.0.0/16".into()),
        ..Place::default()
    }
}

fn attempt(kind: Kind, to: &str) -> Attempt {
    let error = Some(HostError::new("connect to", to, nix::errno::Errno::ETIMEDOUT));
    Attempt { kind, to: to.into(), error, answer: String::new(), took_us: 1 }
}

/// What is measured where the rules change from `BEFORE` to these.
fn measured<'m>(host: &'m Fake, saved: &str) -> Measured<'m> {
    let before = Reading::take(host);
    let after = Reading::take(&self::host(saved));
    let reached = Reached {
        attempts: vec![attempt(Kind::Outer, "10.0.0.1"), attempt(Kind::Resolver, "10.0.0.2")],
        mtu: None,
    };
    Measured { host, place: place(), before, after, reached, visits: Vec::new() }
}

#[test]
fn finding_names_the_rule_whose_counter_grew_and_the_command_against_it() {
    let host = host(BEFORE);
    let measured = measured(&host, &BEFORE.replace("[1:60]", "[4:240]"));
    let mut finding = Finding::fail(NONE, "it does not answer").with("to", "10.0.0.1");
    let failed = failed(&finding, &measured.reached, &[]).unwrap();
    reasons::add(&mut finding, &measured, &flows::packets(&measured, &failed));
    assert_eq!(
        finding.what,
        "it does not answer: the rule `-A FORWARD -o eth0 -j DROP` in the chain FORWARD of the iptables table filter drops its packets"
    );
    assert_eq!(finding.hint.as_deref(), Some("iptables -D FORWARD -o eth0 -j DROP"));
    assert!(finding.evidence.contains(&("packets", "1 before the attempt, 4 after it".to_owned())));
}

#[test]
fn missing_masquerade_is_named_where_nothing_drops() {
    let host = host(BEFORE);
    let measured = measured(&host, BEFORE);
    let mut finding = Finding::fail(NONE, "it does not answer");
    let packets = flows::packets(&measured, &Failed::Attempt(Kind::Outer, vec!["10.0.0.1".into()]));
    reasons::add(&mut finding, &measured, &packets);
    assert!(
        finding.what.ends_with("no rule masquerades the subnet 172.17.0.0/16 of the containers"),
        "{}",
        finding.what
    );
    let command = "iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE";
    assert_eq!(finding.hint.as_deref(), Some(command));
}

#[test]
fn packets_to_an_address_of_this_container_come_in_and_others_pass_through() {
    let host = host(BEFORE);
    let measured = measured(&host, BEFORE);
    let ways = |kind, to: &str| -> Vec<Way> {
        let packets = flows::packets(&measured, &Failed::Attempt(kind, vec![to.to_owned()]));
        packets.iter().map(|packet| packet.way).collect()
    };
    assert_eq!(ways(Kind::Outer, "10.0.0.1"), [Way::Through, Way::Through]);
    assert_eq!(ways(Kind::Resolver, "10.0.0.2"), [Way::In, Way::Out]);
    assert_eq!(ways(Kind::Gateway, "172.17.0.1"), []);
}

#[test]
fn failed_connection_is_known_by_its_address() {
    let to: SocketAddr = "127.0.0.1:32768".parse().unwrap();
    let error = HostError::new("connect to", to.to_string(), nix::errno::Errno::ETIMEDOUT);
    let visits = [Visit { kind: AddressKind::Loopback, to, end: Err(error) }];
    let finding = Finding::fail(PORT, "it does not answer").with("address", to);
    let expected = Some(Failed::Visit(AddressKind::Loopback, false));
    assert_eq!(failed(&finding, &Reached::default(), &visits), expected);
    assert_eq!(failed(&Finding::pass("it answers").with("to", to), &Reached::default(), &visits), None);
}

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::engine::{ContainerRun, EngineError, PairRun};
use crate::facts::daemon::{Expected, Off};
use crate::host::HostError;
use crate::probe::net::{Interface, Network};
use crate::probe::reach::PathMtu;
use crate::testing::problems;

fn attempt(kind: Kind, error: Option<Errno>) -> Attempt {
    let to = "10.0.0.1".to_owned();
    let error = error.map(|errno| HostError::new("connect to", &to, errno));
    Attempt { kind, to, error, answer: "refuses".into(), took_us: 1 }
}

fn document(addresses: &[&str], gateway: Option<&str>, gateway_answers: bool) -> Document {
    let mut document = crate::probe::look(&crate::host::fake::Fake::new());
    let addresses = addresses.iter().map(ToString::to_string).collect();
    let eth0 = Interface { name: "eth0".into(), mtu: 1500, addresses };
    document.network =
        Network { interfaces: vec![eth0], gateway: gateway.map(Into::into), resolvers: Vec::new() };
    let error = (!gateway_answers).then_some(Errno::EHOSTUNREACH);
    document.reached = Some(Reached { attempts: vec![attempt(Kind::Gateway, error)], mtu: None });
    document
}

fn visit(kind: AddressKind, to: &str, error: Option<Errno>) -> Visit {
    let to: SocketAddr = to.parse().unwrap();
    let end =
        error.map_or(Ok(Duration::ZERO), |errno| Err(HostError::new("connect to", to.to_string(), errno)));
    Visit { kind, to, end }
}

fn visits_of(visits: &[Visit]) -> Vec<Finding> {
    judge_visits(visits, &Expected::default())
}

fn off() -> Off {
    Off { by: "`--that=false`".into(), undo: "start dockerd without `--that=false`".into() }
}

const WARNED: (Level, &str) = (Level::Warn, "container-network-switched-off");

#[test]
fn published_port_without_rules_and_proxy_warns_and_names_the_option() {
    let silent = || {
        let direct = visit(AddressKind::Container, "172.18.0.2:7009", None);
        let loopback = visit(AddressKind::Loopback, "127.0.0.1:32768", Some(Errno::ETIMEDOUT));
        let own = visit(AddressKind::Own, "10.0.0.2:32768", Some(Errno::ETIMEDOUT));
        vec![direct, loopback, own]
    };
    let both = Expected { firewall: Some(off()), proxy: Some(off()), ..Expected::default() };
    let warned = judge_visits(&silent(), &both);
    assert_eq!(problems(&warned), [WARNED]);
    assert!(warned[0].what.contains("`--that=false`"), "{warned:?}");
    assert_eq!(warned[0].hint.as_deref(), Some("start dockerd without `--that=false`"));
    let proxied = Expected { firewall: Some(off()), ..Expected::default() };
    assert_eq!(judge_visits(&silent(), &proxied)[0].level, Level::Fail, "the proxy is to answer");
}

#[test]
fn loopback_of_ipv6_is_silent_without_a_proxy() {
    let four = visit(AddressKind::Loopback, "127.0.0.1:32768", None);
    let six = visit(AddressKind::Loopback, "[::1]:32768", Some(Errno::ETIMEDOUT));
    let seen = |expected: &Expected| problems(&judge_visits(&[four.clone(), six.clone()], expected));
    assert_eq!(seen(&Expected { proxy: Some(off()), ..Expected::default() }), []);
    assert_eq!(seen(&Expected::default()), [(Level::Fail, "published-port-unreachable")]);
}

#[test]
fn outside_that_an_option_cuts_off_warns() {
    let lost = || {
        vec![attempt(Kind::Outer, Some(Errno::ETIMEDOUT)), attempt(Kind::Resolver, Some(Errno::ETIMEDOUT))]
    };
    let compared = Compared { outer: true, resolver: true };
    for expected in [
        Expected { masquerade: Some(off()), ..Expected::default() },
        Expected { forwarding: Some(off()), ..Expected::default() },
    ] {
        let found = outbound::judge(&Reached { attempts: lost(), mtu: None }, &compared, &expected);
        assert_eq!(problems(&found), [WARNED, WARNED]);
    }
    // Something else masquerades.
    let expected = Expected { masquerade: Some(off()), ..Expected::default() };
    let reached = Reached { attempts: vec![attempt(Kind::Outer, None)], mtu: None };
    assert_eq!(problems(&outbound::judge(&reached, &Compared::default(), &expected)), []);
}

#[test]
fn names_without_iptables_warn() {
    let mut document = document(&[], None, true);
    document.reached =
        Some(Reached { attempts: vec![attempt(Kind::PeerName, Some(Errno::ETIMEDOUT))], mtu: None });
    let run = ContainerRun { stdout: serde_json::to_vec(&document).unwrap(), ..ContainerRun::new() };
    let together = PairRun { network: Some(Ok(())), others: vec![run], ..PairRun::default() };
    let expected = Expected { names: Some(off()), ..Expected::default() };
    assert_eq!(problems(&neighbour::judge(&together, &expected).unwrap()), [WARNED]);
}

#[test]
fn missing_address_or_gateway_fails() {
    let seen = |addresses: &[&str], gateway, answers| {
        problems(&judge_addresses(&document(addresses, gateway, answers)))
    };
    assert_eq!(seen(&["172.18.0.2"], Some("172.18.0.1"), true), []);
    for broken in [
        seen(&["fe80::1"], Some("172.18.0.1"), true),
        seen(&["172.18.0.2"], None, true),
        seen(&["172.18.0.2"], Some("172.18.0.1"), false),
    ] {
        assert_eq!(broken, [(Level::Fail, "container-no-network")]);
    }
}

#[test]
fn unreachable_published_port_fails() {
    let direct = |error| visit(AddressKind::Container, "172.18.0.2:7009", error);
    let loopback = |error| visit(AddressKind::Loopback, "127.0.0.1:32768", error);
    let own = |error| visit(AddressKind::Own, "10.0.0.2:32768", error);
    assert_eq!(problems(&visits_of(&[direct(None), loopback(None), own(None)])), []);
    let blocked = visits_of(&[direct(None), loopback(Some(Errno::ETIMEDOUT)), own(None)]);
    assert_eq!(problems(&blocked), [(Level::Fail, "published-port-unreachable")]);
    let down = visits_of(&[direct(Some(Errno::EHOSTUNREACH)), loopback(Some(Errno::ECONNRESET)), own(None)]);
    assert_eq!(problems(&down), [(Level::Fail, "container-no-network")]);
    assert_eq!(problems(&visits_of(&[direct(None)])), [(Level::Fail, "published-port-unreachable")]);
}

#[test]
fn disabled_ipv6_passes() {
    let six = |errno| visit(AddressKind::Loopback, "[::1]:32768", Some(errno));
    let four = || visit(AddressKind::Loopback, "127.0.0.1:32768", None);
    assert_eq!(problems(&visits_of(&[four(), six(Errno::EADDRNOTAVAIL)])), []);
    let refused = visits_of(&[four(), six(Errno::ECONNREFUSED)]);
    assert_eq!(problems(&refused), [(Level::Fail, "published-port-unreachable")]);
}

fn out(attempts: Vec<Attempt>, mtu: Option<PathMtu>, compared: &Compared) -> Vec<(Level, &'static str)> {
    problems(&outbound::judge(&Reached { attempts, mtu }, compared, &Expected::default()))
}

#[test]
fn destination_that_this_container_does_not_reach_passes() {
    let lost = || {
        vec![attempt(Kind::Outer, Some(Errno::ETIMEDOUT)), attempt(Kind::Resolver, Some(Errno::ETIMEDOUT))]
    };
    let silent = [(Level::Warn, "dns-resolver-not-answering")];
    assert_eq!(out(lost(), None, &Compared::default()), silent);
    let compared = Compared { outer: true, resolver: true };
    let causes = ["container-outbound-network-unreachable", "container-dns-broken"];
    assert_eq!(out(lost(), None, &compared), causes.map(|cause| (Level::Fail, cause)));
    let one_answers = vec![attempt(Kind::Resolver, Some(Errno::ETIMEDOUT)), attempt(Kind::Resolver, None)];
    assert_eq!(out(one_answers, None, &compared), []);
}

#[test]
fn path_mtu_and_lost_packets_have_their_levels() {
    let mtu = |path, small, large| Some(PathMtu { own: 1500, path, small, large });
    let seen = |mtu| out(Vec::new(), mtu, &Compared::default());
    assert_eq!(seen(mtu(1500, true, true)), []);
    assert_eq!(seen(mtu(1500, false, false)), []);
    assert_eq!(seen(mtu(1400, true, false)), [(Level::Warn, "mtu-mismatch")]);
    assert_eq!(seen(mtu(1500, true, false)), [(Level::Fail, "mtu-mismatch")]);
}

#[test]
fn unreachable_destination_of_the_profile_fails() {
    let wanted =
        vec![attempt(Kind::Name, Some(Errno::ENOENT)), attempt(Kind::Endpoint, Some(Errno::ECONNREFUSED))];
    let causes = ["container-dns-broken", "container-outbound-network-unreachable"];
    assert_eq!(out(wanted, None, &Compared::default()), causes.map(|cause| (Level::Fail, cause)));
}

#[test]
fn neighbour_that_is_not_found_fails() {
    let met = |attempts: Vec<Attempt>| {
        let mut document = document(&[], None, true);
        document.reached = Some(Reached { attempts, mtu: None });
        let run = ContainerRun { stdout: serde_json::to_vec(&document).unwrap(), ..ContainerRun::new() };
        let together = PairRun { network: Some(Ok(())), others: vec![run], ..PairRun::default() };
        problems(&neighbour::judge(&together, &Expected::default()).unwrap())
    };
    assert_eq!(met(vec![attempt(Kind::PeerName, None), attempt(Kind::Peer, None)]), []);
    let unnamed = met(vec![attempt(Kind::PeerName, Some(Errno::ETIMEDOUT))]);
    assert_eq!(unnamed, [(Level::Fail, "container-name-resolution-broken")]);
    let silent = met(vec![attempt(Kind::PeerName, None), attempt(Kind::Peer, Some(Errno::ETIMEDOUT))]);
    assert_eq!(silent, [(Level::Fail, "container-no-network")]);
}

#[test]
fn refused_network_has_the_cause_of_its_message() {
    let refused = |message: &str| {
        let error =
            EngineError::Refused { doing: "make a network".into(), status: 500, message: message.into() };
        let together = PairRun { network: Some(Err(error)), ..PairRun::default() };
        problems(&neighbour::judge(&together, &Expected::default()).unwrap())
    };
    let pool = "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network";
    assert_eq!(refused(pool), [(Level::Fail, "no-free-address-pool")]);
    assert_eq!(refused("something new"), [(Level::Fail, "container-no-network")]);
}

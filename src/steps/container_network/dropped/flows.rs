//! The packets of what failed, as the rules of this network namespace see them.

use std::net::{IpAddr, SocketAddr};

use super::{Failed, Measured};
use crate::engine::containers::connectivity::{AddressKind, Visit};
use crate::facts::firewall::{Packet, Way};
use crate::probe::reach::Kind;
use crate::workload::spec::PORT;

/// The discard port (RFC 863), to which the probe connects at gateways.
const DISCARD: u16 = 9;
const DNS: u16 = 53;

/// The packets of what failed once more, and the answers to them; none where it did not.
pub(super) fn packets(measured: &Measured<'_>, failed: &Failed) -> Vec<Packet> {
    let asked: Vec<Packet> = match failed {
        Failed::Visit(kind, v6) => {
            let same =
                |visit: &&Visit| visit.kind == *kind && visit.to.is_ipv6() == *v6 && visit.end.is_err();
            measured.visits.iter().filter(same).flat_map(|visit| to_port(measured, visit)).collect()
        }
        Failed::Attempt(kind, names) => {
            let same =
                measured.attempts(*kind).filter(|attempt| names.contains(&attempt.to) || *kind == Kind::Peer);
            same.flat_map(|attempt| from_container(measured, *kind, &attempt.to)).collect()
        }
        Failed::Large => {
            let mut packets: Vec<_> = measured
                .reached
                .of(Kind::Outer)
                .flat_map(|attempt| from_container(measured, Kind::Outer, &attempt.to))
                .collect();
            for packet in &mut packets {
                packet.protocol = "udp";
            }
            packets
        }
    };
    let answers: Vec<_> = asked.iter().map(Packet::answer).collect();
    asked.into_iter().chain(answers).collect()
}

/// From here to the container's port.
fn to_port(measured: &Measured<'_>, visit: &Visit) -> Vec<Packet> {
    let v6 = visit.to.is_ipv6();
    match visit.kind {
        AddressKind::Container => vec![direct(measured, v6)],
        // Through docker-proxy, which connects to the container.
        AddressKind::Loopback => vec![
            Packet { way: Way::Out, ..loopback(visit.to) },
            Packet { way: Way::In, ..loopback(visit.to) },
            direct(measured, v6),
        ],
        AddressKind::Own => vec![
            Packet {
                outputs: vec![measured.place.bridge.clone()],
                sources: vec![visit.to.ip()],
                untranslated: Some((visit.to.ip(), Some(visit.to.port()))),
                ..direct(measured, v6)
            },
            Packet { way: Way::Out, ..loopback(visit.to) },
            Packet { way: Way::In, ..loopback(visit.to) },
        ],
    }
}

/// To the container itself.
fn direct(measured: &Measured<'_>, v6: bool) -> Packet {
    Packet {
        outputs: vec![measured.place.bridge.clone()],
        sources: measured.place.gateway.into_iter().filter(|address| address.is_ipv6() == v6).collect(),
        targets: containers(measured, v6),
        target_port: Some(PORT),
        ..Packet::new(Way::Out, v6)
    }
}

/// Within this network namespace.
fn loopback(to: SocketAddr) -> Packet {
    Packet {
        inputs: vec!["lo".to_owned()],
        outputs: vec!["lo".to_owned()],
        sources: vec![to.ip()],
        targets: vec![to.ip()],
        target_port: Some(to.port()),
        ..Packet::new(Way::Out, to.is_ipv6())
    }
}

/// From the container: to an address of this network namespace, through it, or to a neighbour.
pub(super) fn from_container(measured: &Measured<'_>, kind: Kind, to: &str) -> Vec<Packet> {
    let address = address(to);
    let v6 = address.is_some_and(|address| address.is_ipv6());
    let place = &measured.place;
    let port = to.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let through = Packet {
        inputs: vec![place.bridge.clone()],
        outputs: address.and_then(|to| place.interface_to(to)).map(str::to_owned).into_iter().collect(),
        sources: containers(measured, v6),
        targets: address.into_iter().collect(),
        target_port: port,
        ..Packet::new(Way::Through, v6)
    };
    match kind {
        Kind::Peer | Kind::PeerName => vec![Packet {
            inputs: vec![place.neighbours.clone()],
            outputs: vec![place.neighbours.clone()],
            sources: Vec::new(),
            targets: Vec::new(),
            target_port: Some(PORT),
            ..through
        }],
        Kind::Resolver => {
            vec![here_or_through(measured, Packet { protocol: "udp", target_port: Some(DNS), ..through })]
        }
        Kind::Gateway | Kind::Outer => {
            vec![here_or_through(measured, Packet { target_port: Some(DISCARD), ..through })]
        }
        Kind::Name | Kind::Endpoint => vec![here_or_through(measured, through)],
    }
}

fn here_or_through(measured: &Measured<'_>, packet: Packet) -> Packet {
    let here = packet.targets.iter().any(|address| measured.is_local(*address));
    if here { Packet { way: Way::In, outputs: Vec::new(), ..packet } } else { packet }
}

/// The address of `address`, `address:port` or `[address]:port`.
pub(super) fn address(to: &str) -> Option<IpAddr> {
    to.parse().ok().or_else(|| to.parse::<SocketAddr>().ok().map(|to| to.ip()))
}

fn containers(measured: &Measured<'_>, v6: bool) -> Vec<IpAddr> {
    measured.place.containers.iter().copied().filter(|address| address.is_ipv6() == v6).collect()
}

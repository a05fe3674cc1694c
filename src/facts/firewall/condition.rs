//! The conditions of a rule, and whether a packet meets them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Hook, Packet};

/// Whether a packet matches: it may remain open where a condition or a field of the packet is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Match {
    /// It does not.
    No,
    /// It is not known.
    Maybe,
    /// It does.
    Yes,
}

impl Match {
    /// Of alternatives: `Yes` if each matches, `No` if none does or there is no alternative that could.
    fn of(mut alternatives: impl Iterator<Item = bool>) -> Self {
        let Some(first) = alternatives.next() else { return Self::Maybe };
        match (first, alternatives.all(|other| other == first)) {
            (true, true) => Self::Yes,
            (false, true) => Self::No,
            _ => Self::Maybe,
        }
    }

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }
}

/// What a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// One of these interfaces of arrival; a `+` or `*` at the end stands for any rest.
    Input(Vec<String>),
    /// One of these interfaces of departure.
    Output(Vec<String>),
    /// A source in one of these networks.
    Source(Vec<IpNet>),
    /// A destination in one of these networks.
    Target(Vec<IpNet>),
    /// One of these protocols.
    Protocol(Vec<String>),
    /// A source port in one of these ranges.
    SourcePort(Vec<(u16, u16)>),
    /// A destination port in one of these ranges.
    TargetPort(Vec<(u16, u16)>),
    /// One of these states of connection tracking, in lower case.
    State(Vec<String>),
    /// Only IPv6, or only IPv4.
    Version6(bool),
    /// Something that is not read here.
    Unknown,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What it looks at.
    pub field: Field,
    /// Whether it is met where the field differs.
    pub negated: bool,
}

impl Condition {
    /// Whether the packet meets it at a hook. Early hooks may see it before its translation.
    pub fn meets(&self, packet: &Packet, hook: Hook) -> Match {
        let met = self.field.meets(packet, hook);
        if self.negated { met.not() } else { met }
    }
}

impl Field {
    fn meets(&self, packet: &Packet, hook: Hook) -> Match {
        let early = packet.untranslated.filter(|_| hook.is_early());
        match self {
            Self::Input(names) if hook.has_input() => interface(names, &packet.inputs),
            Self::Output(names) if hook.has_output() => interface(names, &packet.outputs),
            Self::Input(_) | Self::Output(_) => Match::No,
            Self::Source(nets) => address(nets, packet.sources.iter()),
            Self::Target(nets) => {
                let before = early.map(|(address, _)| address);
                address(nets, packet.targets.iter().chain(&before))
            }
            Self::Protocol(names) => {
                Match::of(std::iter::once(names.iter().any(|name| name == packet.protocol)))
            }
            Self::SourcePort(ranges) => port(ranges, packet.source_port.into_iter()),
            Self::TargetPort(ranges) => {
                let before = early.and_then(|(_, port)| port);
                port(ranges, packet.target_port.into_iter().chain(before))
            }
            Self::State(names) => state(names, packet.established),
            Self::Version6(v6) => Match::of(std::iter::once(*v6 == packet.v6)),
            Self::Unknown => Match::Maybe,
        }
    }
}

fn interface(patterns: &[String], names: &[String]) -> Match {
    let fits = |pattern: &String, name: &String| match pattern.strip_suffix(['+', '*']) {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    };
    Match::of(names.iter().map(|name| patterns.iter().any(|pattern| fits(pattern, name))))
}

fn address<'a>(nets: &[IpNet], addresses: impl Iterator<Item = &'a IpAddr>) -> Match {
    Match::of(addresses.map(|address| nets.iter().any(|net| net.contains(address))))
}

fn port(ranges: &[(u16, u16)], ports: impl Iterator<Item = u16>) -> Match {
    Match::of(ports.map(|port| ranges.iter().any(|(from, to)| (*from..=*to).contains(&port))))
}

/// A first packet may be in the state `untracked` as well, and an answer in `related`.
fn state(names: &[String], established: bool) -> Match {
    let wanted = if established { "established" } else { "new" };
    let has = |state: &str| names.iter().any(|name| name == state);
    if has(wanted) {
        Match::Yes
    } else if has("untracked") || has("invalid") {
        Match::Maybe
    } else {
        Match::No
    }
}

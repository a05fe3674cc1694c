//! A packet on its way through this network namespace, as far as it is known.

use std::net::IpAddr;

use super::Hook;

/// The way of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From one interface to another.
    Through,
    /// To a process of this network namespace.
    In,
    /// From a process of this network namespace.
    Out,
}

/// A packet. An empty list means that the value is not known; several values are alternatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Its way.
    pub way: Way,
    /// The interfaces by which it comes.
    pub inputs: Vec<String>,
    /// The interfaces by which it leaves.
    pub outputs: Vec<String>,
    /// Its source addresses.
    pub sources: Vec<IpAddr>,
    /// Its destinations, after a translation.
    pub targets: Vec<IpAddr>,
    /// Its destination and port before the translation, which early hooks see.
    pub untranslated: Option<(IpAddr, Option<u16>)>,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// Its source port, where it is known.
    pub source_port: Option<u16>,
    /// Its destination port, after a translation.
    pub target_port: Option<u16>,
    /// Whether it belongs to a connection of which packets were seen both ways.
    pub established: bool,
    /// Whether it is IPv6.
    pub v6: bool,
}

impl Packet {
    /// A packet of which only the way is known.
    pub fn new(way: Way, v6: bool) -> Self {
        Self {
            way,
            inputs: Vec::new(),
            outputs: Vec::new(),
            sources: Vec::new(),
            targets: Vec::new(),
            untranslated: None,
            protocol: "tcp",
            source_port: None,
            target_port: None,
            established: false,
            v6,
        }
    }

    /// The hooks that it passes, in order.
    pub fn hooks(&self) -> &'static [Hook] {
        match self.way {
            Way::Through => {
                &[Hook::Ingress, Hook::Prerouting, Hook::Forward, Hook::Postrouting, Hook::Egress]
            }
            Way::In => &[Hook::Ingress, Hook::Prerouting, Hook::Input],
            Way::Out => &[Hook::Output, Hook::Postrouting, Hook::Egress],
        }
    }

    /// The answer to it: the other way round.
    #[must_use]
    pub fn answer(&self) -> Self {
        let way = match self.way {
            Way::Through => Way::Through,
            Way::In => Way::Out,
            Way::Out => Way::In,
        };
        Self {
            way,
            inputs: self.outputs.clone(),
            outputs: self.inputs.clone(),
            sources: self.targets.clone(),
            targets: self.sources.clone(),
            untranslated: None,
            source_port: self.target_port,
            target_port: self.source_port,
            established: true,
            ..*self
        }
    }
}

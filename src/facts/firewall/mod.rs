//! The firewall of this network namespace: its rules with their counters, and which of them drop a packet.
//!
//! Rules come from `nft list ruleset`, which has those of every program that uses `nf_tables`, and from `iptables-save` and
//! `ip6tables-save` of both back ends: the legacy one is seen by no other program. A rule that iptables made is shown in
//! the words of iptables.

use std::fmt;

pub mod condition;
mod iptables;
pub mod kernel;
mod listing;
pub mod names;
mod nft;
pub mod packet;
mod read;
mod remedy;
pub mod saved;
mod walk;

pub use condition::Match;
pub use packet::{Packet, Way};
pub use remedy::Remover;
pub use walk::Suspect;

/// The rules, chain by chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firewall {
    /// All chains of all back ends.
    pub chains: Vec<Chain>,
    /// Why some of the rules are missing here, one sentence for each program.
    pub unread: Vec<String>,
    /// The name of the program that changes the rules of each back end.
    pub remover: Remover,
}

/// What holds the rules, and which program shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BackEnd {
    /// `nf_tables`, made by nft.
    Nft,
    /// `nf_tables`, made by iptables.
    IptablesNft,
    /// The legacy tables of iptables.
    IptablesLegacy,
}

impl fmt::Display for BackEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nft => "nft",
            Self::IptablesNft => "iptables (nf_tables)",
            Self::IptablesLegacy => "iptables (legacy)",
        })
    }
}

/// A place on the way of a packet at which chains are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hook {
    /// At an interface, before anything else.
    Ingress,
    /// Before the routing decision.
    Prerouting,
    /// To a process of this network namespace.
    Input,
    /// From one interface to another.
    Forward,
    /// From a process of this network namespace.
    Output,
    /// Before it leaves.
    Postrouting,
    /// At an interface, after anything else.
    Egress,
}

impl Hook {
    /// By its name in nft, or that of the built-in chain of iptables.
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "ingress" => Self::Ingress,
            "prerouting" => Self::Prerouting,
            "input" => Self::Input,
            "forward" => Self::Forward,
            "output" => Self::Output,
            "postrouting" => Self::Postrouting,
            "egress" => Self::Egress,
            _ => return None,
        })
    }

    /// Whether a packet may not be translated yet.
    const fn is_early(self) -> bool {
        matches!(self, Self::Ingress | Self::Prerouting | Self::Output)
    }

    /// Whether the interface of arrival is known.
    const fn has_input(self) -> bool {
        matches!(self, Self::Ingress | Self::Prerouting | Self::Input | Self::Forward)
    }

    /// Whether the interface of departure is known.
    const fn has_output(self) -> bool {
        matches!(self, Self::Forward | Self::Output | Self::Postrouting | Self::Egress)
    }
}

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// What holds it.
    pub back_end: BackEnd,
    /// The family in the words of nft: `ip`, `ip6`, `inet`, `bridge`, `netdev`, `arp`.
    pub family: String,
    /// The table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Where packets enter it; `None` where only other chains lead to it.
    pub base: Option<Base>,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

/// How packets enter a chain, and what becomes of those that pass all of its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The hook.
    pub hook: Hook,
    /// Chains of a hook are asked in ascending order.
    pub priority: i32,
    /// Whether the policy drops.
    pub drops: bool,
    /// The packets that met the policy, where they are counted.
    pub packets: Option<u64>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its text: from `-A CHAIN` on with iptables, without counters.
    pub text: String,
    /// Its handle in `nf_tables`.
    pub handle: Option<u64>,
    /// The packets that matched it; `None` where they are not counted.
    pub packets: Option<u64>,
    /// What a packet must be.
    pub conditions: Vec<condition::Condition>,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// What becomes of a packet that matches a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It ends here, with or without an answer.
    Drop,
    /// It passes this hook's chain.
    Accept,
    /// It goes on in the chain that led here.
    Return,
    /// It goes through another chain, if that is a chain and not a target without a verdict.
    Jump(String),
    /// The same without a return.
    Goto(String),
    /// It is translated, marked, or left out of connection tracking.
    Divert,
    /// It goes on with the next rule.
    Other,
}

impl Rule {
    /// Whether it matches a packet at a hook.
    pub fn matches(&self, packet: &Packet, hook: Hook) -> Match {
        self.conditions.iter().map(|condition| condition.meets(packet, hook)).min().unwrap_or(Match::Yes)
    }
}

impl Rule {
    /// Whether it answers the packets that it drops, so that a connection seems to be refused.
    pub fn rejects(&self) -> bool {
        self.verdict == Verdict::Drop
            && self.text.split_whitespace().any(|word| word == "REJECT" || word == "reject")
    }
}

impl Chain {
    /// Whether packets of that version of IP pass it.
    fn takes(&self, packet: &Packet) -> bool {
        match self.family.as_str() {
            "ip" => !packet.v6,
            "ip6" => packet.v6,
            "inet" | "netdev" => true,
            // Packets between two ports of one bridge.
            "bridge" => packet.way == Way::Through && packet.inputs == packet.outputs,
            _ => false,
        }
    }

    /// Whether it is the same chain as another one.
    fn is(&self, other: &Self) -> bool {
        self.back_end == other.back_end
            && self.family == other.family
            && self.table == other.table
            && self.name == other.name
    }

    /// `the chain FORWARD of the iptables table filter`.
    pub fn title(&self) -> String {
        if self.back_end == BackEnd::Nft {
            return format!("the chain {} of the nft table {} {}", self.name, self.family, self.table);
        }
        let program = if self.family == "ip6" { "ip6tables" } else { "iptables" };
        let legacy = if self.back_end == BackEnd::IptablesLegacy { "-legacy" } else { "" };
        format!("the chain {} of the {program}{legacy} table {}", self.name, self.table)
    }
}

#[cfg(test)]
mod tests;

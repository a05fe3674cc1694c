//! The commands that take a rule away, or let a policy accept.

use super::{BackEnd, Chain, Rule, Suspect};
use crate::finding::quoted_text;

/// The names of the programs that change rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Remover {
    /// The back end of the program `iptables`; `None` where there is none.
    pub plain: Option<BackEnd>,
}

impl Remover {
    /// The command that takes away what drops a packet.
    pub fn command(self, suspect: &Suspect) -> String {
        match &suspect.rule {
            Some(rule) => self.rule(&suspect.chain, rule),
            None => self.policy(&suspect.chain),
        }
    }

    /// The command that removes a rule.
    fn rule(self, chain: &Chain, rule: &Rule) -> String {
        match (chain.back_end, rule.handle) {
            (BackEnd::Nft, Some(handle)) => format!(
                "nft delete rule {} {} {} handle {handle}",
                chain.family,
                quoted_text(&chain.table),
                quoted_text(&chain.name)
            ),
            // The text of iptables-save is quoted as a shell reads it.
            _ => format!("{} -D{}", self.program(chain), rule.text.strip_prefix("-A").unwrap_or_default()),
        }
    }

    /// The command that lets the policy of a chain accept.
    fn policy(self, chain: &Chain) -> String {
        match chain.back_end {
            BackEnd::Nft => format!(
                "nft chain {} {} {} '{{ policy accept; }}'",
                chain.family,
                quoted_text(&chain.table),
                quoted_text(&chain.name)
            ),
            _ => format!("{} -P {} ACCEPT", self.program(chain), chain.name),
        }
    }

    /// The program of the chain's back end, with the table where it is not the default one.
    fn program(self, chain: &Chain) -> String {
        let name = if chain.family == "ip6" { "ip6tables" } else { "iptables" };
        let kind = match chain.back_end {
            kind if self.plain == Some(kind) => "",
            BackEnd::IptablesLegacy => "-legacy",
            _ => "-nft",
        };
        let table = if chain.table == "filter" { String::new() } else { format!(" -t {}", chain.table) };
        format!("{name}{kind}{table}")
    }
}

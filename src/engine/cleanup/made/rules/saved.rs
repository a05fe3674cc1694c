//! The output of iptables-save: tables, their chains with policies, their rules.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::facts::firewall::saved::{Line, lines};

/// All tables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved(pub BTreeMap<String, Table>);

/// One table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    /// Chains by name: the policy, or `-` for those that are not built in.
    pub chains: BTreeMap<String, String>,
    /// Rules in order, as `-A CHAIN ...`.
    pub rules: Vec<String>,
}

impl Saved {
    /// Parses it. Counters are left out, since they change all the time.
    pub(super) fn parse(text: &str) -> Self {
        let mut saved = Self::default();
        let mut table = String::new();
        for line in lines(text) {
            if let Line::Table(name) = line {
                name.clone_into(&mut table);
            }
            let of = saved.0.entry(table.clone()).or_default();
            match line {
                Line::Table(_) => {}
                Line::Chain { name, policy, .. } => {
                    drop(of.chains.insert(name.to_owned(), policy.to_owned()));
                }
                Line::Rule { text, .. } => of.rules.push(text.to_owned()),
            }
        }
        saved
    }
}

impl Table {
    /// Whether it holds nothing: no rule, no chain but the built-in ones, and no policy that drops.
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.chains.values().all(|policy| policy == "ACCEPT")
    }
}

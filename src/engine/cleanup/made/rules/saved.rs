//! The output of iptables-save: tables, their chains with policies, their rules.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('*') {
                name.clone_into(&mut table);
                saved.0.entry(table.clone()).or_default();
            } else if let Some(chain) = line.strip_prefix(':') {
                let mut fields = chain.split_whitespace();
                if let (Some(name), Some(policy)) = (fields.next(), fields.next()) {
                    let chains = &mut saved.0.entry(table.clone()).or_default().chains;
                    chains.insert(name.to_owned(), policy.to_owned());
                }
            } else if line.starts_with("-A ") {
                saved.0.entry(table.clone()).or_default().rules.push(line.to_owned());
            }
        }
        saved
    }
}

//! Firewall rules that dockerd leaves: it removes none when it stops.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Removal, Thing};
use crate::facts::firewall::names;
use crate::facts::programs::locate;
use crate::host::{HostResult, SystemReader, SystemWriter};

mod family;
mod saved;
mod script;

pub use family::Family;
use family::Programs;
pub(super) use family::{TIMEOUT, succeeded};
use saved::{Saved, Table};
use script::Removals;

/// A rule by its text; of equal rules, which one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule {
    pub(super) family: Family,
    table: String,
    pub(super) text: String,
    nth: usize,
}

/// A chain that is not built in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Chain {
    pub(super) family: Family,
    pub(super) table: String,
    pub(super) name: String,
}

/// The policy of a built-in chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Policy {
    pub(super) family: Family,
    table: String,
    pub(super) chain: String,
    pub(super) verdict: String,
}

/// A table of `nf_tables`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableName {
    pub(super) family: Family,
    pub(super) name: String,
}

/// The rules and chains of a family with names of dockerd, and the policy that it sets. Without programs there are none.
pub(super) fn look(host: &dyn SystemReader, family: Family) -> HostResult<Vec<Thing>> {
    let Some(programs) = Programs::find(host, family)? else { return Ok(Vec::new()) };
    let saved = programs.saved(host)?;
    Ok(saved.0.iter().flat_map(|(name, table)| things(&programs, name, table)).collect())
}

/// What of a table may be dockerd's.
fn things(programs: &Programs, name: &str, table: &Table) -> Vec<Thing> {
    let family = programs.family;
    let of_table = |name: &str| name.to_owned();
    let mut found = Vec::new();
    for (at, rule) in table.rules.iter().enumerate().filter(|(_, rule)| names::is_dockers_rule(rule)) {
        let nth = table.rules[..at].iter().filter(|earlier| *earlier == rule).count();
        found.push(Thing::Rule(Rule { family, table: of_table(name), text: rule.clone(), nth }));
    }
    for (chain, policy) in &table.chains {
        if policy == "-" && names::is_dockers_chain(chain) {
            found.push(Thing::Chain(Chain { family, table: of_table(name), name: chain.clone() }));
        }
        // dockerd sets it to DROP, and never resets it.
        if chain == "FORWARD" && policy != "-" {
            let (chain, verdict) = (chain.clone(), policy.clone());
            found.push(Thing::Policy(Policy { family, table: of_table(name), chain, verdict }));
        }
    }
    if programs.is_nft() {
        found.push(Thing::Table(TableName { family, name: of_table(name) }));
    }
    found
}

/// Removes rules, chains and tables of a family.
pub(super) fn remove(
    family: Family,
    ours: &[Thing],
    before: &BTreeSet<Thing>,
    (host, machine): (&dyn SystemReader, &dyn SystemWriter),
    scratch: &Path,
    done: &mut Removal,
) {
    if ours.is_empty() {
        return;
    }
    let what = format!("firewall rules of dockerd ({})", family.nft_name());
    let list = format!("{}-save", family.program());
    let saved = Programs::find(host, family)
        .and_then(|programs| programs.map(|programs| Ok((programs.saved(host)?, programs))).transpose());
    match saved {
        Ok(None) => {}
        Ok(Some((now, programs))) => {
            let (script, stay) = whole_script(ours, before, &now);
            if !script.is_empty() {
                done.note(what, &list, programs.restore(machine, &script, scratch));
            }
            done.leave(&stay, "somebody else uses it");
            remove_tables(ours, &programs, (host, machine), done);
        }
        Err(error) => done.note(what, &list, Err(error)),
    }
}

/// The script for every table of a family, and the chains that have to stay.
fn whole_script(ours: &[Thing], before: &BTreeSet<Thing>, now: &Saved) -> (String, Vec<Thing>) {
    let (mut whole, mut left) = (String::new(), Vec::new());
    for (name, table) in &now.0 {
        let mut removals = Removals::default();
        for thing in ours {
            match thing {
                Thing::Rule(rule) if rule.table == *name => {
                    removals.rules.push(&rule.text);
                }
                Thing::Chain(chain) if chain.table == *name => {
                    removals.chains.push(&chain.name);
                }
                Thing::Policy(policy) if policy.table == *name => {
                    let was = before.iter().find_map(|thing| policy.earlier(thing));
                    // A table that is new had the kernel's policy.
                    removals.policies.insert(&policy.chain, was.unwrap_or("ACCEPT"));
                }
                _ => {}
            }
        }
        let (script, stay) = script::script(name, &removals, table);
        whole.push_str(&script);
        let is_stuck = |thing: &&Thing| matches!(thing, Thing::Chain(chain) if chain.table == *name && stay.contains(&chain.name.as_str()));
        left.extend(ours.iter().filter(is_stuck).cloned());
    }
    (whole, left)
}

/// Removes the tables that the run's dockerd made and in which nothing is left.
fn remove_tables(
    ours: &[Thing],
    programs: &Programs,
    (host, machine): (&dyn SystemReader, &dyn SystemWriter),
    done: &mut Removal,
) {
    let is_ours = |name: &String| {
        ours.contains(&Thing::Table(TableName { family: programs.family, name: name.clone() }))
    };
    if !ours.iter().any(|thing| matches!(thing, Thing::Table(_))) {
        return;
    }
    let nft = match locate(host, "nft") {
        Ok(None) => return,
        Ok(Some(nft)) => nft,
        Err(error) => return done.note("firewall: empty tables of dockerd", "nft list ruleset", Err(error)),
    };
    let Ok(now) = programs.saved(host) else { return };
    let empty = now.0.iter().filter(|(name, table)| is_ours(name) && table.is_empty());
    let commands: Vec<String> =
        empty.map(|(name, _)| format!("delete table {} {name};", programs.family.nft_name())).collect();
    if !commands.is_empty() {
        let script = commands.join(" ");
        let ran = machine.execute(&nft, &[&script], TIMEOUT);
        done.note(format!("firewall: {script}"), &format!("nft '{script}'"), succeeded(&nft, ran));
    }
}

impl Rule {
    /// The command that removes it.
    pub(super) fn command(&self) -> String {
        format!("{} -t {} -D{}", self.family.program(), self.table, self.text.get(2..).unwrap_or_default())
    }
}

impl Chain {
    /// The command that removes it where it is empty.
    pub(super) fn command(&self) -> String {
        format!("{} -t {} -X {}", self.family.program(), self.table, self.name)
    }
}

impl Policy {
    /// The verdict of the same chain in an earlier look.
    fn earlier<'t>(&self, thing: &'t Thing) -> Option<&'t str> {
        match thing {
            Thing::Policy(other)
                if (other.family, &other.table, &other.chain) == (self.family, &self.table, &self.chain) =>
            {
                Some(&other.verdict)
            }
            _ => None,
        }
    }

    /// The command that resets it; none for the kernel's own.
    pub(super) fn command(&self) -> Option<String> {
        let command = || format!("{} -t {} -P {} ACCEPT", self.family.program(), self.table, self.chain);
        (self.verdict != "ACCEPT").then(command)
    }
}

impl TableName {
    /// The command that removes it.
    pub(super) fn command(&self) -> String {
        format!("nft delete table {} {}", self.family.nft_name(), self.name)
    }
}

#[cfg(test)]
mod tests;

//! What a script prints: sections, and what is there, one identity a line.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::harness::Played;

/// The sections of a script's answer.
pub(super) struct Answer(BTreeMap<String, String>);

impl Answer {
    /// Fails the test where the script did not get to its end.
    #[track_caller]
    pub(super) fn of(played: &Played) -> Self {
        assert_eq!(played.code, 0, "the script fails: {}", played.stderr);
        let sections = played.stdout.split("\n=== ").skip(1);
        Self(
            sections
                .filter_map(|one| one.split_once('\n'))
                .map(|(name, text)| (name.into(), text.into()))
                .collect(),
        )
    }

    /// A section's text.
    #[track_caller]
    pub(super) fn text(&self, section: &str) -> &str {
        self.0.get(section).unwrap_or_else(|| panic!("no section {section}"))
    }

    /// A section that is a census.
    #[track_caller]
    pub(super) fn census(&self, section: &str) -> Census {
        Census::parse(self.text(section))
    }

    /// The exit code of a command of `play`.
    #[track_caller]
    pub(super) fn code(&self, command: &str) -> i32 {
        self.text(&format!("{command}: code")).trim().parse().expect("an exit code")
    }

    /// What a command of `play` printed, on both streams.
    #[track_caller]
    pub(super) fn said(&self, command: &str) -> &str {
        self.text(&format!("{command}: said"))
    }

    /// What is there after a command of `play`.
    #[track_caller]
    pub(super) fn after(&self, command: &str) -> Census {
        self.census(&format!("{command}: after"))
    }

    /// The `leftovers` of the report of a command of `reports`; none where it has no report.
    #[track_caller]
    pub(super) fn leftovers(&self, command: &str) -> Vec<String> {
        let Some(text) = self.0.get(&format!("{command}: report")) else { return Vec::new() };
        let report: Value = serde_json::from_str(text)
            .unwrap_or_else(|error| panic!("{command}: no report ({error}): {}", self.said(command)));
        let all = report["leftovers"].as_array().expect("leftovers").iter();
        all.map(|one| one.as_str().expect("a text").to_owned()).collect()
    }
}

/// A thing with its identity.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Thing {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) identity: String,
}

impl std::fmt::Display for Thing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {} ({})", self.kind, self.name, self.identity)
    }
}

/// What is there.
#[derive(Clone, Default)]
pub(super) struct Census(pub(super) BTreeSet<Thing>);

impl Census {
    /// Lines of `census` and `objects` in tools.sh.
    pub(super) fn parse(text: &str) -> Self {
        let things = text.lines().filter_map(|line| {
            let mut fields = line.splitn(3, '\t').map(str::to_owned);
            Some(Thing { kind: fields.next()?, name: fields.next()?, identity: fields.next()? })
        });
        Self(things.collect())
    }

    /// What is here and not there.
    pub(super) fn without(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).cloned().collect())
    }

    /// What is in both.
    pub(super) fn also_in(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// Those of which it holds.
    pub(super) fn only(&self, holds: impl Fn(&Thing) -> bool) -> Self {
        Self(self.0.iter().filter(|thing| holds(thing)).cloned().collect())
    }

    /// A line for each of the first ones of a kind, after these words; none where there is nothing.
    pub(super) fn listed(&self, words: &str) -> Vec<String> {
        const SHOWN: usize = 4;
        let mut lines = Vec::new();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for thing in &self.0 {
            let count = counts.entry(&thing.kind).or_default();
            *count += 1;
            if *count <= SHOWN {
                lines.push(format!("{words} {thing}"));
            }
        }
        let more = counts.iter().filter(|(_, count)| **count > SHOWN);
        lines.extend(more.map(|(kind, count)| format!("{words} {} more of kind {kind}", count - SHOWN)));
        lines
    }
}

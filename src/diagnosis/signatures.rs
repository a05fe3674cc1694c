//! Which cause does a message mean?
//!
//! All signatures are searched for at once; of those that fit, the first of the vocabulary wins whose
//! exception does not fit as well.

use std::sync::{LazyLock, OnceLock};

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::vocabulary::{self, Signature};

/// The most memory that a search may use for its automaton.
const AUTOMATON: usize = 4 << 20;

/// A message that means a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    /// Index into the vocabulary.
    pub(super) cause: usize,
    /// It only says what came of an earlier failure.
    pub(super) weak: bool,
    /// It counts on a warning as well.
    pub(super) quiet: bool,
}

struct Compiled {
    meaning: Meaning,
    unless: Option<(&'static str, OnceLock<Option<Regex>>)>,
}

struct Signatures {
    set: RegexSet,
    entries: Vec<Compiled>,
}

static SIGNATURES: LazyLock<Signatures> = LazyLock::new(|| {
    let causes = vocabulary::all().iter().enumerate();
    let all =
        || causes.clone().flat_map(|(index, cause)| cause.signatures.iter().map(move |one| (index, one)));
    let entries = all().map(|(index, signature)| Compiled::new(index, signature)).collect();
    Signatures { set: set(all().map(|(_, signature)| signature.text.as_str())), entries }
});

impl Compiled {
    fn new(cause: usize, signature: &'static Signature) -> Self {
        let unless = signature.unless.as_deref().map(|text| (text, OnceLock::new()));
        Self { meaning: Meaning { cause, weak: signature.weak, quiet: signature.quiet }, unless }
    }

    fn is_excepted(&self, text: &[u8]) -> bool {
        let Some((pattern, compiled)) = &self.unless else { return false };
        compiled.get_or_init(|| regex(pattern)).as_ref().is_some_and(|unless| unless.is_match(text))
    }
}

/// What a message means, if a signature fits.
pub(super) fn meaning(text: &str) -> Option<Meaning> {
    let text = text.as_bytes();
    let signatures = &*SIGNATURES;
    let fitting = signatures.set.matches(text);
    let mut entries =
        fitting.iter().map(|index| &signatures.entries[index]).filter(|entry| !entry.is_excepted(text));
    entries.next().map(|entry| entry.meaning)
}

/// A pattern that does not compile never fits; a test compiles every one.
pub(super) fn regex(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).case_insensitive(true).unicode(false).build().ok()
}

/// Many patterns, searched for at once.
pub(super) fn set<'a>(patterns: impl Iterator<Item = &'a str>) -> RegexSet {
    let patterns: Vec<&str> = patterns.collect();
    RegexSetBuilder::new(patterns)
        .case_insensitive(true)
        .unicode(false)
        .dfa_size_limit(AUTOMATON)
        .build()
        .unwrap_or_else(|_| RegexSet::empty())
}

#[cfg(test)]
mod tests {
    use super::{meaning, regex};
    use crate::diagnosis::{lines, log, vocabulary};

    #[test]
    fn every_pattern_compiles() {
        for cause in vocabulary::all() {
            for signature in &cause.signatures {
                assert!(regex(&signature.text).is_some(), "{}: {}", cause.id, signature.text);
                assert!(
                    signature.unless.as_deref().is_none_or(|unless| regex(unless).is_some()),
                    "{}",
                    cause.id
                );
            }
        }
        assert!(meaning("Devices cgroup isn't mounted").is_some());
    }

    #[test]
    fn every_example_is_a_candidate_and_means_its_cause() {
        for cause in vocabulary::all().iter().filter(|cause| !cause.signatures.is_empty()) {
            let shows = cause.shows.as_deref().unwrap_or_default();
            let found = meaning(&log::read(shows).text).map(|meaning| vocabulary::all()[meaning.cause].id);
            if found.is_none() && ["mtu-mismatch", "cgroup-host-namespace"].contains(&cause.id.as_str()) {
                continue; // described, not quoted: no program names them
            }
            assert_eq!(found, Some(cause.id), "{shows}");
            assert!(lines::is_candidate(shows.as_bytes()), "{shows}");
        }
    }
}

//! Finds the cause that a message means.
//!
//! All signatures are searched for at once; of those that match, the first of the vocabulary wins whose exception
//! does not match as well.

use std::sync::LazyLock;

use super::matcher::{Matcher, Pattern};
use super::vocabulary::{self, Cause, CauseId, Signature};

/// A message that means a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) cause: CauseId,
    /// It only reports a consequence of an earlier failure.
    pub(super) weak: bool,
    /// It counts on a warning as well.
    pub(super) quiet: bool,
}

struct Entry {
    meaning: Meaning,
    unless: Option<Pattern>,
}

struct Signatures {
    matcher: Matcher,
    entries: Vec<Entry>,
}

static SIGNATURES: LazyLock<Signatures> = LazyLock::new(|| {
    let of = |cause: &'static Cause| cause.signatures.iter().map(move |signature| (cause.id, signature));
    let all = || vocabulary::all().iter().flat_map(of);
    let entries = all().map(|(cause, signature)| Entry::new(cause, signature)).collect();
    Signatures { matcher: Matcher::new(all().map(|(_, signature)| signature.text)), entries }
});

impl Entry {
    fn new(cause: CauseId, signature: &'static Signature) -> Self {
        let meaning = Meaning { cause, weak: signature.weak, quiet: signature.quiet };
        Self { meaning, unless: signature.unless.map(Pattern::new) }
    }

    fn is_excepted(&self, text: &[u8]) -> bool {
        self.unless.as_ref().is_some_and(|unless| unless.fits(text))
    }
}

/// The meaning of a message, if a signature matches.
pub(super) fn meaning(text: &str) -> Option<Meaning> {
    let text = text.as_bytes();
    let Signatures { matcher, entries } = &*SIGNATURES;
    let mut fitting =
        matcher.fitting(text).map(|index| &entries[index]).filter(|entry| !entry.is_excepted(text));
    fitting.next().map(|entry| entry.meaning)
}

#[cfg(test)]
mod tests {
    use super::meaning;
    use crate::matcher::Pattern;
    use crate::{causes, lines, log, vocabulary};

    #[test]
    fn every_pattern_compiles() {
        for cause in vocabulary::all() {
            for signature in cause.signatures {
                for text in [signature.text].into_iter().chain(signature.unless) {
                    assert!(Pattern::new(text).regex().is_some(), "{}: {text}", cause.id);
                }
            }
        }
        assert!(meaning("Devices cgroup isn't mounted").is_some());
    }

    #[test]
    fn every_example_is_a_candidate_and_means_its_cause() {
        for cause in vocabulary::all().iter().filter(|cause| !cause.signatures.is_empty()) {
            let shows = cause.shows.unwrap_or_default();
            let found = meaning(&log::read(shows).text).map(|meaning| meaning.cause);
            if found.is_none() && [causes::MTU_MISMATCH, causes::CGROUP_HOST_NAMESPACE].contains(&cause.id) {
                continue; // described, not quoted: no program names them
            }
            assert_eq!(found, Some(cause.id), "{shows}");
            assert!(lines::is_candidate(shows.as_bytes()), "not a candidate: {shows}");
        }
    }
}

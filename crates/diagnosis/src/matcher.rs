//! Matches a text against hundreds of regular expressions at little cost.
//!
//! One automaton for all of them would be enormous. Instead, each pattern has literals of which one must occur where
//! it matches (taken from its syntax tree); one search finds the literals, and only their patterns are tried. A pattern
//! is compiled when it is first tried.

use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::literal::{ExtractKind, Extractor, Seq};

/// The most memory that the automaton of one pattern may take.
const AUTOMATON: usize = 256 * 1024;

/// A regular expression without regard to case, compiled when it is first tried. One that does not compile never
/// matches; tests compile them all.
#[derive(Debug)]
pub(super) struct Pattern {
    text: &'static str,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(super) const fn new(text: &'static str) -> Self {
        Self { text, compiled: OnceLock::new() }
    }

    pub(super) fn regex(&self) -> Option<&Regex> {
        let compile = || {
            RegexBuilder::new(self.text)
                .case_insensitive(true)
                .unicode(false)
                .dfa_size_limit(AUTOMATON)
                .build()
        };
        self.compiled.get_or_init(|| compile().ok()).as_ref()
    }

    pub(super) fn fits(&self, text: &[u8]) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(text))
    }
}

/// Many patterns, in order.
pub(super) struct Matcher {
    patterns: Vec<Pattern>,
    words: Option<AhoCorasick>,
    /// For each word, the pattern that it belongs to.
    owners: Vec<usize>,
    /// Patterns without such words.
    wordless: Vec<usize>,
}

impl Matcher {
    pub(super) fn new(texts: impl Iterator<Item = &'static str>) -> Self {
        let patterns: Vec<Pattern> = texts.map(Pattern::new).collect();
        let (mut words, mut owners, mut wordless) = (Vec::new(), Vec::new(), Vec::new());
        for (index, pattern) in patterns.iter().enumerate() {
            let required = required_words(pattern.text);
            if required.is_empty() {
                wordless.push(index);
            }
            owners.resize(owners.len() + required.len(), index);
            words.extend(required);
        }
        let words = AhoCorasickBuilder::new().ascii_case_insensitive(true).build(words).ok();
        Self { patterns, words, owners, wordless }
    }

    /// The indices of the patterns that match, in order.
    pub(super) fn fitting<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let mut possible = vec![false; self.patterns.len()];
        for &index in &self.wordless {
            possible[index] = true;
        }
        for found in self.words.iter().flat_map(|words| words.find_overlapping_iter(text)) {
            possible[self.owners[found.pattern().as_usize()]] = true;
        }
        let tried = possible.into_iter().enumerate().filter(|(_, possible)| *possible);
        tried.map(|(index, _)| index).filter(|&index| self.patterns[index].fits(text))
    }
}

/// Words of which one occurs wherever the pattern matches; none if the pattern has none.
fn required_words(pattern: &str) -> Vec<Vec<u8>> {
    let Ok(hir) = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern) else {
        return Vec::new();
    };
    let kinds = [ExtractKind::Prefix, ExtractKind::Suffix]
        .map(|kind| Extractor::new().kind(kind.clone()).limit_total(600).extract(&hir));
    let best = kinds.into_iter().max_by_key(shortest).filter(|words| shortest(words) >= 2);
    best.and_then(|words| {
        words.literals().map(|words| words.iter().map(|word| word.as_bytes().to_vec()).collect())
    })
    .unwrap_or_default()
}

fn shortest(words: &Seq) -> usize {
    words.min_literal_len().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Matcher, required_words};

    #[test]
    fn words_are_found_for_alternatives_and_options() {
        let words = |pattern| {
            required_words(pattern)
                .into_iter()
                .map(|word| String::from_utf8_lossy(&word).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(words("l?chown .*: (a|b)"), ["lchown ", "chown "].map(str::to_owned));
        assert!(words(r".*\d+").is_empty());
    }

    #[test]
    fn patterns_fit_in_order_and_without_regard_to_case() {
        let matcher = Matcher::new(["b+c", "A.*d", ".", "zzz"].into_iter());
        assert_eq!(matcher.fitting(b"a bbC D").collect::<Vec<_>>(), [0, 1, 2]);
    }
}

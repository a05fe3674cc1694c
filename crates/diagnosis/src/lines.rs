//! Cuts a stream into numbered lines, and passes on those with a word that occurs in failures.
//!
//! A stream comes in pieces of any size. A line is read up to 16 KiB. In a debug log one line in a hundred passes.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind};
use memchr::{memchr, memchr_iter, memmem, memrchr};

use super::keywords;

/// How many bytes of a line are read.
pub const LINE_LIMIT: usize = 16 * 1024;

static FILTER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| automaton(keywords::FAILURE));

static LOUD_FILTER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| automaton(keywords::LOUD));

fn automaton(words: &[&str]) -> Option<AhoCorasick> {
    AhoCorasickBuilder::new().ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA)).build(words).ok()
}

/// Whether a line has the level info or debug, and no word that makes it count nevertheless.
fn is_dull(line: &[u8]) -> bool {
    static QUIET: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(" level="));
    static SKIPPED: LazyLock<memmem::Finder<'static>> =
        LazyLock::new(|| memmem::Finder::new("skip loading plugin"));
    let head = &line[..line.len().min(160)];
    let level = QUIET.find(head).map(|at| &line[at + " level=".len()..]);
    level.is_some_and(|level| level.starts_with(b"info ") || level.starts_with(b"debug "))
        && (SKIPPED.find(head).is_some() || LOUD_FILTER.as_ref().is_some_and(|filter| !filter.is_match(line)))
}

/// Whether a line may be about a failure.
pub(super) fn is_candidate(line: &[u8]) -> bool {
    FILTER.as_ref().is_none_or(|filter| filter.is_match(line)) && !is_dull(line)
}

/// Takes the lines that pass; returns whether the next line is needed too, whatever it contains.
pub(super) trait Sink {
    fn line(&mut self, number: u64, line: &[u8]) -> bool;
}

/// Cuts a stream into lines.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    number: u64,
    partial: Vec<u8>,
    skipping: bool,
    wants_next: bool,
}

impl Lines {
    /// Takes the next piece of the stream.
    pub(super) fn push(&mut self, mut bytes: &[u8], sink: &mut impl Sink) {
        if self.skipping || !self.partial.is_empty() {
            bytes = self.complete(bytes, sink);
        }
        let Some(last) = memrchr(b'\n', bytes) else { return self.keep(bytes) };
        self.whole(&bytes[..=last], sink);
        self.keep(&bytes[last + 1..]);
    }

    /// The line that the stream ended in, without a line break.
    pub(super) fn rest(&self) -> Option<(u64, &[u8])> {
        (!self.partial.is_empty()).then_some((self.number + 1, &self.partial[..]))
    }

    /// Whether that line passes.
    pub(super) fn wants(&self, line: &[u8]) -> bool {
        self.wants_next || is_candidate(line)
    }

    /// Ends the line that earlier pieces began; returns the bytes after it.
    fn complete<'a>(&mut self, bytes: &'a [u8], sink: &mut impl Sink) -> &'a [u8] {
        let Some(end) = memchr(b'\n', bytes) else {
            self.keep(bytes);
            return &[];
        };
        self.keep(&bytes[..end]);
        self.number += 1;
        self.skipping = false;
        let line = std::mem::take(&mut self.partial);
        if self.wants(&line) {
            self.wants_next = sink.line(self.number, &line);
        }
        self.partial = line;
        self.partial.clear();
        &bytes[end + 1..]
    }

    /// Keeps the start of a line whose end has not arrived yet.
    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_LIMIT - self.partial.len();
        self.skipping |= bytes.len() > room;
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Many whole lines at once: only those with a match are examined.
    fn whole(&mut self, block: &[u8], sink: &mut impl Sink) {
        let mut at = 0;
        while at < block.len() {
            let start = if self.wants_next { at } else { self.skip_to_match(block, at) };
            if start == block.len() {
                return;
            }
            let end = memchr(b'\n', &block[start..]).map_or(block.len(), |length| start + length);
            self.number += 1;
            let line = &block[start..end.min(start + LINE_LIMIT)];
            self.wants_next = (self.wants_next || !is_dull(line)) && sink.line(self.number, line);
            at = end + 1;
        }
    }

    /// The start of the next line with a match, counting the lines before it.
    fn skip_to_match(&mut self, block: &[u8], at: usize) -> usize {
        let found = FILTER.as_ref().map_or(Some(at), |filter| Some(at + filter.find(&block[at..])?.start()));
        let end = found.unwrap_or(block.len());
        let start = memrchr(b'\n', &block[at..end]).map_or(at, |before| at + before + 1);
        self.number += memchr_iter(b'\n', &block[at..start]).count() as u64;
        if found.is_some() { start } else { block.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE_LIMIT, Lines, Sink};

    #[derive(Default)]
    struct Seen(Vec<(u64, String)>);

    impl Sink for Seen {
        fn line(&mut self, number: u64, line: &[u8]) -> bool {
            self.0.push((number, String::from_utf8_lossy(line).into_owned()));
            line.ends_with(b":")
        }
    }

    fn cut(text: &[u8], piece: usize) -> Vec<(u64, String)> {
        let (mut lines, mut seen) = (Lines::default(), Seen::default());
        for bytes in text.chunks(piece) {
            lines.push(bytes, &mut seen);
        }
        let rest = lines.rest().map(|(number, line)| (number, String::from_utf8_lossy(line).into_owned()));
        seen.0.extend(rest);
        seen.0
    }

    #[test]
    fn pieces_of_any_size_give_the_same_lines() {
        let text = b"one\ntwo failed:\nthree\nfour\n\nsix error\nseven";
        let whole = cut(text, 1000);
        let numbers: Vec<u64> = whole.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [2, 3, 6, 7]);
        for piece in 1..20 {
            assert_eq!(cut(text, piece), whole, "{piece}");
        }
    }

    #[test]
    fn long_lines_are_cut() {
        let mut text = b"error ".to_vec();
        text.resize(3 * LINE_LIMIT, b'x');
        text.extend_from_slice(b"\nerror 2\n");
        for piece in [1, 100, LINE_LIMIT, LINE_LIMIT + 1, 10 * LINE_LIMIT] {
            let seen = cut(&text, piece);
            let lengths: Vec<_> = seen.iter().map(|(number, line)| (*number, line.len())).collect();
            assert_eq!(lengths, [(1, LINE_LIMIT), (2, 7)], "{piece}");
        }
    }
}

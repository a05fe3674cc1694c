//! The last lines of a stream, in bounded memory.

use std::collections::VecDeque;

use crate::diagnosis::{log, redact};
use crate::text::append_up_to;

/// A log of at most so many lines is one message; one line more shows that it has more.
const SHORT_LOG: usize = 4;
/// The most bytes that are kept of one line.
const MAX_LINE: usize = 4 << 10;
/// What stands for the rest of a line.
const CUT: &str = " (the rest of this line is left out)";

/// The last lines of a stream.
#[derive(Debug, Default)]
pub(super) struct LastLines {
    lines: VecDeque<String>,
    partial: Vec<u8>,
    is_cut: bool,
}

impl LastLines {
    /// Takes the next bytes of the stream.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let line = piece.strip_suffix(b"\n");
            self.is_cut |= !append_up_to(&mut self.partial, line.unwrap_or(piece), MAX_LINE);
            if line.is_some() {
                self.end_line();
            }
        }
    }

    /// Ends the current line.
    pub(super) fn end_line(&mut self) {
        let mut line = String::from_utf8_lossy(&self.partial).trim_end().to_owned();
        self.partial.clear();
        if std::mem::take(&mut self.is_cut) {
            line.push_str(CUT);
        }
        if line.is_empty() {
            return;
        }
        if self.lines.len() > SHORT_LOG {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The last message. A few lines are one message.
    pub(super) fn message(&self) -> Option<String> {
        let message = |line: &String| redact::message(&log::read(line).text).into_owned();
        if self.lines.len() > SHORT_LOG {
            return self.lines.back().map(message);
        }
        let whole = self.lines.iter().map(message).collect::<Vec<_>>().join(" ");
        (!whole.is_empty()).then_some(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &[u8]) -> Option<String> {
        let mut lines = LastLines::default();
        text.chunks(3).for_each(|piece| lines.push(piece));
        lines.end_line();
        lines.message()
    }

    #[test]
    fn a_few_lines_are_one_message_and_of_more_the_last_counts() {
        assert_eq!(message(b"\n \n"), None);
        assert_eq!(message(b"one\n\ntwo").as_deref(), Some("one two"));
        assert_eq!(message(b"1\n2\n3\n4\n5\n").as_deref(), Some("5"));
    }

    #[test]
    fn a_line_without_end_is_kept_up_to_a_limit_and_says_so() {
        let text = message(&vec![b'x'; 1 << 20]).unwrap();
        assert_eq!(text.len(), MAX_LINE + CUT.len());
        assert!(text.ends_with(CUT));
    }
}

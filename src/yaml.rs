//! Reads untrusted YAML with limits on its size and nesting.
//!
//! The parsers of the libyaml family take quadratic time on deep nesting and say little about where an
//! error is. So the size and the nesting are bounded before parsing, and every error carries line and column.

use serde::de::DeserializeOwned;
use thiserror::Error;

/// The limits of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole text.
    pub bytes: usize,
    /// Levels of nesting, block and flow together.
    pub depth: usize,
}

impl Limits {
    /// The limits of hand-written files: 32 KiB, 16 levels.
    pub const HAND_WRITTEN: Self = Self { bytes: 32 * 1024, depth: 16 };
}

/// Why a text was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {message}")]
pub struct YamlError {
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1, in characters.
    pub column: usize,
    /// The problem.
    pub message: String,
}

/// Parses a text within the limits. An error where a limit is exceeded, or where the text is invalid for `T`.
pub fn from_str<T: DeserializeOwned>(text: &str, limits: Limits) -> Result<T, YamlError> {
    if text.len() > limits.bytes {
        let message = format!("the text has {} bytes, more than the {} allowed", text.len(), limits.bytes);
        return Err(YamlError { line: 1, column: 1, message });
    }
    if let Some((line, column)) = too_deep(text, limits.depth) {
        let message = format!("nested deeper than the {} levels allowed", limits.depth);
        return Err(YamlError { line, column, message });
    }
    serde_yaml::from_str(text).map_err(|error| located(&error))
}

fn located(error: &serde_yaml::Error) -> YamlError {
    let (line, column) = error.location().map_or((1, 1), |at| (at.line().max(1), at.column().max(1)));
    let full = error.to_string();
    let message = full.rsplit_once(" at line ").map_or(full.as_str(), |(before, _)| before);
    YamlError { line, column, message: message.to_owned() }
}

/// The line and column at which the nesting exceeds `depth`. It may overestimate the nesting, and never underestimates it.
fn too_deep(text: &str, depth: usize) -> Option<(usize, usize)> {
    let mut indents: Vec<usize> = Vec::new();
    let mut flow = Flow::default();
    for (number, line) in text.lines().enumerate() {
        let body = line.trim_start_matches(' ');
        let indent = line.len() - body.len();
        if flow.open == 0 && !body.is_empty() {
            indents.retain(|&outer| outer < indent);
            indents.push(indent);
        }
        let dashes = compact_entries(body);
        if let Some(column) = flow.read(body, depth.saturating_sub(indents.len() + dashes)) {
            return Some((number + 1, indent + column + 1));
        }
        if indents.len() + dashes > depth {
            return Some((number + 1, indent + 1));
        }
    }
    None
}

/// The levels that a line like `- - - x` opens.
fn compact_entries(body: &str) -> usize {
    let mut rest = body;
    let mut entries = 0;
    while let Some(next) = rest.strip_prefix("- ").or_else(|| rest.strip_prefix("? ")) {
        entries += 1;
        rest = next.trim_start_matches(' ');
    }
    entries
}

/// The open brackets, without those in quoted text.
#[derive(Default)]
struct Flow {
    open: usize,
    quote: Option<char>,
}

impl Flow {
    /// The column at which more than `room` brackets are open.
    fn read(&mut self, line: &str, room: usize) -> Option<usize> {
        let mut before = ' ';
        for (column, character) in line.chars().enumerate() {
            let starts = matches!(before, ' ' | '[' | '{' | ',');
            match (self.quote, character) {
                (Some('"'), '"') if before != '\\' => self.quote = None,
                (Some('\''), '\'') => self.quote = None,
                (Some(_), _) => {}
                (None, '#') if before == ' ' => return None,
                (None, '"' | '\'') if starts => self.quote = Some(character),
                (None, '[' | '{') if starts => self.open += 1,
                (None, ']' | '}') => self.open = self.open.saturating_sub(1),
                _ => {}
            }
            if self.open > room {
                return Some(column);
            }
            before = character;
        }
        if self.open == 0 {
            self.quote = None;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::proptest;

    use super::{Limits, YamlError, from_str};

    const SMALL: Limits = Limits { bytes: 200_000, depth: 8 };

    fn read(text: &str) -> Result<serde_yaml::Value, YamlError> {
        from_str(text, SMALL)
    }

    #[test]
    fn ordinary_text_is_parsed() {
        let value =
            read("a:\n  - b: {c: [1, 2]}\n    d: '[[[[[[[[[['\n  - \"{{{{{{{{{\\\"{{\"\n# [[[[[[[[[[[[\n");
        assert!(value.is_ok(), "{value:?}");
    }

    #[test]
    fn deep_nesting_is_refused_at_once() {
        for text in ["[".repeat(100_000), "{a: ".repeat(50_000), "- ".repeat(100_000), "[\n".repeat(50_000)] {
            let start = Instant::now();
            assert!(read(&text).is_err_and(|error| error.message.contains("nested")));
            assert!(start.elapsed() < Duration::from_secs(20));
        }
    }

    #[test]
    fn deep_indentation_is_refused() {
        let text: String = (0..40).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
        let error = read(&text).unwrap_err();
        assert_eq!((error.line, error.column), (9, 9));
    }

    #[test]
    fn text_beyond_the_limit_is_refused() {
        assert!(read(&"a".repeat(SMALL.bytes + 1)).is_err());
    }

    #[test]
    fn error_has_its_line() {
        let error = read("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(error.line >= 2, "{error}");
    }

    proptest! {
        #[test]
        fn text_of_any_shape_ends_soon(text in "[-a: \\[\\]{},\n\"'#|>&*?]{0,2000}") {
            let start = Instant::now();
            let _ = from_str::<serde_json::Value>(&text, Limits::HAND_WRITTEN);
            assert!(start.elapsed() < Duration::from_secs(20));
        }
    }
}

//! Covers the values in the text of a daemon.json, in place: keys, punctuation, lines and columns stay.

use super::value;
use crate::diagnosis::redact::{cover, is_safe_option};

/// The text with every value covered that is not one of a safe option. Where the text is not JSON, keys are shown only
/// where they are known, since a key may then be a value with a quote in the wrong place.
pub fn json(text: &str) -> String {
    let valid = serde_json::from_str::<serde_json::Value>(text).is_ok();
    Masker { rest: text, shown: String::with_capacity(text.len()), path: Vec::new(), valid }.run()
}

/// A list or an object that is open, with the key that comes before its next value.
struct Level {
    is_list: bool,
    key: String,
}

/// The state of one pass.
struct Masker<'t> {
    rest: &'t str,
    shown: String,
    path: Vec<Level>,
    valid: bool,
}

impl Masker<'_> {
    fn run(mut self) -> String {
        while let Some(next) = self.rest.chars().next() {
            match next {
                '"' => self.string(),
                '{' | '[' => {
                    self.path.push(Level { is_list: next == '[', key: String::new() });
                    self.keep(1);
                }
                '}' | ']' => {
                    self.path.pop();
                    self.keep(1);
                }
                ',' => {
                    self.end_member();
                    self.keep(1);
                }
                ':' => self.keep(1),
                space if space.is_ascii_whitespace() || space == '\u{feff}' => self.keep(space.len_utf8()),
                _ => self.word(),
            }
        }
        self.shown
    }

    /// The keys of the open objects, the outermost first.
    fn keys(&self) -> Vec<&str> {
        self.path.iter().filter(|level| !level.is_list).map(|level| level.key.as_str()).collect()
    }

    fn end_member(&mut self) {
        if let Some(level) = self.path.last_mut() {
            level.key.clear();
        }
    }

    /// Takes so many bytes over unchanged.
    fn keep(&mut self, length: usize) {
        self.shown.push_str(&self.rest[..length]);
        self.rest = &self.rest[length..];
    }

    /// A string: a key where a colon follows in an object, else a value.
    fn string(&mut self) {
        let length = string_length(self.rest);
        let whole = &self.rest[..length];
        let inner = whole[1..].strip_suffix('"').filter(|_| length > 1).unwrap_or(&whole[1..]).to_owned();
        let closed = length > inner.len() + 1;
        let is_key = self.rest[length..].trim_start().starts_with(':')
            && self.path.last().is_some_and(|level| !level.is_list && level.key.is_empty());
        let shown = if is_key && (self.valid || is_safe_option(&inner) || super::is_known(&inner)) {
            inner.clone()
        } else if is_key || !closed {
            cover_string(&inner)
        } else {
            let shown = value(&self.keys(), &inner).into_owned();
            if shown == inner { shown } else { merge_escapes(&inner, &shown) }
        };
        if is_key && let Some(level) = self.path.last_mut() {
            level.key = if inner.is_empty() { " ".to_owned() } else { inner };
        }
        self.shown.push('"');
        self.shown.push_str(&shown);
        self.shown.push_str(if closed { "\"" } else { "" });
        self.rest = &self.rest[length..];
    }

    /// A number, `true`, `false`, `null`, or something that is not JSON. Digits of a number that is not safe become 1.
    fn word(&mut self) {
        let ends = |letter: char| letter.is_ascii_whitespace() || "\"{}[],:".contains(letter);
        let length = self.rest.find(ends).unwrap_or(self.rest.len());
        let word = &self.rest[..length];
        let shown = if serde_json::from_str::<serde_json::Number>(word).is_ok() {
            let safe = value(&self.keys(), word) == word;
            if safe { word.to_owned() } else { word.replace(|digit: char| digit.is_ascii_digit(), "1") }
        } else {
            let literals = ["true", "false", "null"];
            let same = |literal: &str| {
                literal.bytes().zip(word.bytes()).take_while(|(one, other)| one == other).count()
            };
            let kept = literals.iter().map(|literal| same(literal)).max().unwrap_or(0);
            format!("{}{}", &word[..kept], cover(&word[kept..]))
        };
        self.shown.push_str(&shown);
        self.rest = &self.rest[length..];
    }
}

/// The length in bytes of the string at the start of a text, with its quotes; all of the text where it does not end.
fn string_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// A string as it is written, covered: what makes it invalid JSON stays.
fn cover_string(raw: &str) -> String {
    merge_escapes(raw, &cover(raw))
}

/// The covered form of a string in which invalid escapes and control characters stay, so that the same error is found.
fn merge_escapes(raw: &str, covered: &str) -> String {
    if raw.len() != covered.len() || !raw.contains(|letter: char| letter == '\\' || letter < ' ') {
        return covered.to_owned();
    }
    let mut shown = covered.as_bytes().to_vec();
    let bytes = raw.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] < b' ' {
            shown[at] = bytes[at];
        }
        if bytes[at] == b'\\' {
            let next = bytes.get(at + 1).copied().unwrap_or_default();
            let digits = bytes.get(at + 2..at + 6).unwrap_or_default();
            if next == b'u' && !(digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit)) {
                shown[at..=at + 1].copy_from_slice(b"\\u");
                let digits = digits.iter().take_while(|digit| digit.is_ascii_hexdigit()).count();
                shown[at + 2..at + 2 + digits].fill(b'0');
            }
            if !b"\"\\/bfnrtu".contains(&next) && next.is_ascii() && next != 0 {
                shown[at..=at + 1].copy_from_slice(&bytes[at..=at + 1]);
            }
            at += 1;
        }
        at += 1;
    }
    String::from_utf8(shown).unwrap_or_else(|_| covered.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_covered_and_keys_lines_and_columns_stay() {
        let text = "{\n  \"debug\": true, \"mtu\": 1400,\n  \"log-opts\": {\"splunk-token\": \"canary\", \"max-size\": \"10m\"},\n  \
            \"labels\": [\"a=canary\", \"b\"],\n  \"hosts\": [\"unix:///a\"], \"new\": {\"pin\": 4711, \"ok\": null},\n  \
            \"data-root\": \"/d\"\n}";
        let shown = json(text);
        assert_eq!(
            shown,
            "{\n  \"debug\": true, \"mtu\": 1400,\n  \"log-opts\": {\"splunk-token\": \"xxxxxx\", \"max-size\": \"10m\"},\n  \
            \"labels\": [\"a=xxxxxx\", \"x\"],\n  \"hosts\": [\"unix:///a\"], \"new\": {\"pin\": 1111, \"ok\": null},\n  \
            \"data-root\": \"/d\"\n}"
        );
    }

    #[test]
    fn text_that_is_not_json_keeps_its_error_and_no_value() {
        for broken in [
            "{\"log-opts\": {\"splunk-token\": \"canary\",}}",
            "{\"log-opts\": {\"splunk-token\": canary}}",
            "{\"log-opts\" {\"splunk-token\": \"canary\"}}",
            "{'http-proxy': 'http://u:canary@p'}",
            "{\"http-proxy\": \"http://u:canary@p}",
            "{\"a\": \"canary\\q\"}",
            "{\"a\": \"canary\nx\"}",
            "{\"canary\": \"canary\": 1}",
            "{\"a\": tru}",
            "{\"a\": nulL}",
            "{\"a\": 01}",
            "labels: canary",
            "{\"labels\": [\"canary\"]} canary",
            "{\"labels\": [\"canary\"}",
            "{\"a\":\t\"canary\\u00zz\"}",
            "canary",
            "# canary\n{}",
        ] {
            let error = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_err();
            let shown = json(broken);
            assert!(!shown.contains("canary"), "{shown}");
            assert_eq!(shown.len(), broken.len());
            let (before, after) = (error(broken), error(&shown));
            assert_eq!(before.line(), after.line(), "{shown}: {before} / {after}");
        }
    }

    #[test]
    fn safe_values_are_found_again_and_others_keep_their_type() {
        let text = r#"{"x": {"data-root": "/d"}, "default-address-pools": [{"base": "10.0.0.0/8", "size": 24}], "dns": ["1.1.1.1"], "unknown": 1.5}"#;
        let shown: serde_json::Value = serde_json::from_str(&json(text)).unwrap();
        let given: serde_json::Value = serde_json::from_str(text).unwrap();
        for key in ["x", "default-address-pools", "dns"] {
            assert_eq!(shown[key], given[key]);
        }
        assert!(shown["unknown"].is_f64());
    }
}

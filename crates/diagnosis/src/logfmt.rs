//! Reads the `key=value` fields of a logfmt line.
//!
//! The level is separated, the time dropped; the message comes first and the other fields follow with their names.
//! A line that is cut at either end is read as far as it goes.

use super::log::{Level, level_of};

/// A logfmt line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) level: Level,
    pub(super) text: String,
}

/// Reads a logfmt line, whose front may be missing; `None` for any other.
pub(super) fn read(line: &str) -> Option<Fields> {
    let mut rest = &line[start(line)?..];
    let mut fields = Fields { level: Level::Quiet, text: String::with_capacity(line.len()) };
    let mut others = String::new();
    while let Some((key, value, after)) = next(rest) {
        match key {
            "time" | "ts" | "t" => {}
            "level" | "evel" | "vel" => fields.level = level_of(value),
            "msg" => fields.text.push_str(value),
            _ => {
                others.push(' ');
                others.push_str(key);
                others.push('=');
                others.push_str(value);
            }
        }
        rest = after;
    }
    fields.text.push_str(&others);
    Some(fields)
}

/// The offset at which the fields begin, after any unknown wrapper.
fn start(line: &str) -> Option<usize> {
    let level = position(line, "level=").or_else(|| position(line, "evel=").filter(|&at| at == 0))?;
    let time = position(line, "time=").filter(|&time| time < level);
    (level < 160 && (line.contains("msg=") || line.contains("error="))).then_some(time.unwrap_or(level))
}

/// The offset of the word, at the front or after a space.
fn position(line: &str, word: &str) -> Option<usize> {
    let at = line.find(word)?;
    (at == 0 || line.as_bytes().get(at - 1) == Some(&b' ')).then_some(at)
}

/// The next field, and what follows it. Text without `=` has an empty key.
fn next(rest: &str) -> Option<(&str, &str, &str)> {
    let rest = rest.trim_start_matches(' ');
    if rest.is_empty() {
        return None;
    }
    let key_end = rest.find(['=', ' ', '"'])?;
    if rest.as_bytes().get(key_end) != Some(&b'=') {
        let (word, after) = rest.split_at(rest[key_end..].find(' ').map_or(rest.len(), |at| key_end + at));
        return Some(("", word, after));
    }
    let (key, value) = (&rest[..key_end], &rest[key_end + 1..]);
    if let Some(quoted) = value.strip_prefix('"') {
        let end = closing_quote(quoted);
        return Some((key, &quoted[..end], quoted.get(end + 1..).unwrap_or("")));
    }
    let end = value.find(' ').unwrap_or(value.len());
    Some((key, &value[..end], &value[end..]))
}

fn closing_quote(quoted: &str) -> usize {
    let bytes = quoted.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' if ends_value(&quoted[at + 1..]) => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Whether a quote ends its value: another field or the end must follow, because programs forget to escape inner
/// quotes.
fn ends_value(after: &str) -> bool {
    let Some(rest) = after.strip_prefix(' ') else { return after.trim_end().is_empty() };
    let word = rest.split([' ', '"']).next().unwrap_or("");
    word.is_empty() || word.contains('=')
}

#[cfg(test)]
mod tests {
    use super::{Fields, read};
    use crate::log::Level;

    #[test]
    fn message_first_then_the_fields() {
        let fields = read(r#"time="x" level=warning msg="a b" error="c \"d\"" module=e"#);
        assert_eq!(
            fields,
            Some(Fields { level: Level::Warning, text: r#"a b error=c \"d\" module=e"#.into() })
        );
    }

    #[test]
    fn inner_quotes_that_nobody_escaped_stay_inside() {
        let fields = read(r#"level=error msg="failed" error="exec: "shim": not found: unknown""#);
        assert_eq!(
            fields.map(|fields| fields.text),
            Some(r#"failed error=exec: "shim": not found: unknown"#.into())
        );
    }

    #[test]
    fn cut_lines_are_read_as_far_as_they_go() {
        for line in [
            "level=error msg=\"x",
            "evel=warning msg=\"x\" a=\"\\",
            "level=",
            "level=error msg=",
            "level=\u{e9}",
        ] {
            let _ = read(line);
        }
        assert_eq!(read("level=error msg=\"x y").map(|fields| fields.text), Some("x y".into()));
    }
}

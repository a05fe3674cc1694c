//! daemon.json, validated as a given version of dockerd validates it: strict about names and types.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::mismatch::{describe, mistyped};
use super::options::{self, Kind};
use crate::diagnosis::redact::is_safe_option;
use crate::diagnosis::{CauseId, causes};
use crate::facts::version::Version;
use crate::finding::{Finding, quoted};
use crate::redact;

/// The cause of every problem of the file itself.
const INVALID: CauseId = causes::DAEMON_JSON_INVALID;
/// The first version that reads byte order marks and refuses invalid UTF-8.
const READS_MARKS: Version = Version::new(23, 0, 0);

/// The options of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigFile {
    /// The values by option; options inside of a grouping object are at the top level as well.
    pub values: BTreeMap<String, Value>,
    /// What dockerd refuses, and keys without effect.
    pub problems: Vec<Finding>,
}

/// Parses and validates the bytes of the file at `path`.
pub fn parse(path: &Path, bytes: &[u8], version: Version) -> ConfigFile {
    let refused = |problem: Finding| ConfigFile {
        problems: vec![problem.with("path", path.display())],
        ..ConfigFile::default()
    };
    let text = match decode(bytes, version) {
        Ok(text) => text,
        Err(why) => return refused(Finding::fail(INVALID, format!("{} {why}", path.display()))),
    };
    if text.trim().is_empty() {
        return empty(path, version);
    }
    match read(&text, version) {
        Err(error) => refused(syntax(path, &text, &error)),
        Ok(Value::Null) => ConfigFile::default(),
        Ok(Value::Object(object)) => {
            let mut file = judge(path, flatten(object.clone()), version);
            file.problems.extend(ungrouped(path, &object, version));
            file
        }
        Ok(_) => {
            refused(Finding::fail(INVALID, format!("{} is JSON, but not an object {{...}}", path.display())))
        }
    }
}

/// The value of an option in the bytes of a file, whichever version reads it; `None` where no version does.
pub(super) fn value(bytes: &[u8], key: &str) -> Option<Value> {
    let read_by = |version: Version| match read(&decode(bytes, version).ok()?, version) {
        Ok(Value::Object(object)) => flatten(object).remove(key),
        _ => None,
    };
    [options::NEWEST, Version::new(0, 0, 0)].into_iter().find_map(read_by)
}

/// Parses the JSON. Before 23.0 dockerd ignored everything after the first value.
fn read(text: &str, version: Version) -> serde_json::Result<Value> {
    if version >= READS_MARKS {
        return serde_json::from_str(text);
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter();
    values.next().unwrap_or(Ok(Value::Null))
}

/// The findings for an object in place of a plain value: its members pass the check of names, and then the type is wrong.
fn ungrouped(path: &Path, object: &serde_json::Map<String, Value>, version: Version) -> Vec<Finding> {
    let misfits =
        object.iter().filter(|(key, value)| value.is_object() && !options::WHOLE.contains(&key.as_str()));
    let misfits =
        misfits.filter_map(|(key, value)| misfit(path, key, options::by_key(key, version)?.kind, value));
    misfits.collect()
}

/// The finding for a value of the wrong type.
fn misfit(path: &Path, key: &str, kind: Kind, value: &Value) -> Option<Finding> {
    let expected = mistyped(kind, value)?;
    let what = format!("{}: \"{key}\" must be {expected}, not {}", path.display(), describe(value));
    let finding = Finding::fail(INVALID, what).with("path", path.display()).with("key", key);
    Some(finding.hint(match fitting(key, kind, value) {
        Some(member) => format!("write {member} in {}", path.display()),
        None => format!("make \"{key}\" {expected} in {}, or remove it", path.display()),
    }))
}

/// What may have been meant by a value of another type.
fn fitting(key: &str, kind: Kind, value: &Value) -> Option<String> {
    match (kind, value) {
        (Kind::Bool, _) => Some(format!("`\"{key}\": true` or `\"{key}\": false`")),
        (Kind::List, Value::String(text)) if is_safe_option(key) => {
            Some(format!("`\"{key}\": [{}]`", Value::from(text.as_str())))
        }
        (Kind::Int, Value::String(text)) if text.trim().parse::<i64>().is_ok() => {
            Some(format!("`\"{key}\": {}`", text.trim()))
        }
        _ => None,
    }
}

/// Decodes the bytes, by their byte order mark where the version knows it.
fn decode(bytes: &[u8], version: Version) -> Result<Cow<'_, str>, &'static str> {
    let wide = |bytes: &[u8], number: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| number([pair[0], pair[1]])).collect();
        String::from_utf16(&units).map(Cow::Owned).map_err(|_| "is not valid UTF-16")
    };
    match bytes {
        _ if version < READS_MARKS => Ok(String::from_utf8_lossy(bytes)),
        [0xef, 0xbb, 0xbf, rest @ ..] => {
            std::str::from_utf8(rest).map(Cow::Borrowed).map_err(|_| "is not valid UTF-8")
        }
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| "is not valid UTF-8"),
    }
}

/// The result for an empty file: an empty configuration since 23.0, invalid JSON before.
fn empty(path: &Path, version: Version) -> ConfigFile {
    let mut file = ConfigFile::default();
    if version < READS_MARKS {
        let what = format!("{} is empty, which dockerd {version} refuses", path.display());
        file.problems.push(
            Finding::fail(INVALID, what)
                .with("path", path.display())
                .hint(format!("`echo '{{}}' > {}`", quoted(path))),
        );
    }
    file
}

/// The finding for a syntax error, with line and column, which the message of serde repeats at its end.
fn syntax(path: &Path, text: &str, error: &serde_json::Error) -> Finding {
    let (line, column) = (error.line(), error.column());
    let why = error.to_string();
    let why = why.split(" at line ").next().unwrap_or_default();
    let text = redact::json(text);
    let shown = text.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim();
    Finding::fail(
        INVALID,
        format!("{} is not valid JSON at line {line}, column {column}: {why}", path.display()),
    )
    .with("line", line)
    .with("column", column)
    .with("text", shown.chars().take(80).collect::<String>())
}

/// Replaces grouping objects by their members, as dockerd does (`configValuesSet`).
pub(super) fn flatten(object: serde_json::Map<String, Value>) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    for (key, value) in object {
        match value {
            Value::Object(members) if !options::WHOLE.contains(&key.as_str()) => flat.extend(members),
            value => {
                flat.insert(key, value);
            }
        }
    }
    flat
}

/// Checks names and types.
fn judge(path: &Path, values: BTreeMap<String, Value>, version: Version) -> ConfigFile {
    let unknown = |key: &&String| !options::is_tolerated(key, version);
    let strangers: Vec<_> = values.keys().filter(unknown).cloned().collect();
    let mut problems = Vec::new();
    if !strangers.is_empty() {
        problems.push(stranger(path, &strangers, version));
    }
    for (key, value) in &values {
        match options::by_key(key, version) {
            Some(option) => problems.extend(misfit(path, key, option.kind, value)),
            None => problems.extend(without_effect(path, key, version)),
        }
    }
    ConfigFile { values, problems }
}

/// The finding for keys that this version does not know.
fn stranger(path: &Path, keys: &[String], version: Version) -> Finding {
    let named = keys.iter().map(|key| format!("\"{key}\"")).collect::<Vec<_>>().join(", ");
    let what = format!("{}: dockerd {version} does not know {named}", path.display());
    let finding = if version > options::NEWEST {
        // A dockerd that is newer than the table may know it.
        Finding::warn(INVALID, format!("{what} as far as dindcheck can tell"))
    } else {
        Finding::fail(INVALID, what)
    };
    let finding = finding.with("path", path.display()).with("keys", keys.join(", "));
    let since = keys.iter().find_map(|key| options::ALL.iter().find(|option| option.key == key));
    match since {
        Some(option) if option.since > version => finding.hint(format!(
            "remove \"{}\" from {}: dockerd {} and later know it",
            option.key,
            path.display(),
            option.since
        )),
        Some(option) => finding.hint(format!(
            "remove \"{}\" from {}: it is gone since {}",
            option.key,
            path.display(),
            option.until
        )),
        None => finding.hint(format!("remove {named} from {}", path.display())),
    }
}

/// The finding for the name of a flag in the file, which dockerd accepts and ignores.
fn without_effect(path: &Path, key: &str, version: Version) -> Option<Finding> {
    let option = options::by_flag(key, version).filter(|option| option.key != key)?;
    let what = format!(
        "{}: \"{key}\" has no effect in the file; its name there is \"{}\"",
        path.display(),
        option.key
    );
    Some(Finding::warn(INVALID, what).with("path", path.display()).with("key", key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Level;

    const OLD: Version = Version::new(20, 10, 24);
    const NEW: Version = Version::new(28, 5, 2);

    fn parsed(text: &str, version: Version) -> ConfigFile {
        parse(Path::new("/etc/docker/daemon.json"), text.as_bytes(), version)
    }

    fn refusal(text: &str, version: Version) -> Option<String> {
        parsed(text, version).problems.into_iter().find(|p| p.level == Level::Fail).map(|p| p.what)
    }

    #[test]
    fn syntax_error_has_line_and_column() {
        let said = refusal("{\n  \"debug\": true,\n}", NEW).unwrap();
        assert!(said.contains("line 3, column 1"), "{said}");
        assert!(refusal("{} x", NEW).is_some() && refusal("[]", NEW).unwrap().contains("not an object"));
    }

    #[test]
    fn names_and_types_are_checked_for_the_version() {
        assert_eq!(refusal(r#"{"debug": true, "mtu": 1400, "dns": ["1.1.1.1"]}"#, NEW), None);
        assert!(refusal(r#"{"graph": "/x"}"#, NEW).unwrap().contains("does not know \"graph\""));
        assert_eq!(refusal(r#"{"graph": "/x"}"#, OLD), None);
        assert!(refusal(r#"{"mtu": "1400"}"#, NEW).unwrap().contains("a whole number, not a string"));
        assert!(refusal(r#"{"mtu": 1400.0}"#, NEW).is_some());
        assert!(refusal(r#"{"hosts": "unix:///x"}"#, NEW).unwrap().contains("a list of strings"));
        assert_eq!(refusal(r#"{"mtu": null}"#, NEW), None);
    }

    #[test]
    fn grouping_object_is_flattened_and_flag_name_is_a_warning() {
        assert!(parsed(r#"{"anything": {"debug": true}}"#, NEW).values.contains_key("debug"));
        let ignored = parsed(r#"{"host": ["unix:///x"]}"#, NEW);
        assert!(ignored.problems.len() == 1 && ignored.problems[0].level == Level::Warn, "{ignored:?}");
    }

    #[test]
    fn empty_file_and_byte_order_mark_depend_on_the_version() {
        assert!(refusal("", OLD).is_some() && refusal(" \n", NEW).is_none());
        assert!(refusal("\u{feff}{}", OLD).is_some() && refusal("\u{feff}{}", NEW).is_none());
        let wide: Vec<u8> = "\u{feff}{\"debug\":true}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(parse(Path::new("/x"), &wide, NEW).values.contains_key("debug"));
    }

    #[test]
    fn unknown_key_of_a_newer_version_is_a_warning() {
        let file = parsed(r#"{"brand-new": 1}"#, Version::new(31, 0, 0));
        assert!(file.problems.iter().all(|problem| problem.level == Level::Warn));
    }
}

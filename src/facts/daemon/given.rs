//! How an option of dockerd was given, and how that is undone: what a remedy has to name.

use serde_json::Value;

use super::{Daemon, options};
use crate::redact;

/// An option as it was given. Both texts have their command or value in backquotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The flag, or the key with its file.
    pub by: String,
    /// What to do to be without it.
    pub undo: String,
}

/// An option by its key in daemon.json. An option in both is a problem of its own; here its flag counts.
pub fn given(daemon: &Daemon, key: &str) -> Given {
    let flag = options::by_key(key, daemon.version).map_or(key, |option| option.flag);
    if let Some(value) = daemon.flags.values.get(key) {
        return by_flag(&format!("--{flag}={}", redact::option_text(key, &plain(value))));
    }
    let value = daemon.settings.values.get(key).map(|value| shown(key, value)).unwrap_or_default();
    let member = format!("`\"{key}\": {value}`");
    let path = daemon.config.display();
    Given {
        by: format!("{member} in {path}"),
        undo: format!("remove {member} from {path}, and restart dockerd"),
    }
}

/// A member of a list option.
pub fn given_member(daemon: &Daemon, key: &str, member: &str) -> Given {
    let shown = redact::option_text(key, member);
    if daemon.flags.values.contains_key(key) {
        let flag = options::by_key(key, daemon.version).map_or(key, |option| option.flag);
        return by_flag(&format!("--{flag}={shown}"));
    }
    let path = daemon.config.display();
    let by = format!("`\"{shown}\"` in \"{key}\" of {path}");
    Given { undo: format!("remove `\"{shown}\"` from \"{key}\" in {path}, and restart dockerd"), by }
}

/// `--flag VALUE` or `"key": VALUE` in the file, as the option was given or else as a flag.
pub fn instead(daemon: &Daemon, key: &str, value: &Value) -> String {
    let flag = options::by_key(key, daemon.version).map_or(key, |option| option.flag);
    if daemon.file.values.contains_key(key) {
        format!("set `\"{key}\": {value}` in {}", daemon.config.display())
    } else {
        format!("start dockerd with `--{flag}={}`", plain(value))
    }
}

fn by_flag(flag: &str) -> Given {
    let by = format!("`{flag}`");
    Given { undo: format!("start dockerd without {by}"), by }
}

/// A value as a flag has it; one that may be given again and again is a list.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// A value of the file, with what may be a secret covered.
fn shown(key: &str, value: &Value) -> String {
    match value {
        Value::String(text) => Value::from(redact::option_text(key, text)).to_string(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ => "...".to_owned(),
    }
}

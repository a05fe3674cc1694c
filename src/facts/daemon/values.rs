//! The options as they were given, by a flag or in the file.

use std::collections::BTreeMap;

use serde_json::Value;

use super::file::ConfigFile;
use super::flags::Flags;

/// The options by their name in daemon.json.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values(BTreeMap<String, Value>);

impl Values {
    /// The flags, and the file for all others; an option in both is a problem of its own.
    pub(super) fn merged(flags: &Flags, file: &ConfigFile) -> Self {
        let mut values = file.values.clone();
        values.extend(flags.values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        Self(values)
    }

    /// Whether the option was given.
    pub fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|value| !value.is_null())
    }

    /// Whether the option was given as an empty string, which turns some options off.
    pub fn is_emptied(&self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_str) == Some("")
    }

    /// The value of a string option; `None` for an empty string.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// The value of a boolean option.
    pub fn switch(&self, key: &str) -> Option<bool> {
        self.0.get(key).and_then(Value::as_bool)
    }

    /// The value of an integer option.
    pub fn number(&self, key: &str) -> Option<i64> {
        self.0.get(key).and_then(Value::as_i64)
    }

    /// The values of a list of strings.
    pub fn list(&self, key: &str) -> Vec<&str> {
        let list = self.0.get(key).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// A member of an object option.
    pub fn member(&self, key: &str, member: &str) -> Option<&Value> {
        self.0.get(key).and_then(|object| object.get(member))
    }

    /// The value of a feature (`features`), where it is set.
    pub fn feature(&self, name: &str) -> Option<bool> {
        self.member("features", name).and_then(Value::as_bool)
    }

    /// The value of any option.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }
}

//! What was each option set to, by a flag or in the file?

use std::collections::BTreeMap;

use serde_json::Value;

use super::file::ConfigFile;
use super::flags::Flags;

/// Options as they were given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values(BTreeMap<String, Value>);

impl Values {
    /// Flags over the file; both at once is a problem that dockerd refuses.
    pub(super) fn merged(flags: &Flags, file: &ConfigFile) -> Self {
        let mut values = file.values.clone();
        values.extend(flags.values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        Self(values)
    }

    /// Whether it was given.
    pub fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|value| !value.is_null())
    }

    /// Whether it was given as an empty text, which switches some options off.
    pub fn is_emptied(&self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_str) == Some("")
    }

    /// A text that is not empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// A switch.
    pub fn switch(&self, key: &str) -> Option<bool> {
        self.0.get(key).and_then(Value::as_bool)
    }

    /// A number.
    pub fn number(&self, key: &str) -> Option<i64> {
        self.0.get(key).and_then(Value::as_i64)
    }

    /// A list of texts.
    pub fn list(&self, key: &str) -> Vec<&str> {
        let list = self.0.get(key).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// A member of an object.
    pub fn member(&self, key: &str, member: &str) -> Option<&Value> {
        self.0.get(key).and_then(|object| object.get(member))
    }

    /// A feature, where it is set.
    pub fn feature(&self, name: &str) -> Option<bool> {
        self.member("features", name).and_then(Value::as_bool)
    }

    /// Anything.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }
}

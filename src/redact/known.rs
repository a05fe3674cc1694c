//! The secrets of a run, as texts: values of options that are not shown. What repeats them, such as a line of the daemon's
//! log, is shown without them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{arguments, value};
use crate::diagnosis::redact::{WITHHELD, message, without_logins};

/// A shorter value is not looked for, nor one of small letters alone: it may be an ordinary word.
const SHORTEST: usize = 8;

/// Options whose values appear in messages that a reader needs: only the logins in them are secrets.
const ADDRESSES: &[&str] = &[
    "allow-nondistributable-artifacts",
    "insecure-registries",
    "insecure-registry",
    "no-proxy",
    "registry-mirror",
];

/// Secrets whose text is known.
#[derive(Debug, Clone, Default)]
pub struct KnownSecrets(BTreeSet<String>);

impl KnownSecrets {
    /// Adds what is not shown of a string at a path of keys in daemon.json.
    pub fn add(&mut self, path: &[&str], text: &str) {
        self.add_hidden(text, &without_logins(text));
        let is_address = path.last().is_some_and(|key| ADDRESSES.contains(key)) || text.contains("://");
        if !is_address {
            self.add_hidden(text, &value(path, text));
        }
    }

    /// Adds every string of a parsed daemon.json that is not shown.
    pub fn add_json<'v>(&mut self, path: &mut Vec<&'v str>, json: &'v Value) {
        match json {
            Value::String(text) => self.add(path, text),
            Value::Array(list) => list.iter().for_each(|item| self.add_json(path, item)),
            Value::Object(members) => {
                for (key, item) in members {
                    path.push(key);
                    self.add_json(path, item);
                    path.pop();
                }
            }
            _ => {}
        }
    }

    /// Adds what is not shown of dockerd's arguments.
    pub fn add_arguments(&mut self, args: &[String]) {
        for (given, shown) in args.iter().zip(arguments(args)) {
            self.add_hidden(given, &without_logins(given));
            let is_address = given.contains("://") || ADDRESSES.iter().any(|name| given.contains(name));
            if !is_address {
                self.add_hidden(given, &shown);
            }
        }
    }

    /// Adds the parts of a text that are covered in what is shown of it, and the words in them.
    fn add_hidden(&mut self, given: &str, shown: &str) {
        if given == shown || given.len() != shown.len() {
            return;
        }
        let mut start = 0;
        for part in shown.split_inclusive(|letter| letter != 'x') {
            let covered = part.trim_end_matches(|letter| letter != 'x');
            let hidden = given.get(start..start + covered.len()).unwrap_or_default();
            start += part.len();
            if hidden != covered {
                let words =
                    hidden.split(|letter: char| letter.is_whitespace() || "=:/?&,@\"'".contains(letter));
                self.0
                    .extend(words.chain([hidden]).filter(|word| may_be_secret(word)).map(ToOwned::to_owned));
            }
        }
    }

    /// A text for people or programs, without logins and without these secrets.
    pub fn hide(&self, text: &str) -> String {
        let text = message(text);
        // The longer one first: it may hold the shorter one.
        let mut secrets: Vec<_> = self.0.iter().filter(|secret| text.contains(secret.as_str())).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.into_iter().fold(text.clone().into_owned(), |text, secret| text.replace(secret, WITHHELD))
    }
}

/// Whether a value is long enough, and no ordinary word.
fn may_be_secret(text: &str) -> bool {
    text.len() >= SHORTEST && !text.bytes().all(|byte| byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn repeated_secrets_are_hidden() {
        let mut known = KnownSecrets::default();
        let config = json!({
            "labels": ["team=canary-label"], "log-opts": {"splunk-token": "canary-token", "max-size": "10m"},
            "hosts": ["tcp://me:canary-host@h:1"], "data-root": "/data-root",
            "proxies": {"http-proxy": "http://me:canary-proxy@p:1"}, "registry-mirrors": ["https://mirror.example"],
        });
        known.add_json(&mut Vec::new(), &config);
        known.add_arguments(&["--log-opt".into(), "env=canary-flag".into(), "--data-root=/data-root".into()]);
        for (said, shown) in [
            ("unknown log opt canary-token in /data-root", "unknown log opt withheld in /data-root"),
            ("canary-label 10m (canary-flag)", "withheld 10m (withheld)"),
            ("http://me:canary-proxy@p:1", "http://xx:xxxxxxxxxxxx@p:1"),
            ("login me:canary-host", "login me:withheld"),
            ("Get https://mirror.example/v2/", "Get https://mirror.example/v2/"),
        ] {
            assert_eq!(known.hide(said), shown);
        }
    }

    #[test]
    fn words_are_not_taken_for_secrets() {
        let mut known = KnownSecrets::default();
        for label in ["a=is", "a=dockerdaemon", "a=docker"] {
            known.add(&["labels"], label);
        }
        assert_eq!(known.hide("this is a dockerdaemon docker"), "this is a dockerdaemon docker");
    }
}

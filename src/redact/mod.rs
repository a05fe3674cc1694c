//! What of dockerd's options, of daemon.json and of texts may be shown in a report, on stderr or in a recording.
//!
//! The list of what is safe is [`diagnosis::redact`](crate::diagnosis::redact); everything else is covered. A covered value
//! keeps its type and its shape, so that a recording gives the same findings.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::diagnosis::redact::{WITHHELD, cover, is_safe_option, message, without_logins};

mod arguments;
mod json;

pub use arguments::{arguments, is_known, is_switch};
pub use json::json;

/// The options whose value is an object: the names of its members are shown, and the values of these members.
const MEMBERS: &[(&str, &[&str])] = &[
    ("builder", &[]),
    ("cluster-store-opts", &[]),
    ("default-address-pools", &["base", "size"]),
    ("default-network-opts", &["com.docker.network.driver.mtu"]),
    ("default-ulimits", &["Hard", "Name", "Soft"]),
    ("features", &[]),
    ("log-opts", &["cache-disabled", "compress", "max-buffer-size", "max-file", "max-size", "mode"]),
    ("nri-opts", &[]),
    ("runtimes", &["path", "runtimeType"]),
];

/// The options that are lists of `name=value`: the values of these names are shown.
const PAIRS: &[(&str, &[&str])] = &[
    ("add-runtime", &[]),
    ("cluster-store-opt", &[]),
    ("default-network-opt", &[]),
    ("exec-opt", &["native.cgroupdriver"]),
    ("exec-opts", &["native.cgroupdriver"]),
    ("label", &[]),
    ("labels", &[]),
    ("log-opt", &["cache-disabled", "compress", "max-buffer-size", "max-file", "max-size", "mode"]),
    ("storage-opt", STORAGE),
    ("storage-opts", STORAGE),
];

/// The options of storage drivers.
const STORAGE: &[&str] = &[
    "btrfs.min_space",
    "dm.basesize",
    "dm.fs",
    "overlay.override_kernel_check",
    "overlay2.override_kernel_check",
    "overlay2.size",
    "size",
    "vfs.xattrs",
    "zfs.fsname",
];

/// The string at a path of keys in daemon.json, as it may be shown. The last key counts, since any object may group
/// options, except below an option whose value is an object.
pub fn value<'t>(path: &[&str], text: &'t str) -> Cow<'t, str> {
    let member = path.iter().find_map(|key| find(MEMBERS, key));
    let option = path.last().copied().unwrap_or_default();
    match member {
        Some(safe) if path.len() > 1 && safe.contains(&option) => without_logins(text),
        Some(_) => cover(text).into(),
        None => option_text(option, text),
    }
}

/// One value of an option, given by its name in daemon.json or by that of its flag, as it may be shown.
pub fn option_text<'t>(option: &str, text: &'t str) -> Cow<'t, str> {
    if is_safe_option(option) {
        return without_logins(text);
    }
    match find(PAIRS, option) {
        Some(safe) => pair(text, safe).into(),
        None => cover(text).into(),
    }
}

/// `name=value` with the value covered unless the name is safe. The name is shown only where it can be one.
fn pair(text: &str, safe: &[&str]) -> String {
    let is_name = |name: &str| {
        (1..=64).contains(&name.trim().len())
            && name.trim().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
    };
    match text.split_once('=').filter(|(name, _)| is_name(name)) {
        Some((name, _)) if safe.contains(&name.trim()) => without_logins(text).into_owned(),
        Some((name, value)) => format!("{name}={}", cover(value)),
        None => match text.split_once('=') {
            Some((name, value)) => format!("{}={}", cover(name), cover(value)),
            None => cover(text),
        },
    }
}

fn find(table: &[(&str, &'static [&'static str])], key: &str) -> Option<&'static [&'static str]> {
    table.iter().find(|(name, _)| *name == key).map(|(_, safe)| *safe)
}

/// Secrets whose text is known, because they are values of options that are not safe. What repeats them, such as a line of
/// the daemon's log, is shown without them.
#[derive(Debug, Clone, Default)]
pub struct KnownSecrets(BTreeSet<String>);

/// A shorter value is not looked for: it would be found in ordinary words.
const SHORTEST: usize = 6;

impl KnownSecrets {
    /// Adds what is covered of a string at a path of keys in daemon.json.
    pub fn add(&mut self, path: &[&str], text: &str) {
        self.add_difference(text, &value(path, text));
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

    /// Adds what is covered of dockerd's arguments.
    pub fn add_arguments(&mut self, args: &[String]) {
        for (given, shown) in args.iter().zip(arguments(args)) {
            self.add_difference(given, &shown);
        }
    }

    /// Adds the part of a text that `shown` covers. Of a URL without a login nothing is secret.
    fn add_difference(&mut self, given: &str, shown: &str) {
        let same = given.bytes().zip(shown.bytes()).take_while(|(one, other)| one == other).count();
        let start = (0..=same).rev().find(|at| given.is_char_boundary(*at)).unwrap_or(0);
        let hidden = if given == shown { "" } else { given[start..].trim() };
        let tail = shown.len().min(given.len());
        let rest = if given.len() == shown.len() { common_end(given, shown).min(tail) } else { 0 };
        for secret in [hidden, hidden.get(..hidden.len().saturating_sub(rest)).unwrap_or(hidden)] {
            if secret.len() >= SHORTEST {
                self.0.insert(secret.to_owned());
            }
        }
    }

    /// A text for people or programs, without logins and without these secrets.
    pub fn hide(&self, text: &str) -> String {
        // The longer one first: it may hold the shorter one.
        let mut secrets: Vec<_> = self.0.iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let mut shown = text.to_owned();
        for secret in secrets {
            if shown.contains(secret.as_str()) {
                shown = shown.replace(secret.as_str(), WITHHELD);
            }
        }
        message(&shown).into_owned()
    }
}

/// The length of the common end of two texts.
fn common_end(one: &str, other: &str) -> usize {
    one.bytes().rev().zip(other.bytes().rev()).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_values_of_safe_options_are_shown() {
        for (path, text, shown) in [
            (&["data-root"][..], "/d", "/d"),
            (&["hosts"], "tcp://a:b@h:1", "tcp://xxx@h:1"),
            (&["paths", "data-root"], "/d", "/d"),
            (&["labels"], "team=blue", "team=xxxx"),
            (&["labels"], "no label", "xx xxxxx"),
            (&["labels"], "a b=c", "x x=x"),
            (&["log-opts", "splunk-token"], "abc", "xxx"),
            (&["log-opts", "max-size"], "10m", "10m"),
            (&["log-opts"], "max-size", "xxxxxxxx"),
            (&["runtimes", "runc", "path"], "/usr/bin/runc", "/usr/bin/runc"),
            (&["runtimes", "runc", "runtimeArgs"], "--key=abc", "xxxxxxxxx"),
            (&["exec-opts"], "native.cgroupdriver=systemd", "native.cgroupdriver=systemd"),
            (&["exec-opts"], "other=abc", "other=xxx"),
            (&["registry-mirrors"], "https://r", "xxxxxxxxx"),
            (&["proxies", "http-proxy"], "http://p:1", "xxxxxxxxxx"),
            (&["never-heard-of"], "abc", "xxx"),
            (&[], "abc", "xxx"),
            // A safe name below an option whose members are not.
            (&["cluster-store-opts", "data-root"], "abc", "xxx"),
            (&["default-address-pools", "base"], "10.0.0.0/8", "10.0.0.0/8"),
        ] {
            assert_eq!(value(path, text), shown, "{path:?}");
        }
    }

    #[test]
    fn repeated_secrets_are_hidden() {
        let mut known = KnownSecrets::default();
        let config = json!({
            "labels": ["team=canary-label"], "log-opts": {"splunk-token": "canary-token", "max-size": "10m"},
            "hosts": ["tcp://me:canary-host@h:1"], "data-root": "/data-root", "proxies": {"http-proxy": "http://me:canary-proxy@p:1"},
        });
        known.add_json(&mut Vec::new(), &config);
        known.add_arguments(&["--log-opt".into(), "env=canary-flag".into(), "--data-root=/data-root".into()]);
        let said = "unknown log opt canary-token in /data-root of canary-label 10m (canary-flag) \
            http://me:canary-proxy@p:1 me:canary-host";
        assert_eq!(
            known.hide(said),
            "unknown log opt withheld in /data-root of withheld 10m (withheld) withheld withheld"
        );
    }

    #[test]
    fn short_values_do_not_cover_words() {
        let mut known = KnownSecrets::default();
        known.add(&["labels"], "a=is");
        assert_eq!(known.hide("this is it"), "this is it");
    }
}

//! What of dockerd's options, of daemon.json and of texts may be shown in a report, on stderr or in a recording.
//!
//! The list of what is safe is [`diagnosis::redact`](crate::diagnosis::redact); everything else is covered. A covered value
//! keeps its type and its shape, so that a recording gives the same findings.

use crate::diagnosis::redact::{cover, is_safe_option, without_logins};
use std::borrow::Cow;

mod arguments;
mod json;
mod known;

pub use arguments::{arguments, command, is_known, is_switch};
pub use json::json;
pub use known::KnownSecrets;

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

/// Whether a value is covered, as recordings have it: nothing is known of it.
pub fn is_covered(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte == b'x')
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_of_safe_options_are_shown() {
        for (path, text, shown) in [
            (&["data-root"][..], "/d", "/d"),
            (&["hosts"], "tcp://a:b@h:1", "tcp://x:x@h:1"),
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
}

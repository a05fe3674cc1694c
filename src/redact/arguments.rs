//! The arguments of dockerd as they may be shown.

use super::{MEMBERS, PAIRS, option_text};
use crate::diagnosis::redact::{cover, is_safe_option};

/// The short flags of dockerd, and whether each takes a value; the values of all of them are safe but may hold a login.
const SHORT: &[(char, bool)] = &[
    ('D', false),
    ('G', true),
    ('H', true),
    ('b', true),
    ('g', true),
    ('h', false),
    ('l', true),
    ('p', true),
    ('r', false),
    ('s', true),
    ('v', false),
];

/// The flags that need no value: the next argument is not theirs.
const SWITCHES: &[&str] = &[
    "allow-direct-routing",
    "cri-containerd",
    "debug",
    "experimental",
    "help",
    "icc",
    "init",
    "ip-forward",
    "ip-forward-no-drop",
    "ip-masq",
    "ip6tables",
    "iptables",
    "ipv6",
    "live-restore",
    "no-new-privileges",
    "raw-logs",
    "restart",
    "rootless",
    "selinux-enabled",
    "tls",
    "tlsverify",
    "userland-proxy",
    "validate",
    "version",
];

/// Arguments after the program, with every value covered that is not one of a safe option. Names of flags stay.
pub fn arguments(args: &[String]) -> Vec<String> {
    let mut shown = Vec::with_capacity(args.len());
    // The flag whose value the next argument is.
    let mut open: Option<String> = None;
    for arg in args {
        let value_of = open.take();
        shown.push(match (value_of, arg.strip_prefix("--"), arg.strip_prefix('-')) {
            (Some(flag), ..) => option_text(&flag, arg).into_owned(),
            (None, Some(long), _) => format!("--{}", self::long(long, &mut open)),
            (None, None, Some(letters)) => format!("-{}", short(letters, &mut open)),
            (None, None, None) => cover(arg),
        });
    }
    shown
}

/// A command line of dockerd as it may be shown, joined by spaces.
pub fn command(line: &[String]) -> String {
    let Some((program, args)) = line.split_first() else { return String::new() };
    std::iter::once(program.clone()).chain(arguments(args)).collect::<Vec<_>>().join(" ")
}

/// Whether a flag needs no value.
pub fn is_switch(flag: &str) -> bool {
    SWITCHES.contains(&flag)
}

/// What follows `--`. A name that is not that of a flag is covered.
fn long(text: &str, open: &mut Option<String>) -> String {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    let is_name = name.len() <= 40
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let name = if is_name { name.to_owned() } else { cover(name) };
    if let Some(value) = value {
        return format!("{name}={}", option_text(&name, value));
    }
    // Of an unknown flag it is not known whether it takes a value, and what follows may be one.
    let takes_value = !is_switch(&name) && !name.is_empty();
    *open = takes_value.then(|| name.clone());
    name
}

/// What follows `-`: letters of switches, and the last one may take the rest or the next argument.
fn short(letters: &str, open: &mut Option<String>) -> String {
    for (at, letter) in letters.char_indices() {
        let rest = &letters[at + letter.len_utf8()..];
        let Some((_, takes_value)) = SHORT.iter().find(|(known, _)| *known == letter) else {
            return format!("{}{}", &letters[..at], cover(&letters[at..]));
        };
        if *takes_value || rest.starts_with('=') {
            if rest.is_empty() {
                *open = Some("host".to_owned());
            }
            return format!("{}{}", &letters[..=at], option_text("host", rest));
        }
    }
    letters.to_owned()
}

/// Whether this program decides on the values of an option: it is safe, or known to hold secrets.
pub fn is_known(option: &str) -> bool {
    let in_table = |table: &[(&str, &[&str])]| table.iter().any(|(name, _)| *name == option);
    is_safe_option(option) || in_table(MEMBERS) || in_table(PAIRS) || SECRET.contains(&option)
}

/// The options whose values are never shown.
const SECRET: &[&str] = &[
    "allow-nondistributable-artifacts",
    "api-cors-header",
    "cluster-advertise",
    "cluster-store",
    "http-proxy",
    "https-proxy",
    "insecure-registries",
    "insecure-registry",
    "no-proxy",
    "node-generic-resource",
    "node-generic-resources",
    "registry-mirror",
    "registry-mirrors",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        arguments(&line.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>()).join(" ")
    }

    #[test]
    fn values_are_covered_in_every_spelling() {
        for (line, meant) in [
            ("--data-root=/d --debug -H unix:///a", "--data-root=/d --debug -H unix:///a"),
            (
                "--log-opt splunk-token=canary --log-opt=env=canary",
                "--log-opt splunk-token=xxxxxx --log-opt=env=xxxxxx",
            ),
            ("--label a=canary --label canary", "--label a=xxxxxx --label xxxxxx"),
            ("--label --data-root=canary", "--label --data-root=xxxxxx"),
            ("--http-proxy http://u:canary@p --debug", "--http-proxy xxxxxxxxxxxxxxxxx --debug"),
            ("--registry-mirror=https://u:canary@r/x", "--registry-mirror=xxxxxxxxxxxxxxxxxxxx"),
            ("--cluster-store-opt k=canary", "--cluster-store-opt k=xxxxxx"),
            ("--add-runtime r=/canary", "--add-runtime r=xxxxxxx"),
            ("--new-flag canary --new-flag=canary", "--new-flag xxxxxx --new-flag=xxxxxx"),
            ("canary -x canary --CANARY", "xxxxxx -x xxxxxx --xxxxxx"),
            ("-DH tcp://u:canary@h:1 -Htcp://u:canary@h:1", "-DH tcp://x:xxxxxx@h:1 -Htcp://x:xxxxxx@h:1"),
            (
                "--storage-opt overlay2.size=1G --storage-opt a=canary",
                "--storage-opt overlay2.size=1G --storage-opt a=xxxxxx",
            ),
        ] {
            assert_eq!(shown(line), meant);
        }
    }
}

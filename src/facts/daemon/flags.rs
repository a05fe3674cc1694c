//! The arguments of dockerd, parsed as its own flag parser (spf13/pflag) parses them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::options::{self, Kind, Opt};
use crate::diagnosis::causes;
use crate::facts::version::Version;
use crate::finding::Finding;
use crate::redact;

/// The flags that were given, under the names that their options have in daemon.json.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flags {
    /// The value of each, in the type that daemon.json has.
    pub values: BTreeMap<&'static str, Value>,
    /// What the parser refuses: dockerd exits with code 125.
    pub problems: Vec<Finding>,
}

/// Parses the arguments after the program, up to the first error.
pub fn parse(args: &[String], version: Version) -> Flags {
    let mut flags = Flags::default();
    let mut rest = args.iter().map(String::as_str);
    let shown = redact::arguments(args);
    while let Some(arg) = rest.next() {
        let at = args.len() - rest.len() - 1;
        let read = match arg.strip_prefix("--") {
            Some("") => break,
            Some(long) => flags.long(long, version, &mut rest),
            None => match arg.strip_prefix('-') {
                Some(letters) if !letters.is_empty() => flags.short(letters, version, &mut rest),
                _ => Err(format!("`{}` is not an option, and dockerd takes no other arguments", shown[at])),
            },
        };
        if let Err(why) = read {
            let cause = causes::DAEMON_OPTION_INVALID;
            let hint = format!(
                "start dockerd without `{}`, or as `dockerd --help` lists it for {version}",
                shown[at]
            );
            flags.problems.push(Finding::fail(cause, why).with("argument", &shown[at]).hint(hint));
            break; // pflag stops at its first error
        }
    }
    flags
}

impl Flags {
    /// `--name`, `--name=value`, `--name value`.
    fn long<'a>(
        &mut self,
        text: &str,
        version: Version,
        rest: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let option = options::by_flag(name, version).ok_or_else(|| {
            let shown = redact::arguments(&[format!("--{name}")]).concat();
            unknown(&shown, version)
        })?;
        let value = match value {
            Some(value) => value,
            None if option.is_switch() => "true",
            None => rest.next().ok_or_else(|| format!("--{name} needs a value"))?,
        };
        self.set(option, value)
    }

    /// `-D`, `-H value`, `-Hvalue`, `-H=value`, `-Dl debug`.
    fn short<'a>(
        &mut self,
        letters: &str,
        version: Version,
        rest: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        for (at, letter) in letters.char_indices() {
            let option =
                options::by_short(letter, version).ok_or_else(|| unknown(&format!("-{letter}"), version))?;
            let attached = &letters[at + letter.len_utf8()..];
            if let Some(value) = attached.strip_prefix('=') {
                return self.set(option, value);
            }
            if option.is_switch() {
                self.set(option, "true")?;
                continue;
            }
            let value = if attached.is_empty() { rest.next() } else { Some(attached) };
            return self.set(option, value.ok_or_else(|| format!("-{letter} needs a value"))?);
        }
        Ok(())
    }

    /// Stores a value in the type that daemon.json has.
    fn set(&mut self, option: &'static Opt, text: &str) -> Result<(), String> {
        let wrong = |what: &str| {
            format!("--{} needs {what}, not `{}`", option.flag, redact::option_text(option.flag, text))
        };
        let value = match option.kind {
            Kind::Bool | Kind::FlagOnly(true) => {
                Value::Bool(switch(text).ok_or_else(|| wrong("true or false"))?)
            }
            Kind::Int => Value::from(text.parse::<i64>().map_err(|_| wrong("a whole number"))?),
            Kind::Text | Kind::Size | Kind::FlagOnly(false) => Value::from(text),
            Kind::List => {
                self.add(option, text);
                return Ok(());
            }
            Kind::Pools => Value::Array(vec![Value::from(text)]),
            Kind::Map(_) => return self.put(option, text).ok_or_else(|| wrong("key=value")),
        };
        self.values.insert(option.key, value);
        Ok(())
    }

    /// Appends to a list.
    fn add(&mut self, option: &'static Opt, text: &str) {
        if let Value::Array(list) = self.values.entry(option.key).or_insert_with(|| Value::Array(Vec::new()))
        {
            list.push(Value::from(text));
        }
    }

    /// Adds to an object. `--feature name` stands for `name=true`.
    fn put(&mut self, option: &'static Opt, text: &str) -> Option<()> {
        let feature = option.key == "features";
        let (key, value) = match text.split_once('=') {
            Some((key, value)) if feature => (key, Value::Bool(switch(value)?)),
            Some((key, value)) => (key, Value::from(value)),
            None if feature => (text, Value::Bool(true)),
            None => return None,
        };
        if let Value::Object(map) = self.values.entry(option.key).or_insert_with(|| Value::Object(Map::new()))
        {
            map.insert(key.to_owned(), value);
        }
        Some(())
    }
}

/// Parses a boolean as Go's strconv.ParseBool does.
fn switch(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The message for a flag that this version, or any version, does not know.
fn unknown(flag: &str, version: Version) -> String {
    let name = flag.trim_start_matches('-');
    match options::ALL.iter().find(|option| option.flag == name) {
        Some(option) if option.since > version => {
            format!("dockerd {version} does not know {flag} yet; {} and later do", option.since)
        }
        Some(option) => format!("dockerd {version} does not know {flag} any more since {}", option.until),
        None => format!("dockerd {version} does not know {flag}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V28: Version = Version::new(28, 5, 2);

    fn parsed(line: &str, version: Version) -> Flags {
        parse(&line.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>(), version)
    }

    #[test]
    fn flags_are_parsed_in_every_spelling() {
        let flags =
            parsed("-DH unix:///a --host=tcp://b -sbtrfs --iptables=false --mtu 1400 --storage-opt a=b", V28);
        assert_eq!(flags.problems, []);
        assert_eq!(flags.values["debug"], Value::Bool(true));
        assert_eq!(flags.values["hosts"], serde_json::json!(["unix:///a", "tcp://b"]));
        assert_eq!(flags.values["storage-driver"], Value::from("btrfs"));
        assert_eq!(flags.values["iptables"], Value::Bool(false));
        assert_eq!(flags.values["mtu"], Value::from(1400));
    }

    #[test]
    fn flag_that_dockerd_refuses_is_a_problem() {
        for (line, said) in [
            ("--no-such-thing", "does not know"),
            ("--firewall-backend=nftables", "29.0.0 and later"),
            ("--oom-score-adjust=5", "any more since 26.0.0"),
            ("--mtu=big", "whole number"),
            ("--iptables=maybe", "true or false"),
            ("--data-root", "needs a value"),
            ("run", "takes no other arguments"),
            ("-x", "does not know"),
        ] {
            let flags = parsed(line, V28);
            assert!(flags.problems.len() == 1 && flags.problems[0].what.contains(said), "{line}: {flags:?}");
        }
    }

    #[test]
    fn feature_without_value_is_true() {
        let flags = parsed("--feature containerd-snapshotter --feature=cdi=false", V28);
        assert_eq!(
            flags.values["features"],
            serde_json::json!({"containerd-snapshotter": true, "cdi": false})
        );
    }
}

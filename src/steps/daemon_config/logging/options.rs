//! The log drivers that are part of dockerd, and their options (`ValidateLogOpt` of each package below daemon/logger).

use super::{Breaks, Logging, Problem};
use crate::facts::version::Version;

/// Attributes that most drivers can add to a message.
const ATTRIBUTES: &[&str] = &["labels", "labels-regex", "env", "env-regex", "tag"];
/// Options of every driver.
const OF_ALL: &[&str] = &["mode", "max-buffer-size"];
/// Options of the local copy that dockerd keeps for drivers that cannot be read.
const CACHE: &[&str] = &["cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"];

/// The first version without the driver logentries, and without `fluentd-async-connect`.
const WITHOUT_LOGENTRIES: Version = Version::new(25, 0, 0);
const WITHOUT_ASYNC_CONNECT: Version = Version::new(28, 0, 0);

/// The options of a driver beside those of all, by name; `None` for one that is not part of dockerd.
fn options(driver: &str) -> Option<(&'static [&'static str], &'static [&'static str])> {
    let own: &[&str] = match driver {
        "json-file" | "local" => &["max-file", "max-size", "compress"],
        "journald" => &[],
        "syslog" => &[
            "syslog-address",
            "syslog-facility",
            "syslog-tls-ca-cert",
            "syslog-tls-cert",
            "syslog-tls-key",
            "syslog-tls-skip-verify",
            "syslog-format",
        ],
        "gelf" => &[
            "gelf-address",
            "gelf-compression-level",
            "gelf-compression-type",
            "gelf-tcp-max-reconnect",
            "gelf-tcp-reconnect-delay",
        ],
        "fluentd" => &[
            "fluentd-address",
            "fluentd-async",
            "fluentd-async-connect",
            "fluentd-async-reconnect-interval",
            "fluentd-buffer-limit",
            "fluentd-max-retries",
            "fluentd-read-timeout",
            "fluentd-request-ack",
            "fluentd-retry-wait",
            "fluentd-sub-second-precision",
            "fluentd-write-timeout",
        ],
        // Their options are many and differ between versions.
        "splunk" | "awslogs" | "gcplogs" | "logentries" => return Some((&["*"], &[])),
        _ => return None,
    };
    Some((own, if driver == "local" { &[] } else { ATTRIBUTES }))
}

/// Whether this version has the driver.
pub(super) fn is_built_in(driver: &str, version: Version) -> bool {
    options(driver).is_some() && (driver != "logentries" || version < WITHOUT_LOGENTRIES)
}

/// What is invalid about the options of a driver that is part of dockerd.
pub(super) fn judge(logging: &Logging<'_>) -> Option<Problem> {
    unknown(logging)
        .or_else(|| mode(logging))
        .or_else(|| required(logging))
        .or_else(|| tag(logging))
        .or_else(|| numbers(logging))
        .or_else(|| compression(logging))
}

/// An option that the driver does not know.
fn unknown(logging: &Logging<'_>) -> Option<Problem> {
    let (own, attributes) = options(logging.driver)?;
    let gone = |key: &str| key == "fluentd-async-connect" && logging.version >= WITHOUT_ASYNC_CONNECT;
    let known =
        |key: &str| own.contains(&"*") || own.contains(&key) && !gone(key) || attributes.contains(&key);
    let key =
        logging.options.keys().find(|key| !known(key) && !OF_ALL.contains(key) && !CACHE.contains(key))?;
    let hint = if gone(key) {
        "replace `fluentd-async-connect` by `fluentd-async`".to_owned()
    } else {
        format!("remove `{key}` from log-opts, or set the log-driver that it belongs to")
    };
    Some(Problem::new(Breaks::Daemon, format!("it does not know the option `{key}`"), hint))
}

/// The options that every driver has.
fn mode(logging: &Logging<'_>) -> Option<Problem> {
    let mode = logging.value("mode").unwrap_or("blocking");
    let problem = |what: String, hint: &str| Some(Problem::new(Breaks::Daemon, what, hint));
    if !["blocking", "non-blocking"].contains(&mode) {
        let what = format!("mode is `{}`; valid values are blocking and non-blocking", logging.shown("mode"));
        return problem(
            what,
            "set `\"mode\": \"non-blocking\"` in log-opts (the flag: `--log-opt=mode=non-blocking`), or remove it",
        );
    }
    let size = logging.value("max-buffer-size")?;
    if mode == "blocking" {
        let what = "max-buffer-size needs the mode non-blocking".to_owned();
        return problem(what, "add `\"mode\": \"non-blocking\"` to log-opts, or remove max-buffer-size");
    }
    (!is_size(size)).then(|| {
        let what = format!("max-buffer-size is `{}`, which is not a size", logging.shown("max-buffer-size"));
        Problem::new(Breaks::Daemon, what, "set `\"max-buffer-size\": \"4m\"` in log-opts")
    })
}

/// Options without which a driver refuses every container.
fn required(logging: &Logging<'_>) -> Option<Problem> {
    let keys: &[&str] = match logging.driver {
        "gelf" => &["gelf-address"],
        "splunk" => &["splunk-url", "splunk-token"],
        "awslogs" => &["awslogs-group"],
        "logentries" => &["logentries-token"],
        _ => &[],
    };
    let key = keys.iter().find(|key| logging.option(key).is_none())?;
    let what = format!("its option `{key}` is missing");
    Some(Problem::new(
        Breaks::Containers,
        what,
        format!("add `{key}` to log-opts, or set `\"log-driver\": \"json-file\"`"),
    ))
}

/// The drivers that write files, whose containers do not start with a value that is invalid.
fn writes_files(logging: &Logging<'_>) -> bool {
    matches!(logging.driver, "json-file" | "local")
}

/// A tag that is no template of Go.
fn tag(logging: &Logging<'_>) -> Option<Problem> {
    let tag = logging.value("tag").or_else(|| logging.value("splunk-tag"))?;
    let (opened, closed) = (tag.matches("{{").count(), tag.matches("}}").count());
    (opened != closed).then(|| {
        let what = "its tag is a template with `{{` and without `}}`";
        Problem::new(Breaks::Containers, what, "set `\"tag\": \"{{.Name}}\"` in log-opts, or remove it")
    })
}

/// Sizes and counts of files.
fn numbers(logging: &Logging<'_>) -> Option<Problem> {
    let problem = |key: &str, wanted: &str, example: &str| {
        let what = format!("{key} is `{}`; it must be {wanted}", logging.shown(key));
        Problem::new(Breaks::Containers, what, format!("set `\"{key}\": \"{example}\"` in log-opts"))
    };
    if !writes_files(logging) {
        return None;
    }
    let is_zero = |size: &str| {
        size.bytes().take_while(|byte| !byte.is_ascii_alphabetic()).all(|byte| b"0. ".contains(&byte))
    };
    let size = logging
        .value("max-size")
        .filter(|size| !is_size(size) || logging.driver == "json-file" && is_zero(size));
    let count =
        logging.value("max-file").filter(|count| count.parse::<i64>().map_or(true, |count| count < 1));
    size.map(|_| problem("max-size", "a size such as 10m", "10m"))
        .or_else(|| count.map(|_| problem("max-file", "a whole number from 1 on", "3")))
}

/// Compression of rotated files.
fn compression(logging: &Logging<'_>) -> Option<Problem> {
    let compress = logging.value("compress").filter(|_| writes_files(logging))?;
    let problem = |what: String, hint: &str| Some(Problem::new(Breaks::Containers, what, hint));
    match super::super::values::go_bool(compress) {
        None => {
            let what = format!("compress is `{}`; it must be true or false", logging.shown("compress"));
            problem(what, "set `\"compress\": \"true\"` in log-opts, or remove it")
        }
        Some(true) if logging.driver == "json-file" => {
            let files: i64 = logging.value("max-file").and_then(|count| count.parse().ok()).unwrap_or(1);
            if files >= 2 && logging.value("max-size").is_some() {
                return None;
            }
            let what = "compress needs max-size, and max-file of at least 2".to_owned();
            problem(what, "add `\"max-size\": \"10m\", \"max-file\": \"3\"` to log-opts")
        }
        Some(_) => None,
    }
}

/// Whether docker/go-units parses it: a number and a unit.
pub(in crate::steps::daemon_config) fn is_size(text: &str) -> bool {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let digits = number.starts_with(|c: char| c.is_ascii_digit()) && number.parse::<f64>().is_ok();
    let unit = unit.to_ascii_lowercase();
    let rest = unit.strip_prefix(['k', 'm', 'g', 't', 'p']).unwrap_or(&unit);
    digits && ["", "b", "ib"].contains(&rest) && unit != "ib"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of the problem with these options, separated by commas.
    fn said(driver: &'static str, version: Version, options: &'static str) -> Option<String> {
        let pairs = options.split(',').filter_map(|pair| pair.split_once('='));
        let logging = Logging { driver, options: pairs.collect(), version };
        judge(&logging).map(|problem| problem.what)
    }

    const V28: Version = Version::new(28, 5, 2);

    #[test]
    fn options_that_the_engine_accepts_are_accepted() {
        for (driver, options) in [
            ("json-file", ""),
            ("json-file", "max-file=3"),
            ("json-file", "max-size=10m,max-file=3,compress=true"),
            ("json-file", "max-size=1.5 GiB,labels=a,env=b,tag={{.ID}}"),
            ("json-file", "mode=non-blocking,max-buffer-size=4m"),
            ("local", "max-size=20m,max-file=2,compress=false"),
            ("fluentd", "cache-disabled=true,fluentd-async=true"),
            ("journald", "tag=x,labels=y"),
            ("splunk", "splunk-url=https://x,splunk-token=y,whatever=1"),
        ] {
            assert_eq!(said(driver, V28, options), None, "{driver} {options}");
        }
        assert_eq!(said("fluentd", Version::new(26, 1, 5), "fluentd-async-connect=true"), None);
    }

    #[test]
    fn options_that_the_engine_refuses_are_named() {
        for (driver, options, part) in [
            ("json-file", "nosuch=1", "`nosuch`"),
            ("local", "labels=a", "`labels`"),
            ("syslog", "max-size=1m", "`max-size`"),
            ("fluentd", "fluentd-async-connect=true", "`fluentd-async-connect`"),
            ("json-file", "mode=bogus", "mode is"),
            ("json-file", "max-buffer-size=4m", "needs the mode"),
            ("json-file", "mode=non-blocking,max-buffer-size=q", "not a size"),
            ("json-file", "max-size=tenmegs", "max-size is"),
            ("json-file", "max-size=0", "max-size is"),
            ("json-file", "max-size=-1", "max-size is"),
            ("json-file", "max-file=0", "max-file is"),
            ("json-file", "tag={{", "its tag"),
            ("json-file", "compress=maybe", "compress is"),
            ("json-file", "compress=true", "compress needs"),
            ("gelf", "", "`gelf-address`"),
            ("splunk", "splunk-url=https://x", "`splunk-token`"),
            ("awslogs", "awslogs-region=x", "`awslogs-group`"),
        ] {
            let said = said(driver, V28, options).unwrap_or_default();
            assert!(said.contains(part), "{driver} {options}: {said}");
        }
    }

    #[test]
    fn logentries_went_with_25() {
        assert!(is_built_in("logentries", Version::new(20, 10, 24)) && !is_built_in("logentries", V28));
        assert!(!is_built_in("etwlogs", V28) && !is_built_in("loki", V28));
    }
}

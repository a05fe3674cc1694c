//! Finds values that dockerd reads only when it has started or when a container starts: seccomp profile, ulimits, mirrors,
//! labels (measured with 20.10, 26.1 and 28.5).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::values::refused;
use crate::facts::daemon::Daemon;
use crate::facts::version::Version;
use crate::finding::Finding;
use crate::host::{HostResult, SystemReader};
use crate::redact;

/// The first version to which `builtin` and `unconfined` are no files.
const NAMED_PROFILES: Version = Version::new(23, 0, 0);

/// The names of ulimits (docker/go-units, ulimit.go).
const ULIMITS: &[&str] = &[
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// The findings.
pub(super) fn judge(host: &dyn SystemReader, daemon: &Daemon) -> HostResult<Vec<Finding>> {
    let mut findings = Vec::new();
    findings.extend(seccomp(host, daemon)?);
    findings.extend(ulimits(daemon));
    findings.extend(mirrors(daemon));
    findings.extend(metrics(daemon));
    findings.extend(labels(daemon));
    findings.extend(words(daemon));
    Ok(findings)
}

/// The file of `seccomp-profile`.
fn seccomp(host: &dyn SystemReader, daemon: &Daemon) -> HostResult<Option<Finding>> {
    let named = |name: &str| ["builtin", "unconfined"].contains(&name) && daemon.version >= NAMED_PROFILES;
    let Some(path) = daemon.settings.values.text("seccomp-profile").filter(|name| !named(name)) else {
        return Ok(None);
    };
    let refuse = |why: String| {
        let remedy = "remove seccomp-profile, or set it to a file like moby's profiles/seccomp/default.json";
        Some(refused(daemon, "seccomp-profile", format!("the seccomp profile {path} {why}")).hint(remedy))
    };
    Ok(match host.read_if_there(Path::new(path))? {
        None => refuse("does not exist: dockerd does not start".to_owned()),
        Some(text) if !matches!(serde_json::from_str(&text), Ok(Value::Object(_))) => {
            refuse("is not a JSON object: no container starts".to_owned())
        }
        Some(_) => None,
    })
}

/// `default-ulimits` of the file; those of flags are checked by dockerd's own parser. What runc gets is `Name` in the value.
fn ulimits(daemon: &Daemon) -> Vec<Finding> {
    let key = "default-ulimits";
    let object = daemon.file.values.get(key).and_then(Value::as_object);
    let refuse = |name: &str, why: &str, hint: String| {
        refused(daemon, key, format!("the ulimit `{name}` {why}: no container starts")).hint(hint)
    };
    let problem = |(name, value): (&String, &Value)| {
        let own = value.get("Name").and_then(Value::as_str).unwrap_or_default();
        let number = |field: &str| value.get(field).and_then(Value::as_i64).unwrap_or(0);
        let (soft, hard) = (number("Soft"), number("Hard"));
        let example = |soft: i64, hard: i64| {
            format!("set `\"{name}\": {{\"Name\": \"{name}\", \"Soft\": {soft}, \"Hard\": {hard}}}`")
        };
        match own {
            "" if ULIMITS.contains(&name.as_str()) => {
                Some(refuse(name, "has no \"Name\" in its value", example(soft, hard)))
            }
            own if !ULIMITS.contains(&own) => {
                Some(refuse(own, "is unknown", format!("remove it from {key}")))
            }
            _ if hard != -1 && (soft > hard || soft == -1) => {
                Some(refuse(name, "has a soft limit above its hard limit", example(hard, hard)))
            }
            _ => None,
        }
    };
    object.into_iter().flatten().filter_map(problem).collect()
}

/// `registry-mirrors` are URLs of HTTP.
fn mirrors(daemon: &Daemon) -> Vec<Finding> {
    let key = "registry-mirrors";
    let is_url = |mirror: &str| {
        let rest = mirror.strip_prefix("https://").or_else(|| mirror.strip_prefix("http://"));
        rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
    };
    let refuse = |mirror: &str| {
        let what = format!(
            "the mirror `{}` is not an URL that begins with http:// or https://",
            redact::option_text(key, mirror)
        );
        refused(daemon, key, what)
            .hint(format!("set `\"{key}\": [\"https://mirror.example\"]`, or remove it"))
    };
    daemon
        .settings
        .values
        .list(key)
        .into_iter()
        .filter(|mirror| !is_url(mirror) && !redact::is_covered(mirror))
        .map(refuse)
        .collect()
}

/// `metrics-addr` is `host:port`.
fn metrics(daemon: &Daemon) -> Option<Finding> {
    let text = daemon.settings.values.text("metrics-addr").filter(|text| !redact::is_covered(text))?;
    let address = text.strip_prefix("tcp://").unwrap_or(text);
    let good = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let what = || format!("metrics-addr is `{text}`; it must be host:port");
    (!good)
        .then(|| refused(daemon, "metrics-addr", what()).hint("set `\"metrics-addr\": \"127.0.0.1:9323\"`"))
}

/// Sizes, addresses and names, as far as their form is simple.
fn words(daemon: &Daemon) -> Vec<Finding> {
    type Form = fn(&str) -> bool;
    let word: Form = |text| !text.is_empty() && !text.contains(char::is_whitespace);
    let address: Form = |text| text.parse::<std::net::IpAddr>().is_ok();
    let all = [
        ("default-shm-size", super::logging::is_size as Form, "a size such as 64m", "64m"),
        ("dns-search", word, "a domain", "example.com"),
        ("insecure-registries", word, "a host, host:port or network", "registry.example:5000"),
        ("host-gateway-ip", address, "an IP address", "172.17.0.1"),
        ("host-gateway-ips", address, "an IP address", "172.17.0.1"),
    ];
    let values = &daemon.settings.values;
    let mut findings = Vec::new();
    for (key, form, wanted, example) in all {
        let texts = values.text(key).into_iter().chain(values.list(key));
        findings.extend(texts.filter(|text| !form(text) && !redact::is_covered(text)).map(|text| {
            let what = format!("{key} is `{}`; it must be {wanted}", redact::option_text(key, text));
            refused(daemon, key, what).hint(format!("set {key} to {wanted}, such as {example}, or remove it"))
        }));
    }
    findings
}

/// A label may have one value only.
fn labels(daemon: &Daemon) -> Option<Finding> {
    let mut known = BTreeMap::new();
    for (key, value) in
        daemon.settings.values.list("labels").into_iter().filter_map(|label| label.split_once('='))
    {
        if known.insert(key, value).is_some_and(|other| other != value) {
            let name = redact::option_text("labels", key);
            let what = format!("the label `{name}` has two values, which dockerd refuses");
            return Some(refused(daemon, "labels", what).hint("remove one of the two labels"));
        }
    }
    None
}

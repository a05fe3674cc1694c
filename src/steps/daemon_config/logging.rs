//! Checks that the log driver exists, accepts its options and reaches what it writes to.
//!
//! Each container starts its log driver first: where that fails, no container starts. dockerd itself does not start where a
//! driver does not know an option (`ValidateLogOpts` of daemon/logger).

use std::collections::BTreeMap;

use serde_json::Value;

use super::plugins;
use crate::diagnosis::{CauseId, causes};
use crate::facts::daemon::Daemon;
use crate::facts::version::Version;
use crate::finding::Finding;
use crate::redact;
use crate::step::Cx;

mod options;
mod target;

pub(super) use options::is_size;

const UNUSABLE: CauseId = causes::LOG_DRIVER_UNUSABLE;

/// What becomes of a daemon whose log driver does not work.
#[derive(Clone, Copy)]
enum Breaks {
    Daemon,
    Containers,
}

/// Why a log driver does not work.
struct Problem {
    what: String,
    breaks: Breaks,
    hint: String,
}

impl Problem {
    fn new(breaks: Breaks, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), breaks, hint: hint.into() }
    }
}

/// The log driver of the daemon and its options.
struct Logging<'d> {
    driver: &'d str,
    options: BTreeMap<&'d str, &'d str>,
    version: Version,
}

impl<'d> Logging<'d> {
    fn read(daemon: &'d Daemon) -> Self {
        let values = &daemon.settings.values;
        let object = values.get("log-opts").and_then(Value::as_object);
        let pairs = object.into_iter().flatten();
        let options = pairs.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect();
        Self { driver: values.text("log-driver").unwrap_or("json-file"), options, version: daemon.version }
    }

    /// An option that is not empty.
    fn option(&self, key: &str) -> Option<&'d str> {
        self.options.get(key).copied().filter(|value| !value.is_empty())
    }

    /// The same where its value is known: a recording covers some.
    fn value(&self, key: &str) -> Option<&'d str> {
        self.option(key).filter(|value| !redact::is_covered(value))
    }

    /// An option as it may be shown.
    fn shown(&self, key: &str) -> String {
        let pair = format!("{key}={}", self.options.get(key).copied().unwrap_or_default());
        let shown = redact::option_text("log-opts", &pair);
        shown.split_once('=').map_or(shown.to_string(), |(_, value)| value.to_owned())
    }
}

/// The finding, if there is one.
pub(super) fn judge(cx: &Cx<'_>, daemon: &Daemon) -> anyhow::Result<Option<Finding>> {
    let logging = Logging::read(daemon);
    if logging.driver == "none" {
        return Ok(None);
    }
    if !options::is_built_in(logging.driver, logging.version) {
        return stranger(cx, daemon, logging.driver);
    }
    if let Some(problem) = options::judge(&logging) {
        return Ok(Some(finding(daemon, &logging, &problem)));
    }
    target::judge(cx, daemon, &logging)
}

/// The finding about a driver.
fn finding(daemon: &Daemon, logging: &Logging<'_>, problem: &Problem) -> Finding {
    let then = match problem.breaks {
        Breaks::Daemon => "dockerd does not start",
        Breaks::Containers => "no container starts",
    };
    let what = format!("log driver {}: {}, so {then}", logging.driver, problem.what);
    with_source(daemon, Finding::fail(UNUSABLE, what)).hint(&problem.hint)
}

/// Adds where the driver is configured.
fn with_source(daemon: &Daemon, finding: Finding) -> Finding {
    let options = ["log-driver", "log-opts"];
    let key = options.into_iter().find(|key| daemon.file.values.contains_key(*key));
    match key {
        Some(key) => finding.with("path", daemon.config.display()).with("key", key),
        None => finding.with("option", "log-driver"),
    }
}

/// How to do without the driver: the place where it is set.
fn instead(daemon: &Daemon) -> String {
    if daemon.file.values.contains_key("log-driver") {
        let path = daemon.config.display();
        format!("set `\"log-driver\": \"json-file\"` in {path} and remove \"log-opts\" there")
    } else {
        "start dockerd with `--log-driver=json-file` and without --log-opt".to_owned()
    }
}

/// A driver that is not part of dockerd: a plugin may provide it.
fn stranger(cx: &Cx<'_>, daemon: &Daemon, driver: &str) -> anyhow::Result<Option<Finding>> {
    if plugins::find(cx.host, &daemon.settings, driver)?.may_work() {
        return Ok(None);
    }
    let what = format!(
        "dockerd {} does not have a log driver {driver}, and no plugin of that name is installed: no container starts",
        daemon.version
    );
    Ok(Some(with_source(daemon, Finding::fail(UNUSABLE, what)).hint(instead(daemon))))
}

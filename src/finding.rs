//! What a check finds, what a repair changes, and what the runner concludes: the data that every layer shares.
//!
//! A finding is data, not an error: a check returns findings, or an error where it could not check.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;

use crate::diagnosis::{self, CauseId, redact};

mod undo;

pub use undo::{Change, Undo, quoted, quoted_text};

/// How far a change reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// This container only.
    Container,
    /// The kernel of the host, and with it every other container.
    Host,
}

impl Reach {
    /// The name in reports and of `--repair`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Host => "host",
        }
    }
}

/// The weight of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// No problem.
    Pass,
    /// A problem with which Docker still works.
    Warn,
    /// A problem with which Docker does not work.
    Fail,
}

/// One result of a check. It is data: the runner concludes from all findings of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its weight.
    pub level: Level,
    /// One sentence without a full stop.
    pub what: String,
    /// Pairs of a key and a path, value or errno that a reader can look up. The keys are part of the JSON report.
    pub evidence: Vec<(&'static str, String)>,
    /// The cause, from causes.yaml; every failing finding has one.
    pub cause: Option<CauseId>,
    /// What to do here, where the remedy of the cause is not exact enough.
    pub hint: Option<String>,
}

impl Finding {
    /// A finding without a problem. Logins in what is said, here and below, are covered.
    pub fn pass(what: impl Into<String>) -> Self {
        Self { level: Level::Pass, what: shown(what.into()), evidence: Vec::new(), cause: None, hint: None }
    }

    /// A finding with which Docker still works.
    pub fn warn(cause: CauseId, what: impl Into<String>) -> Self {
        Self { level: Level::Warn, cause: Some(cause), ..Self::pass(what) }
    }

    /// A finding with which Docker does not work.
    pub fn fail(cause: CauseId, what: impl Into<String>) -> Self {
        Self { level: Level::Fail, cause: Some(cause), ..Self::pass(what) }
    }

    /// Adds a piece of evidence.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.evidence.push((key, shown(value.to_string())));
        self
    }

    /// Sets what to do about it here.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(shown(hint.into()));
        self
    }

    /// What to do: the hint, or else the remedy of the cause.
    pub fn remedy(&self) -> Option<&str> {
        self.hint.as_deref().or_else(|| Some(diagnosis::cause(self.cause?).remedy))
    }
}

/// A text without secrets: it may repeat a line of the daemon's log or an address.
fn shown(text: String) -> String {
    match redact::message(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(covered) => covered,
    }
}

/// What the runner concludes about a step.
#[derive(Debug)]
pub enum Outcome {
    /// No problems found.
    Passed,
    /// Warnings, and no failure.
    Warned,
    /// It failed, was repaired, and then the same check passed.
    Repaired,
    /// A check failed, and no repair helped.
    Failed,
    /// It did not run, and why.
    Skipped(String),
    /// The check ended with an error, so that nothing is known.
    Errored(anyhow::Error),
}

impl Outcome {
    /// The name in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "warned",
            Self::Repaired => "repaired",
            Self::Failed => "failed",
            Self::Skipped(_) => "skipped",
            Self::Errored(_) => "errored",
        }
    }
}

/// A repair as the report keeps it.
#[derive(Debug)]
pub struct RepairRecord {
    /// The title of the repair.
    pub title: &'static str,
    /// Its reach.
    pub reach: Reach,
    /// Its changes, in order.
    pub changes: Vec<Change>,
    /// Why it stopped before its end, if it did.
    pub error: Option<String>,
}

/// What the run found out about the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Environment {
    /// Release of the kernel, as in uname(2).
    pub kernel: Option<String>,
    /// `v1`, `v2`, `hybrid` or `none`.
    pub cgroup: Option<String>,
    /// Version of the inner engine.
    pub engine: Option<String>,
    /// Docker Engine API version in use.
    pub api: Option<String>,
    /// Storage driver of the inner engine.
    pub storage_driver: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_reaches_no_part_of_a_finding() {
        let url = "http://me:canary@proxy:3128";
        let finding = Finding::fail(crate::diagnosis::causes::DAEMON_EXITED, format!("a {url}"));
        let finding = finding.with("message", url).hint(format!("unset {url}"));
        assert!(!format!("{finding:?}").contains("canary"), "{finding:?}");
    }
}

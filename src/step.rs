//! Which words do steps, the runner and the reports share?
//!
//! A step *finds* (it returns [`Finding`]s) and never concludes: [`Outcome`] is the runner's word. What a
//! step may change is not in its hands either: only a [`Repair`] is given [`Hands`].

use std::cell::{Cell, RefCell};

use schemars::JsonSchema;
use serde::Serialize;

use crate::diagnosis::CauseId;
use crate::engine::Engine;
use crate::hands::{Change, Hands};
use crate::host::Host;
use crate::plan::Plan;
use crate::report::Environment;
use crate::workload::Seen;

/// When a step runs. The phases follow each other: a failed phase is never followed by the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// What the outer container gives: nothing is started.
    Environment,
    /// The inner daemon.
    Daemon,
    /// What an inner container gets.
    Workload,
}

impl Phase {
    /// The word of the reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Daemon => "daemon",
            Self::Workload => "workload",
        }
    }
}

/// One rung of the ladder. A plain value, so that the ladder is one list (`steps::ALL`).
pub struct Step {
    /// Kebab-case, unique, never renamed: scripts match it.
    pub id: &'static str,
    /// A few words for people.
    pub title: &'static str,
    /// What breaks when this does not hold; one or two sentences.
    pub why: &'static str,
    /// When it runs.
    pub phase: Phase,
    /// Looks, and leaves the world as it was. `Err` means that it could not look.
    pub check: fn(&Cx<'_>) -> anyhow::Result<Vec<Finding>>,
    /// What makes a failed check pass, if anything can.
    pub repair: Option<Repair>,
}

/// What changes the machine so that the same check passes.
pub struct Repair {
    /// A few words for people.
    pub title: &'static str,
    /// How far its changes are felt.
    pub reach: Reach,
    /// Does it. Every lasting change goes through [`Hands`], which keeps the undo of each.
    pub apply: fn(&Cx<'_>, &mut Hands<'_>) -> anyhow::Result<()>,
}

/// How far a change is felt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// This container alone.
    Container,
    /// The host's kernel, and so every other container.
    Host,
}

impl Reach {
    /// The word of the reports and of `--repair`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Host => "host",
        }
    }
}

/// How a finding counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Pass,
    /// Worth knowing; the engine works all the same.
    Warn,
    /// Docker does not work with this.
    Fail,
}

/// One thing that a check saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it counts.
    pub level: Level,
    /// One sentence without a full stop.
    pub what: String,
    /// Paths, values, errno: what a reader can look up.
    pub evidence: Vec<(&'static str, String)>,
    /// The cause; every failing finding has one.
    pub cause: Option<CauseId>,
    /// What to do, where the cause's own remedy is not exact enough.
    pub hint: Option<String>,
}

impl Finding {
    /// Something is as it should be.
    pub fn pass(what: impl Into<String>) -> Self {
        Self { level: Level::Pass, what: what.into(), evidence: Vec::new(), cause: None, hint: None }
    }

    /// Something is worth knowing and breaks nothing by itself.
    pub fn warn(cause: CauseId, what: impl Into<String>) -> Self {
        Self { level: Level::Warn, cause: Some(cause), ..Self::pass(what) }
    }

    /// Docker does not work with this.
    pub fn fail(cause: CauseId, what: impl Into<String>) -> Self {
        Self { level: Level::Fail, cause: Some(cause), ..Self::pass(what) }
    }

    /// Adds a piece of evidence.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.evidence.push((key, value.to_string()));
        self
    }

    /// Says what to do about it here.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What the runner concludes about a step.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing to say against it.
    Passed,
    /// It holds, with a warning.
    Warned,
    /// It failed, was repaired, and the same check passed.
    Repaired,
    /// The environment is bad.
    Failed,
    /// It did not run, and why.
    Skipped(String),
    /// It could not look: nothing is known.
    Errored(anyhow::Error),
}

impl Outcome {
    /// The word of the reports.
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

/// What a step is given: the doors, the plan, and a place for what the report says of the environment.
pub struct Cx<'a> {
    /// The door to the machine.
    pub host: &'a dyn Host,
    /// The door to Docker.
    pub engine: &'a dyn Engine,
    /// What is to be done.
    pub plan: &'a Plan,
    /// What has been learned about the environment, for the report's head.
    pub learned: &'a RefCell<Environment>,
    /// Says how a long step goes, to whoever watches.
    pub say: &'a dyn Fn(&str),
    /// Whether every step so far held: `teardown` keeps a daemon only then.
    pub holds: &'a Cell<bool>,
    /// What the containers of this run showed, for the steps that judge it.
    pub seen: &'a Seen,
}

/// A repair as the report keeps it.
#[derive(Debug)]
pub struct RepairRecord {
    /// The repair's title.
    pub title: &'static str,
    /// Its reach.
    pub reach: Reach,
    /// What it did, and how to undo each.
    pub changes: Vec<Change>,
    /// Why it did not get to its end, if it did not.
    pub error: Option<String>,
}

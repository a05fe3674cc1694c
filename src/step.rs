//! Which words do steps, the runner and the reports share?
//!
//! A step *finds* (it returns [`Finding`]s) and never concludes: [`Outcome`] is the runner's word. What a
//! step may change is not in its hands either: only a [`Repair`] is given [`RepairLog`].

use std::cell::{Cell, RefCell};

use schemars::JsonSchema;
use serde::Serialize;

use crate::engine::Engine;
use crate::finding::{Environment, Finding, Level, Reach};
use crate::host::SystemReader;
use crate::options::{Need, RunOptions};
use crate::repair_log::RepairLog;
use crate::workload::Workload;

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
    /// The worst that its check finds: [`Level::Warn`] for a step that never fails.
    pub worst: Level,
    /// What the run prepares for it.
    pub needs: &'static [Need],
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
    /// Does it. Every lasting change goes through [`RepairLog`], which keeps the undo of each.
    pub apply: fn(&Cx<'_>, &mut RepairLog<'_>) -> anyhow::Result<()>,
}

/// What a step is given: the doors, the options of the run, and what the run has learned so far.
pub struct Cx<'a> {
    /// The door to the machine.
    pub host: &'a dyn SystemReader,
    /// The door to Docker.
    pub engine: &'a dyn Engine,
    /// What was asked for.
    pub options: &'a RunOptions,
    /// What has been learned about the environment, for the report's head.
    pub environment: &'a RefCell<Environment>,
    /// Says how a long step goes, to whoever watches.
    pub progress: &'a dyn Fn(&str),
    /// Whether every step so far passed: `teardown` keeps a daemon only then.
    pub all_passed: &'a Cell<bool>,
    /// The containers of this run, for the steps that judge them.
    pub workload: &'a Workload<'a>,
}

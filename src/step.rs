//! The types of a step: [`Step`], its [`Repair`], and the context of a check.
//!
//! A step *finds* (it returns [`Finding`]s); only the runner *concludes*, with an `Outcome`. A check cannot change the
//! machine: only a [`Repair`] gets a [`RepairLog`].

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
    /// The outer container, before anything is started.
    Environment,
    /// The inner daemon.
    Daemon,
    /// Inner containers.
    Workload,
}

impl Phase {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Daemon => "daemon",
            Self::Workload => "workload",
        }
    }
}

/// One step of the ladder (`steps::ALL`).
pub struct Step {
    /// Kebab-case, unique and never renamed, since scripts match it.
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
    /// The ids of the earlier steps without which it can check nothing; `--only` runs them, too.
    pub rests_on: &'static [&'static str],
    /// Checks without changing anything. `Err` means that the check itself failed, so nothing is known.
    pub check: fn(&Cx<'_>) -> anyhow::Result<Vec<Finding>>,
    /// The repair of a failed check, if there is one.
    pub repair: Option<Repair>,
}

/// Changes the machine so that the same check passes.
pub struct Repair {
    /// A few words for people.
    pub title: &'static str,
    /// How far its changes reach.
    pub reach: Reach,
    /// Applies it. Every lasting change goes through [`RepairLog`], which records how to undo it.
    pub apply: fn(&Cx<'_>, &mut RepairLog<'_>) -> anyhow::Result<()>,
}

/// The context of a check: the machine, the engine, the options of the run, and its results so far.
pub struct Cx<'a> {
    /// Reads the machine.
    pub host: &'a dyn SystemReader,
    /// The Docker engine.
    pub engine: &'a dyn Engine,
    /// The options of the run.
    pub options: &'a RunOptions,
    /// The environment as far as it is known, for the head of the report.
    pub environment: &'a RefCell<Environment>,
    /// Reports the progress of a long step.
    pub progress: &'a dyn Fn(&str),
    /// Whether every step so far passed; `teardown` keeps the daemon only in that case.
    pub all_passed: &'a Cell<bool>,
    /// The containers of this run.
    pub workload: &'a Workload<'a>,
}

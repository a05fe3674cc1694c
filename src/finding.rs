//! What a check finds, what a repair changes, and what the runner concludes: the data that every layer shares.
//!
//! A finding is data, not an error: a check returns findings, or an error where it could not check.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use crate::diagnosis::{self, CauseId};

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

    /// What to do: the hint, or else the remedy of the cause.
    pub fn remedy(&self) -> Option<&str> {
        self.hint.as_deref().or_else(|| Some(diagnosis::cause(self.cause?).remedy))
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

/// Something that was done, and what takes it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What was done, in the past tense.
    pub did: String,
    /// What takes it back.
    pub undo: Undo,
}

/// What takes a change back. Its text is a shell command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Unmount what was mounted.
    Unmount(PathBuf),
    /// Remove a directory that was made.
    RemoveDir(PathBuf),
    /// Remove a file or link that was made.
    RemoveFile(PathBuf),
    /// Write back what a file held.
    Restore(PathBuf, Vec<u8>),
    /// Make a directory again that was removed.
    MakeDir(PathBuf),
    /// Write these pids, one a write, to a `cgroup.procs`.
    MoveBack(Vec<i32>, PathBuf),
    /// Mount read-only again, by a bind remount with these flags.
    Remount(PathBuf, u64),
    /// A command for people; dindcheck does not run it by itself.
    Manual(String),
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmount(path) => write!(f, "umount {}", path.display()),
            Self::RemoveDir(path) => write!(f, "rmdir {}", path.display()),
            Self::RemoveFile(path) => write!(f, "rm {}", path.display()),
            Self::Restore(path, bytes) => {
                write!(f, "printf %s '{}' > {}", String::from_utf8_lossy(bytes).trim_end(), path.display())
            }
            Self::MakeDir(path) => write!(f, "mkdir {}", path.display()),
            Self::MoveBack(pids, procs) => {
                let pids: Vec<_> = pids.iter().map(ToString::to_string).collect();
                write!(f, "for pid in {}; do echo $pid > {}; done", pids.join(" "), procs.display())
            }
            Self::Remount(path, _) => write!(f, "mount -o remount,bind,ro {}", path.display()),
            Self::Manual(command) => f.write_str(command),
        }
    }
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

/// What was learned about the environment on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Environment {
    /// Release of the kernel.
    pub kernel: Option<String>,
    /// `v1`, `v2`, `hybrid` or `none`.
    pub cgroup: Option<String>,
    /// Version of the inner engine.
    pub engine: Option<String>,
    /// API version that is used.
    pub api: Option<String>,
    /// Storage driver of the inner engine.
    pub storage_driver: Option<String>,
}

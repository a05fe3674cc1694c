//! What does a run amount to? The report, its verdict and its exit code; rendering is left to the formats.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::diagnosis::{self, CauseId, Diagnosis};
use crate::step::{Finding, Level, Outcome, RepairRecord, Step};

pub mod document;
pub mod files;
pub mod formats;
pub mod github;
pub mod human;
pub mod junit;
pub mod live;
pub mod page;

pub use page::took;

/// Exit codes, the one table of them.
pub mod exit {
    /// Docker-in-Docker works here.
    pub const SOUND: u8 = 0;
    /// A step failed.
    pub const BROKEN: u8 = 1;
    /// A check could not look, a deadline passed, or the run was interrupted or is not over.
    pub const UNKNOWN: u8 = 2;
    /// A wrong argument, profile or reference; nothing was touched.
    pub const USAGE: u8 = 64;
}

/// What a run says in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every step that ran passed.
    Sound,
    /// A step failed.
    Broken,
    /// Nothing failed, but something could not be looked at, or the run is not over.
    Unknown,
}

impl Verdict {
    /// The exit code of the program.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Sound => exit::SOUND,
            Self::Broken => exit::BROKEN,
            Self::Unknown => exit::UNKNOWN,
        }
    }

    /// The word of the reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Broken => "broken",
            Self::Unknown => "unknown",
        }
    }
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

/// One step, concluded.
pub struct StepReport {
    /// The step.
    pub step: &'static Step,
    /// The runner's conclusion.
    pub outcome: Outcome,
    /// What was found; with a repair: before it and after it.
    pub findings: Vec<Finding>,
    /// Where the findings of the latest look begin: 0, or behind those from before a repair.
    pub latest: usize,
    /// What was repaired.
    pub repair: Option<RepairRecord>,
    /// From its start to its conclusion.
    pub duration: Duration,
    /// When it started, from the start of the run.
    pub started: Duration,
}

/// The whole run.
pub struct Report {
    /// The run's id.
    pub run: String,
    /// The profile's name.
    pub profile: String,
    /// What was learned.
    pub environment: Environment,
    /// The ladder.
    pub steps: Vec<StepReport>,
    /// What could not be removed.
    pub leftovers: Vec<String>,
    /// The daemon's log, read from its first error, where the daemon or a container failed.
    pub diagnosis: Option<Diagnosis>,
    /// Whether the run came to its end; a report that was written on the way proves nothing yet.
    pub complete: bool,
    /// Duration of the whole run.
    pub duration: Duration,
}

/// Where the ladder broke.
pub struct FirstFailure<'r> {
    /// The step.
    pub step: &'r StepReport,
    /// Its cause.
    pub cause: Option<CauseId>,
    /// What was found, or why it could not look.
    pub what: String,
    /// What to do.
    pub remedy: Option<String>,
}

impl Report {
    /// The first step that failed, or could not look, tells which; nothing of the kind is sound.
    pub fn verdict(&self) -> Verdict {
        let failed = self.steps.iter().any(|s| matches!(s.outcome, Outcome::Failed));
        let errored = self.steps.iter().any(|s| matches!(s.outcome, Outcome::Errored(_)));
        match (failed, errored || !self.complete) {
            (true, _) => Verdict::Broken,
            (false, true) => Verdict::Unknown,
            (false, false) => Verdict::Sound,
        }
    }

    /// The first step that did not hold: failed before errored, as the verdict counts them.
    pub fn first_failure(&self) -> Option<FirstFailure<'_>> {
        let failed = self.steps.iter().find(|s| matches!(s.outcome, Outcome::Failed));
        let step = failed.or_else(|| self.steps.iter().find(|s| matches!(s.outcome, Outcome::Errored(_))))?;
        Some(match &step.outcome {
            Outcome::Errored(error) => {
                FirstFailure { step, cause: None, what: format!("could not look: {error:#}"), remedy: None }
            }
            _ => of_finding(step, step.last_failing()?),
        })
    }
}

/// The failure that a finding describes.
fn of_finding<'r>(step: &'r StepReport, finding: &Finding) -> FirstFailure<'r> {
    let remedy =
        finding.hint.clone().or_else(|| finding.cause.map(|id| diagnosis::cause(id).remedy.to_owned()));
    FirstFailure { step, cause: finding.cause, what: finding.what.clone(), remedy }
}

impl StepReport {
    /// The failing finding that counts: the first one, of the latest look where a repair came between.
    pub fn last_failing(&self) -> Option<&Finding> {
        self.findings[self.latest..].iter().find(|finding| finding.level == Level::Fail)
    }

    /// The first finding of the highest level: what a one-line summary shows.
    pub fn headline(&self) -> Option<&Finding> {
        let highest = self.findings.iter().map(|finding| finding.level).max()?;
        match &self.outcome {
            Outcome::Passed | Outcome::Repaired => self.findings.iter().rfind(|f| f.level == Level::Pass),
            _ => self.findings.iter().find(|finding| finding.level == highest),
        }
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        document::Document::of(self).serialize(out)
    }
}

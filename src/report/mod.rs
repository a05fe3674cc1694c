//! What does a run amount to? The report, its verdict and its exit code; rendering is left to the formats.

use crate::exit::Verdict;
use crate::finding::Environment;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::diagnosis::{self, CauseId, Diagnosis};
use crate::finding::{Finding, Level, Outcome, RepairRecord};
use crate::step::Step;

pub mod document;
pub mod events;
pub mod files;
pub mod formats;
pub mod github;
pub mod human;
pub mod junit;
pub mod live;
pub mod page;

pub use events::Event;

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

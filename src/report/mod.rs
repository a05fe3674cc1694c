//! The report of a run: every step with its outcome and findings, the verdict and the first failure.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::diagnosis::{CauseId, Diagnosis};
use crate::exit::Verdict;
use crate::finding::{Environment, Finding, Level, Outcome, RepairRecord};
use crate::profile::Mode;
use crate::step::Step;
use crate::text::errors::chain;

pub mod coverage;
pub mod document;
pub mod events;
pub mod files;
pub mod formats;
pub mod images;
mod layout;
mod place;
pub mod progress;
pub mod shown;
mod step_line;
pub mod target;

pub use events::Event;

/// The report of a step.
pub struct StepReport {
    /// The step.
    pub step: &'static Step,
    /// How its failure counts.
    pub mode: Mode,
    /// What the runner concluded.
    pub outcome: Outcome,
    /// What was found; with a repair: before it and after it.
    pub findings: Vec<Finding>,
    /// Index of the first finding of the latest check: 0, or behind the findings from before a repair.
    pub latest: usize,
    /// What was repaired.
    pub repair: Option<RepairRecord>,
    /// From its start to its conclusion.
    pub duration: Duration,
    /// From the start of the run to the step's own.
    pub started: Duration,
}

/// The report of a run.
pub struct Report {
    /// The run's id.
    pub run: String,
    /// The profile's name.
    pub profile: String,
    /// The environment, as far as it is known.
    pub environment: Environment,
    /// The steps, in their order.
    pub steps: Vec<StepReport>,
    /// What could not be removed.
    pub leftovers: Vec<String>,
    /// The diagnosis of the daemon's log, where the daemon or a container failed.
    pub diagnosis: Option<Diagnosis>,
    /// Whether the run has ended. Until then the verdict is never sound.
    pub complete: bool,
    /// Duration of the whole run.
    pub duration: Duration,
}

/// The first failure of a run.
pub struct FirstFailure<'r> {
    /// The step.
    pub step: &'r StepReport,
    /// Its cause; none where the step could not be checked.
    pub cause: Option<CauseId>,
    /// What was found, or why the step could not be checked.
    pub what: String,
    /// What to do.
    pub remedy: Option<String>,
}

impl Report {
    /// Broken where a step failed; else unknown where one could not be checked, the run has not ended or no step ran; else
    /// sound. Whether that is everything says the [`Coverage`](coverage::Coverage).
    pub fn verdict(&self) -> Verdict {
        let failed = self.steps.iter().any(|s| matches!(s.outcome, Outcome::Failed));
        let errored = self.steps.iter().any(|s| matches!(s.outcome, Outcome::Errored(_)));
        match (failed, errored || !self.complete || !self.has_checked()) {
            (true, _) => Verdict::Broken,
            (false, true) => Verdict::Unknown,
            (false, false) => Verdict::Sound,
        }
    }

    /// The first step that failed, or else the first that could not be checked.
    pub fn first_failure(&self) -> Option<FirstFailure<'_>> {
        let failed = self.steps.iter().find(|s| matches!(s.outcome, Outcome::Failed));
        let step = failed.or_else(|| self.steps.iter().find(|s| matches!(s.outcome, Outcome::Errored(_))))?;
        if let Some(what) = step.error() {
            return Some(FirstFailure { step, cause: None, what, remedy: None });
        }
        let finding = step.last_failing()?;
        let remedy = finding.remedy().map(ToOwned::to_owned);
        Some(FirstFailure { step, cause: finding.cause, what: finding.what.clone(), remedy })
    }
}

impl StepReport {
    /// The first failing finding of the latest check.
    pub fn last_failing(&self) -> Option<&Finding> {
        self.findings[self.latest..].iter().find(|finding| finding.level == Level::Fail)
    }

    /// The finding that a one-line summary shows: the first one of the highest level, or the last passing one where the
    /// step passed or was repaired.
    pub fn headline(&self) -> Option<&Finding> {
        let highest = self.findings.iter().map(|finding| finding.level).max()?;
        match &self.outcome {
            Outcome::Passed | Outcome::Repaired => self.findings.iter().rfind(|f| f.level == Level::Pass),
            _ => self.findings.iter().find(|finding| finding.level == highest),
        }
    }

    /// Why the step could not be checked, where that is its outcome.
    pub fn error(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Errored(error) => Some(format!("cannot check: {}", chain(error))),
            _ => None,
        }
    }
}

/// What is known of an environment, as names and values for people.
fn known(environment: &Environment) -> Vec<(&'static str, &str)> {
    [
        ("kernel", &environment.kernel),
        ("cgroup", &environment.cgroup),
        ("engine", &environment.engine),
        ("API", &environment.api),
        ("storage", &environment.storage_driver),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    .collect()
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        document::Document::of(self).serialize(out)
    }
}

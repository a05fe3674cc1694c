//! How much of the ladder a run has checked, and the words for that: a run of a few steps is never called sound.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Report, StepReport};
use crate::exit::Verdict;
use crate::finding::Outcome;
use crate::profile::{Mode, default_skips};
use crate::steps;

/// Which steps ran of those that the profile has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Coverage {
    /// Whether the run has ended and every step ran that the profile does not skip. Otherwise `sound` only says that nothing
    /// failed in the steps that ran.
    pub complete: bool,
    /// The ids of the steps that ran.
    pub steps_run: Vec<&'static str>,
    /// The ids of the steps that the profile has and that did not run: left out by an option, not recorded, or after a
    /// failure. The step's `reason` says which.
    pub steps_not_run: Vec<&'static str>,
    /// The ids of the steps that the profile skips.
    pub skipped_by_profile: Vec<&'static str>,
}

impl Coverage {
    /// The coverage of a report.
    pub fn of(report: &Report) -> Self {
        let ids = |wanted: &dyn Fn(&StepReport) -> bool| -> Vec<&'static str> {
            report.steps.iter().filter(|step| wanted(step)).map(|step| step.step.id).collect()
        };
        let steps_not_run = ids(&|step| !ran(step) && step.mode != Mode::Skip);
        Self {
            complete: report.complete && steps_not_run.is_empty(),
            steps_run: ids(&ran),
            steps_not_run,
            skipped_by_profile: ids(&|step| !ran(step) && step.mode == Mode::Skip),
        }
    }
}

impl Report {
    /// Whether any step ran.
    pub(super) fn has_checked(&self) -> bool {
        self.steps.iter().any(ran)
    }

    /// Whether nothing failed, in a run that left steps out.
    pub fn is_partial(&self) -> bool {
        self.verdict() == Verdict::Sound && !Coverage::of(self).complete
    }

    /// The verdict in a few words, with each step's id as `id` writes it: `broken at storage`, `sound`,
    /// `no failure until kernel; 17 steps not run`.
    pub fn headline(&self, id: &dyn Fn(&str) -> String) -> String {
        if let Some(failure) = self.first_failure() {
            return format!("{} at {}", self.verdict().name(), id(failure.step.step.id));
        }
        match self.verdict() {
            Verdict::Sound if self.is_partial() => self.partly(id),
            Verdict::Unknown if self.complete && !self.has_checked() => "unknown: no step ran".to_owned(),
            verdict => format!("{}{}", verdict.name(), self.unchecked(id)),
        }
    }

    /// `no failure until kernel; 17 steps not run`, or where the steps that ran are not the first ones,
    /// `no failure in the 4 steps that ran; 15 steps not run`.
    fn partly(&self, id: &dyn Fn(&str) -> String) -> String {
        let Coverage { steps_run, steps_not_run, .. } = Coverage::of(self);
        let where_ = match self.last_of_prefix() {
            Some(last) => format!("until {}", id(last)),
            None if steps_run.len() == 1 => format!("in {}", id(steps_run[0])),
            None => format!("in the {} steps that ran", steps_run.len()),
        };
        let s = if steps_not_run.len() == 1 { "" } else { "s" };
        format!("no failure {where_}; {} step{s} not run{}", steps_not_run.len(), self.unchecked(id))
    }

    /// The last step that ran, where everything before it ran, too. What is removed at the end does not count.
    fn last_of_prefix(&self) -> Option<&'static str> {
        let counts = |step: &&StepReport| step.mode != Mode::Skip && step.step.id != steps::TEARDOWN;
        let mut steps = self.steps.iter().filter(counts);
        let prefix: Vec<_> = steps.by_ref().take_while(|step| ran(step)).collect();
        steps.all(|step| !ran(step)).then(|| prefix.last().map(|step| step.step.id)).flatten()
    }

    /// `; network not checked`: the steps that this profile skips and the built-in default does not.
    pub(super) fn unchecked(&self, id: &dyn Fn(&str) -> String) -> String {
        let skipped = Coverage::of(self).skipped_by_profile;
        let named: Vec<_> = skipped.into_iter().filter(|step| !default_skips(step)).map(id).collect();
        if named.is_empty() { String::new() } else { format!("; {} not checked", named.join(", ")) }
    }
}

/// Whether a step ran.
fn ran(step: &StepReport) -> bool {
    !matches!(step.outcome, Outcome::Skipped(_))
}

/// An id as terminals and JSON have it.
pub fn plain(id: &str) -> String {
    id.to_owned()
}

/// An id in Markdown.
pub fn code(id: &str) -> String {
    format!("`{id}`")
}

//! The JSON report and its schema, from the same types.
//!
//! Schema version 1: fields may be added, never renamed.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::diagnosis::Diagnosis;
use crate::exit::Verdict;
use crate::finding::{Environment, Level, Reach};
use crate::report::coverage::Coverage;
use crate::step::Phase;

pub use schema::schema;

mod convert;
mod schema;

/// Version of the structure.
const SCHEMA_VERSION: u32 = 1;

/// The report of a run of dindcheck.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "dindcheck report")]
pub struct Document {
    /// Version of this structure; fields may be added, never renamed.
    #[schemars(range(min = 1, max = 1))]
    pub schema_version: u32,
    /// The program that wrote the report.
    pub tool: Tool,
    /// The id of the run.
    pub run: String,
    /// The name or the file of the profile.
    pub profile: String,
    /// Whether the run has ended. Reports are written after every step; the one that a crash leaves behind is not complete.
    pub complete: bool,
    /// The verdict on the steps that ran; `unknown` while the run is not complete and nothing failed. `sound` means that
    /// Docker-in-Docker works here only where `coverage.complete` is true.
    pub verdict: Verdict,
    /// The exit code of that verdict.
    #[schemars(range(min = 0, max = 2))]
    pub exit_code: u8,
    /// The verdict and how much of the ladder it is about, in words.
    pub headline: String,
    /// How much of the ladder was checked.
    pub coverage: Coverage,
    /// The first failure; null where nothing failed.
    pub first_failure: Option<Failure>,
    /// The diagnosis of the daemon's log; null where the daemon did not fail.
    #[schemars(with = "Option<schema::Diagnosis>")]
    pub diagnosis: Option<Diagnosis>,
    /// The environment, as far as it is known.
    pub environment: Environment,
    /// The steps, in their order.
    pub steps: Vec<StepEntry>,
    /// What dindcheck made and could not remove.
    pub leftovers: Vec<String>,
    /// Duration of the run, in milliseconds.
    pub duration_ms: f64,
}

/// A program.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tool {
    /// The name.
    pub name: &'static str,
    /// The version.
    pub version: &'static str,
}

/// The first failure.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Failure {
    /// The id of the step.
    pub step: &'static str,
    /// The id of the cause; null where the step could not be checked.
    pub cause: Option<&'static str>,
    /// What was found.
    pub what: String,
    /// What to do.
    pub remedy: Option<String>,
}

/// The outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepOutcome {
    /// No problems found.
    Passed,
    /// It passed, with warnings.
    Warned,
    /// It failed, was repaired, and the same check passed.
    Repaired,
    /// It failed.
    Failed,
    /// It did not run.
    Skipped,
    /// It could not be checked.
    Errored,
}

/// A step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StepEntry {
    /// The id; never renamed.
    pub id: &'static str,
    /// The title, for people.
    pub title: &'static str,
    /// The phase of the run.
    pub phase: Phase,
    /// The outcome.
    pub outcome: StepOutcome,
    /// Why it was skipped or could not be checked.
    pub reason: Option<String>,
    /// From the start of the run to the start of the step, in milliseconds.
    pub started_ms: f64,
    /// Duration of the step, in milliseconds.
    pub duration_ms: f64,
    /// What was found; with a repair: before it and after it.
    pub findings: Vec<FindingEntry>,
    /// The repair, where one was applied.
    pub repair: Option<RepairEntry>,
    /// The reason or the most important finding, for the pages.
    #[serde(skip)]
    pub summary: String,
}

/// A finding.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FindingEntry {
    /// How it counts.
    pub level: Level,
    /// One sentence.
    pub what: String,
    /// Paths, values, error numbers.
    #[serde(serialize_with = "as_map")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub evidence: Vec<(&'static str, String)>,
    /// The id of the cause.
    pub cause: Option<&'static str>,
    /// What to do here.
    pub hint: Option<String>,
}

/// A repair.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RepairEntry {
    /// The title, for people.
    pub title: &'static str,
    /// Who feels its changes.
    pub reach: Reach,
    /// What was changed, in order.
    pub changes: Vec<ChangeEntry>,
    /// Why the repair did not succeed.
    pub error: Option<String>,
}

/// A change of a repair.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChangeEntry {
    /// What was done.
    pub did: String,
    /// The command that undoes it.
    pub undo: String,
}

/// Pairs as an object, in their order.
fn as_map<S: Serializer>(pairs: &[(&'static str, String)], out: S) -> Result<S::Ok, S::Error> {
    out.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}

/// Milliseconds, to the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

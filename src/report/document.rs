//! What do programs read? The report as JSON, and its published schema, from the same types.
//!
//! Schema version 1: fields may be added, never renamed.

use crate::exit::Verdict;
use crate::finding::Environment;
use std::collections::BTreeMap;
use std::time::Duration;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Serialize, Serializer};

use super::{FirstFailure, Report, StepReport};
use crate::diagnosis::Diagnosis;
use crate::finding::{Finding, Level, Outcome, Reach, RepairRecord};
use crate::step::Phase;

mod shape;

/// Version of the structure.
const SCHEMA_VERSION: u32 = 1;

/// A run of dindcheck.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "dindcheck report")]
pub struct Document {
    /// Version of this structure; fields may be added, never renamed.
    #[schemars(range(min = 1, max = 1))]
    pub schema_version: u32,
    /// Who wrote it.
    pub tool: Tool,
    /// The run's id.
    pub run: String,
    /// The profile's name, or its file.
    pub profile: String,
    /// Whether the run came to its end. Reports are written after every step, so one that a crash left is not.
    pub complete: bool,
    /// The run in one word; `unknown` while it is not complete and nothing failed.
    pub verdict: Verdict,
    /// The exit code that goes with it.
    #[schemars(range(min = 0, max = 2))]
    pub exit_code: u8,
    /// Where the ladder broke; null where it did not.
    pub first_failure: Option<Failure>,
    /// The daemon's log, read from its first error; null where the daemon did not fail.
    #[schemars(with = "Option<shape::Diagnosis>")]
    pub diagnosis: Option<Diagnosis>,
    /// What was learned on the way.
    pub environment: Environment,
    /// The ladder, in its order.
    pub steps: Vec<Rung>,
    /// What is ours and could not be removed.
    pub leftovers: Vec<String>,
    /// Duration of the run, in milliseconds.
    pub duration_ms: f64,
}

/// The program.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// Where the ladder broke.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Failure {
    /// The step's id.
    pub step: &'static str,
    /// The cause's id; null where a check could not look.
    pub cause: Option<&'static str>,
    /// What was found.
    pub what: String,
    /// What to do.
    pub remedy: Option<String>,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// Nothing to say against it.
    Passed,
    /// It holds, with a warning.
    Warned,
    /// It failed, was repaired, and the same check passed.
    Repaired,
    /// It failed.
    Failed,
    /// It did not run.
    Skipped,
    /// It could not look.
    Errored,
}

/// A step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Rung {
    /// Never renamed.
    pub id: &'static str,
    /// For people.
    pub title: &'static str,
    /// The part of the ladder.
    pub phase: Phase,
    /// What became of it.
    pub outcome: Ending,
    /// Why it was skipped, or could not look.
    pub reason: Option<String>,
    /// From the start of the run to its own, in milliseconds.
    pub started_ms: f64,
    /// From its start to its end, in milliseconds.
    pub duration_ms: f64,
    /// What was found; with a repair: before it and after it.
    pub findings: Vec<Found>,
    /// What was repaired.
    pub repair: Option<Repaired>,
}

/// One thing that a step saw.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Found {
    /// How it counts.
    pub level: Level,
    /// One sentence.
    pub what: String,
    /// Paths, values, error numbers.
    #[serde(serialize_with = "as_map")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub evidence: Vec<(&'static str, String)>,
    /// The cause's id.
    pub cause: Option<&'static str>,
    /// What to do here.
    pub hint: Option<String>,
}

/// What was repaired.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Repaired {
    /// For people.
    pub title: &'static str,
    /// How far its changes are felt.
    pub reach: Reach,
    /// What was done, in order.
    pub changes: Vec<Done>,
    /// Why it did not get to its end.
    pub error: Option<String>,
}

/// One change, and its way back.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Done {
    /// What was done.
    pub did: String,
    /// What undoes it.
    pub undo: String,
}

impl Document {
    /// The document of a report.
    pub fn of(report: &Report) -> Self {
        let verdict = report.verdict();
        Self {
            schema_version: SCHEMA_VERSION,
            tool: Tool { name: "dindcheck", version: env!("CARGO_PKG_VERSION") },
            run: report.run.clone(),
            profile: report.profile.clone(),
            complete: report.complete,
            verdict,
            exit_code: verdict.exit_code(),
            first_failure: report.first_failure().map(Failure::of),
            diagnosis: report.diagnosis.clone(),
            environment: report.environment.clone(),
            steps: report.steps.iter().map(Rung::of).collect(),
            leftovers: report.leftovers.clone(),
            duration_ms: milliseconds(report.duration),
        }
    }
}

impl Failure {
    fn of(failure: FirstFailure<'_>) -> Self {
        let cause = failure.cause.map(crate::diagnosis::CauseId::as_str);
        Self { step: failure.step.step.id, cause, what: failure.what, remedy: failure.remedy }
    }
}

impl Rung {
    fn of(report: &StepReport) -> Self {
        let step = report.step;
        Self {
            id: step.id,
            title: step.title,
            phase: step.phase,
            outcome: Ending::of(&report.outcome),
            reason: match &report.outcome {
                Outcome::Skipped(reason) => Some(reason.clone()),
                Outcome::Errored(error) => Some(format!("{error:#}")),
                _ => None,
            },
            started_ms: milliseconds(report.started),
            duration_ms: milliseconds(report.duration),
            findings: report.findings.iter().map(Found::of).collect(),
            repair: report.repair.as_ref().map(Repaired::of),
        }
    }
}

impl Ending {
    const fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Passed => Self::Passed,
            Outcome::Warned => Self::Warned,
            Outcome::Repaired => Self::Repaired,
            Outcome::Failed => Self::Failed,
            Outcome::Skipped(_) => Self::Skipped,
            Outcome::Errored(_) => Self::Errored,
        }
    }

    /// The word of the reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "warned",
            Self::Repaired => "repaired",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Errored => "errored",
        }
    }
}

impl Found {
    fn of(finding: &Finding) -> Self {
        Self {
            level: finding.level,
            what: finding.what.clone(),
            evidence: finding.evidence.clone(),
            cause: finding.cause.map(crate::diagnosis::CauseId::as_str),
            hint: finding.hint.clone(),
        }
    }
}

impl Repaired {
    fn of(record: &RepairRecord) -> Self {
        let done =
            |change: &crate::finding::Change| Done { did: change.did.clone(), undo: change.undo.to_string() };
        Self {
            title: record.title,
            reach: record.reach,
            changes: record.changes.iter().map(done).collect(),
            error: record.error.clone(),
        }
    }
}

/// Pairs as an object, in their order.
fn as_map<S: Serializer>(pairs: &[(&'static str, String)], out: S) -> Result<S::Ok, S::Error> {
    let object: serde_json::Map<_, _> =
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone().into())).collect();
    object.serialize(out)
}

/// A duration as the reports give it: milliseconds, to the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

/// The schema of [`Document`], JSON Schema 2020-12.
pub fn schema() -> serde_json::Value {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Document>()
        .to_value()
}

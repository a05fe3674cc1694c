//! A report as it is shown: every text in it that may come from outside is one line without hidden characters.
//!
//! Each type is taken apart field by field, so that a field that is added does not compile until it is shown here.

use super::{Report, StepReport};
use crate::diagnosis::{Diagnosis, LogLine, Noise};
use crate::finding::{Change, Environment, Finding, Outcome, RepairRecord, Undo};
use crate::image_check::ImageResult;
use crate::text::errors::chain;
use crate::text::shown::{lines, one_line};

impl Report {
    /// The report as it is shown.
    #[must_use]
    pub fn shown(&self) -> Self {
        let Self { run, profile, environment, steps, leftovers, diagnosis, complete, duration } = self;
        Self {
            run: text(run),
            profile: text(profile),
            environment: of_environment(environment),
            steps: steps.iter().map(StepReport::shown).collect(),
            leftovers: leftovers.iter().map(text).collect(),
            diagnosis: diagnosis.as_ref().map(of_diagnosis),
            complete: *complete,
            duration: *duration,
        }
    }
}

impl StepReport {
    /// The step as it is shown.
    pub(super) fn shown(&self) -> Self {
        let Self { step, mode, outcome, findings, latest, repair, duration, started } = self;
        Self {
            step,
            mode: *mode,
            outcome: of_outcome(outcome),
            findings: findings.iter().map(of_finding).collect(),
            latest: *latest,
            repair: repair.as_ref().map(of_repair),
            duration: *duration,
            started: *started,
        }
    }
}

/// The result of an image as it is shown.
pub fn of_image(result: &ImageResult) -> ImageResult {
    let ImageResult {
        image,
        verdict,
        first_failure,
        log,
        notes,
        report,
        report_about,
        text: page,
        duration_ms,
    } = result;
    ImageResult {
        image: text(image),
        verdict: *verdict,
        first_failure: first_failure.as_ref().map(of_json),
        log: log.as_ref().map(of_diagnosis),
        notes: notes.iter().map(text).collect(),
        report: report.as_ref().map(of_json),
        report_about: *report_about,
        text: lines(page),
        duration_ms: *duration_ms,
    }
}

/// A diagnosis as it is shown.
pub fn of_diagnosis(diagnosis: &Diagnosis) -> Diagnosis {
    let Diagnosis { cause, first_error, last_error, consequences, ignored_noise, hint } = diagnosis;
    Diagnosis {
        cause,
        first_error: first_error.as_ref().map(of_line),
        last_error: last_error.as_ref().map(of_line),
        consequences: consequences.iter().map(of_line).collect(),
        ignored_noise: ignored_noise.iter().map(of_noise).collect(),
        hint: hint.as_ref().map(text),
    }
}

/// A finding as it is shown.
pub fn of_finding(finding: &Finding) -> Finding {
    let Finding { level, what, evidence, cause, hint } = finding;
    Finding {
        level: *level,
        what: text(what),
        evidence: evidence.iter().map(|(key, value)| (*key, text(value))).collect(),
        cause: *cause,
        hint: hint.as_ref().map(text),
    }
}

fn text(text: impl AsRef<str>) -> String {
    one_line(text.as_ref()).into_owned()
}

fn of_environment(environment: &Environment) -> Environment {
    let Environment { kernel, cgroup, engine, api, storage_driver } = environment;
    let [kernel, cgroup, engine, api, storage_driver] =
        [kernel, cgroup, engine, api, storage_driver].map(|value| value.as_ref().map(text));
    Environment { kernel, cgroup, engine, api, storage_driver }
}

fn of_outcome(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Passed => Outcome::Passed,
        Outcome::Warned => Outcome::Warned,
        Outcome::Repaired => Outcome::Repaired,
        Outcome::Failed => Outcome::Failed,
        Outcome::Skipped(reason) => Outcome::Skipped(text(reason)),
        Outcome::Errored(error) => Outcome::Errored(anyhow::Error::msg(text(chain(error)))),
    }
}

fn of_repair(repair: &RepairRecord) -> RepairRecord {
    let RepairRecord { title, reach, changes, error } = repair;
    let change =
        |Change { did, undo }: &Change| Change { did: text(did), undo: Undo::Manual(text(undo.to_string())) };
    RepairRecord {
        title,
        reach: *reach,
        changes: changes.iter().map(change).collect(),
        error: error.as_ref().map(text),
    }
}

fn of_line(LogLine { line, text: content }: &LogLine) -> LogLine {
    LogLine { line: *line, text: text(content) }
}

fn of_noise(Noise { line, text: content, kind }: &Noise) -> Noise {
    Noise { line: *line, text: text(content), kind }
}

/// JSON with every string in it as it is shown.
fn of_json(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::String(string) => text(string).into(),
        serde_json::Value::Array(values) => values.iter().map(of_json).collect(),
        serde_json::Value::Object(object) => {
            object.iter().map(|(key, value)| (text(key), of_json(value))).collect()
        }
        other => other.clone(),
    }
}

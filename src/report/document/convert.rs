//! From the report of a run to the JSON document.

use super::{
    ChangeEntry, Document, Failure, FindingEntry, RepairEntry, SCHEMA_VERSION, StepEntry, StepOutcome, Tool,
    milliseconds,
};
use crate::diagnosis::CauseId;
use crate::finding::{Change, Finding, Outcome, RepairRecord};
use crate::report::coverage::{Coverage, plain};
use crate::report::{FirstFailure, Report, StepReport};
use crate::text::errors::chain;

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
            headline: report.headline(&plain),
            coverage: Coverage::of(report),
            first_failure: report.first_failure().map(Failure::of),
            diagnosis: report.diagnosis.clone(),
            environment: report.environment.clone(),
            steps: report.steps.iter().map(StepEntry::of).collect(),
            leftovers: report.leftovers.clone(),
            duration_ms: milliseconds(report.duration),
        }
    }
}

impl Failure {
    fn of(failure: FirstFailure<'_>) -> Self {
        let cause = failure.cause.map(CauseId::as_str);
        Self { step: failure.step.step.id, cause, what: failure.what, remedy: failure.remedy }
    }
}

impl StepEntry {
    fn of(report: &StepReport) -> Self {
        let step = report.step;
        let reason = reason(&report.outcome);
        let headline = || report.headline().map(|finding| finding.what.clone());
        Self {
            id: step.id,
            title: step.title,
            phase: step.phase,
            outcome: StepOutcome::of(&report.outcome),
            summary: reason.clone().or_else(headline).unwrap_or_default(),
            reason,
            started_ms: milliseconds(report.started),
            duration_ms: milliseconds(report.duration),
            findings: report.findings.iter().map(FindingEntry::of).collect(),
            repair: report.repair.as_ref().map(RepairEntry::of),
        }
    }
}

/// Why a step was skipped or could not be checked.
fn reason(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Skipped(reason) => Some(reason.clone()),
        Outcome::Errored(error) => Some(chain(error)),
        _ => None,
    }
}

impl StepOutcome {
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

impl FindingEntry {
    fn of(finding: &Finding) -> Self {
        Self {
            level: finding.level,
            what: finding.what.clone(),
            evidence: finding.evidence.clone(),
            cause: finding.cause.map(CauseId::as_str),
            hint: finding.hint.clone(),
        }
    }
}

impl RepairEntry {
    fn of(record: &RepairRecord) -> Self {
        let change = |change: &Change| ChangeEntry { did: change.did.clone(), undo: change.undo.to_string() };
        Self {
            title: record.title,
            reach: record.reach,
            changes: record.changes.iter().map(change).collect(),
            error: record.error.clone(),
        }
    }
}

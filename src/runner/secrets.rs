//! Removes known secrets from what is reported.

use crate::diagnosis::Diagnosis;
use crate::finding::{Finding, Outcome, RepairRecord, Undo};
use crate::redact::KnownSecrets;
use crate::report::StepReport;

/// Removes them from the report of a step.
pub(super) fn hide_in_step(secrets: &KnownSecrets, step: &mut StepReport) {
    step.findings.iter_mut().for_each(|finding| hide_in_finding(secrets, finding));
    match &mut step.outcome {
        Outcome::Errored(error) => *error = anyhow::Error::msg(secrets.hide(&format!("{error:#}"))),
        Outcome::Skipped(reason) => *reason = secrets.hide(reason),
        _ => {}
    }
    if let Some(repair) = &mut step.repair {
        hide_in_repair(secrets, repair);
    }
}

fn hide_in_finding(secrets: &KnownSecrets, finding: &mut Finding) {
    finding.what = secrets.hide(&finding.what);
    for (_, value) in &mut finding.evidence {
        *value = secrets.hide(value);
    }
    finding.hint = finding.hint.as_deref().map(|hint| secrets.hide(hint));
}

/// The paths of an undo stay: without them it undoes nothing.
fn hide_in_repair(secrets: &KnownSecrets, repair: &mut RepairRecord) {
    for change in &mut repair.changes {
        change.did = secrets.hide(&change.did);
        if let Undo::Manual(command) = &mut change.undo {
            *command = secrets.hide(command);
        }
    }
    repair.error = repair.error.as_deref().map(|error| secrets.hide(error));
}

/// Removes them from the diagnosis of the daemon's log.
pub(super) fn hide_in_diagnosis(secrets: &KnownSecrets, diagnosis: &mut Diagnosis) {
    let lines =
        diagnosis.first_error.iter_mut().chain(&mut diagnosis.last_error).chain(&mut diagnosis.consequences);
    lines.for_each(|line| line.text = secrets.hide(&line.text));
    diagnosis.ignored_noise.iter_mut().for_each(|noise| noise.text = secrets.hide(&noise.text));
}

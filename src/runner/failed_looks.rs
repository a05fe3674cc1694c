//! Names the operations on the machine that failed during a step and that the step itself does not name.

use nix::errno::Errno;

use crate::finding::{Finding, Level, Outcome};
use crate::host::HostError;
use crate::report::StepReport;
use crate::text::errors::chain;

/// Adds a finding for each. A failure of the machine is a warning: what it would have shown is unknown. A permission that
/// is missing is a note, since an ordinary user lacks many.
pub(super) fn name_in(step: &mut StepReport, failed: &[HostError]) {
    for error in failed {
        if is_named(step, error) {
            continue;
        }
        let is_permission = matches!(error.errno(), Errno::EACCES | Errno::EPERM);
        let level = if is_permission { Level::Pass } else { Level::Warn };
        let finding =
            Finding::pass(format!("an operation failed: {error}")).with("path", error.path.display());
        step.findings.push(Finding { level, ..finding });
        if level == Level::Warn && matches!(step.outcome, Outcome::Passed) {
            step.outcome = Outcome::Warned;
        }
    }
}

/// Whether a step names an operation: its path and its errno.
fn is_named(step: &StepReport, error: &HostError) -> bool {
    let (path, errno) = (error.path.display().to_string(), format!("{:?}", error.errno()));
    let names = |text: &str| text.contains(&path) && text.contains(&errno);
    let in_outcome = matches!(&step.outcome, Outcome::Errored(error) if names(&chain(error)));
    let in_repair = step.repair.as_ref().and_then(|repair| repair.error.as_deref()).is_some_and(names);
    in_outcome || in_repair || step.findings.iter().any(|finding| names(&words(finding)))
}

/// Everything that a finding says.
fn words(finding: &Finding) -> String {
    let evidence = finding.evidence.iter().map(|(key, value)| format!(" {key} {value}"));
    finding.what.clone() + &evidence.collect::<String>()
}

//! Concludes a step: checks it, repairs it where that is granted, and checks it again.

use std::time::Duration;

use super::Doors;
use crate::finding::{Finding, Level, Outcome, RepairRecord};
use crate::plan::{Plan, Planned};
use crate::profile::Mode;
use crate::repair_log::RepairLog;
use crate::report::StepReport;
use crate::step::{Cx, Repair};
use crate::steps;
use crate::text::errors::chain;

/// A step that runs, and what it runs with.
pub(super) struct StepRun<'r> {
    pub(super) planned: &'r Planned,
    pub(super) plan: &'r Plan,
    pub(super) cx: &'r Cx<'r>,
    pub(super) doors: &'r Doors<'r>,
}

/// The report of a step without findings.
pub(super) fn without_findings(planned: &Planned, outcome: Outcome) -> StepReport {
    StepReport {
        step: planned.step,
        mode: planned.mode,
        outcome,
        findings: Vec::new(),
        latest: 0,
        repair: None,
        duration: Duration::ZERO,
        started: Duration::ZERO,
    }
}

impl StepRun<'_> {
    /// Checks, repairs where that is granted, checks again, and concludes.
    pub(super) fn conclude(&self) -> StepReport {
        if let Some(error) = self.interrupted() {
            return without_findings(self.planned, Outcome::Errored(error));
        }
        let mut report = without_findings(self.planned, Outcome::Passed);
        match self.check() {
            Ok(findings) => report.findings = findings,
            Err(error) => {
                self.set_error(&mut report, error);
                return report;
            }
        }
        if worst(&report.findings) == Level::Fail && self.repair(&mut report) {
            report.outcome = Outcome::Repaired;
            return report;
        }
        if self.planned.mode == Mode::Warn {
            downgrade(&mut report.findings);
        }
        report.outcome = match worst(&report.findings[report.latest..]) {
            Level::Pass => Outcome::Passed,
            Level::Warn => Outcome::Warned,
            Level::Fail => Outcome::Failed,
        };
        report
    }

    /// The signal that interrupts the run, as an error. Teardown is never interrupted.
    fn interrupted(&self) -> Option<anyhow::Error> {
        let signal = self.doors.interrupt.signal().filter(|_| self.planned.step.id != steps::TEARDOWN)?;
        Some(anyhow::anyhow!("interrupted by {signal}"))
    }

    /// Checks once, and weighs the findings as the profile says. Failures of an interrupted check do not count.
    fn check(&self) -> anyhow::Result<Vec<Finding>> {
        let step = self.planned.step;
        let mut findings = (step.check)(self.cx)?;
        if worst(&findings) == Level::Fail
            && let Some(error) = self.interrupted()
        {
            return Err(error);
        }
        debug_assert!(worst(&findings) <= step.worst, "{} finds worse than its `worst` says", step.id);
        for finding in &mut findings {
            let weight = finding.cause.and_then(|cause| self.plan.options.profile.causes.get(cause.as_str()));
            finding.level = weight.map_or(finding.level, |weight| (*weight).into());
        }
        Ok(findings)
    }

    /// Repairs and checks again; true if the step passes now.
    fn repair(&self, report: &mut StepReport) -> bool {
        let granted = |repair: &&Repair| self.plan.options.profile.repair.allows(repair.reach);
        let Some(repair) = self.planned.step.repair.as_ref().filter(granted) else { return false };
        let mut log = RepairLog::new(self.doors.machine);
        let mut error = (repair.apply)(self.cx, &mut log).err().map(|error| chain(&error));
        if error.is_none() && log.changes().is_empty() {
            // The repair does not apply to what failed.
            return false;
        }
        if error.is_some() {
            log.take_back();
        }
        let again = self.check();
        let passes = again.as_ref().is_ok_and(|findings| worst(findings) < Level::Fail);
        match again {
            Ok(findings) => {
                report.latest = report.findings.len();
                report.findings.extend(findings);
            }
            Err(second) => error = Some(format!("cannot check after the repair: {second:#}")),
        }
        let reach = repair.reach.max(log.reach());
        report.repair = Some(RepairRecord { title: repair.title, reach, changes: log.into_changes(), error });
        passes
    }

    /// Concludes that the step cannot be checked; a warning if the profile does not require it.
    fn set_error(&self, report: &mut StepReport, error: anyhow::Error) {
        if self.planned.mode == Mode::Warn {
            let what = format!("cannot check: {}", chain(&error));
            report.findings.push(Finding { level: Level::Warn, ..Finding::pass(what) });
            report.outcome = Outcome::Warned;
        } else {
            report.outcome = Outcome::Errored(error);
        }
    }
}

/// The highest level among findings.
fn worst(findings: &[Finding]) -> Level {
    findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Pass)
}

/// Turns failures into warnings, for a step that the profile does not require.
fn downgrade(findings: &mut [Finding]) {
    for finding in findings.iter_mut().filter(|finding| finding.level == Level::Fail) {
        finding.level = Level::Warn;
    }
}

//! What does a plan come to? Check, repair, the same check again, stop: the only place that concludes.

use crate::report::Event;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::finding::{Environment, Finding, Level, Outcome, RepairRecord};
use crate::host::{SystemReader, SystemWriter};
use crate::interrupt::Interrupt;
use crate::plan::{Plan, Planned};
use crate::profile::Mode;
use crate::repair_log::RepairLog;
use crate::report::{Report, StepReport};
use crate::step::{Cx, Step};
use crate::steps;
use crate::workload::Workload;

/// The doors that a run goes through.
pub struct Doors<'d> {
    /// Looks at the machine.
    pub host: &'d dyn SystemReader,
    /// Changes it, for repairs.
    pub machine: &'d dyn SystemWriter,
    /// Docker.
    pub engine: &'d dyn Engine,
    /// SIGINT and SIGTERM.
    pub interrupt: &'d Interrupt,
}

/// Runs the plan to its end, or to its first failure.
pub fn run(plan: &Plan, doors: &Doors<'_>, watch: &mut dyn FnMut(&Event<'_>)) -> Report {
    let start = Instant::now();
    let environment = RefCell::new(Environment::default());
    let all_passed = Cell::new(true);
    let watch = RefCell::new(watch);
    let notify = |event: &Event<'_>| (watch.borrow_mut())(event);
    let progress = |text: &str| notify(&Event::Progress(text));
    let (host, engine, options) = (doors.host, doors.engine, &plan.options);
    let workload = Workload::new(host, engine, options, &environment);
    let cx = Cx {
        host,
        engine,
        options,
        environment: &environment,
        progress: &progress,
        all_passed: &all_passed,
        workload: &workload,
    };
    let mut report = Report {
        run: options.run.clone(),
        profile: options.profile.name.clone(),
        environment: Environment::default(),
        steps: Vec::with_capacity(plan.steps.len()),
        leftovers: Vec::new(),
        diagnosis: None,
        complete: false,
        duration: Duration::ZERO,
    };
    steps::begin(doors.host, options);
    for planned in &plan.steps {
        let reason = skip_reason(planned, plan, &report, doors);
        if reason.is_none() {
            notify(&Event::Started(planned.step));
        }
        let started = start.elapsed();
        let mut concluded = match reason {
            Some(reason) => blank(planned.step, Outcome::Skipped(reason)),
            None => conclude(planned, plan, &cx, doors),
        };
        concluded.started = started;
        concluded.duration = start.elapsed().saturating_sub(started);
        all_passed.set(all_passed.get() && !stops(&concluded.outcome) && doors.interrupt.signal().is_none());
        report.steps.push(concluded);
        report.environment = environment.borrow().clone();
        report.leftovers = doors.engine.leftovers();
        report.diagnosis = doors.engine.diagnosis();
        report.duration = start.elapsed();
        notify(&Event::Concluded(&report));
    }
    report.complete = true;
    notify(&Event::Ended(&report));
    report
}

/// Why a step does not run, if it does not.
fn skip_reason(planned: &Planned, plan: &Plan, report: &Report, doors: &Doors<'_>) -> Option<String> {
    if let Some(reason) = &planned.skip {
        return Some(reason.clone());
    }
    let step = planned.step;
    if step.id == steps::TEARDOWN {
        return (!doors.engine.is_used()).then(|| "nothing was started".to_owned());
    }
    let broke = report.steps.iter().find(|s| stops(&s.outcome))?;
    let same_phase = broke.step.phase == step.phase;
    (!plan.keep_going || !same_phase).then(|| format!("{} did not pass", broke.step.id))
}

/// Whether a conclusion ends the way up the ladder.
fn stops(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed | Outcome::Errored(_))
}

/// A step without findings.
fn blank(step: &'static Step, outcome: Outcome) -> StepReport {
    StepReport {
        step,
        outcome,
        findings: Vec::new(),
        latest: 0,
        repair: None,
        duration: Duration::ZERO,
        started: Duration::ZERO,
    }
}

/// Checks, repairs where that is granted, checks again, and concludes.
fn conclude(planned: &Planned, plan: &Plan, cx: &Cx<'_>, doors: &Doors<'_>) -> StepReport {
    let mut concluded = blank(planned.step, Outcome::Passed);
    if let Some(signal) = doors.interrupt.signal().filter(|_| planned.step.id != steps::TEARDOWN) {
        concluded.outcome = Outcome::Errored(anyhow::anyhow!("interrupted by {signal}"));
        return concluded;
    }
    let first = match look(planned.step, cx, plan, doors) {
        Err(error) => {
            concluded.outcome = errored(planned, error, &mut concluded.findings);
            return concluded;
        }
        Ok(findings) => findings,
    };
    concluded.findings = first;
    if worst(&concluded.findings) == Level::Fail && repair(planned, plan, cx, doors, &mut concluded) {
        return concluded;
    }
    if planned.mode == Mode::Warn {
        downgrade(&mut concluded.findings);
    }
    concluded.outcome = match worst(&concluded.findings[concluded.latest..]) {
        Level::Pass => Outcome::Passed,
        Level::Warn => Outcome::Warned,
        Level::Fail => Outcome::Failed,
    };
    concluded
}

/// One look, with the profile's own weights; an interrupted look has found nothing.
fn look(step: &Step, cx: &Cx<'_>, plan: &Plan, doors: &Doors<'_>) -> anyhow::Result<Vec<Finding>> {
    let mut findings = (step.check)(cx)?;
    if let Some(signal) = doors.interrupt.signal()
        && step.id != steps::TEARDOWN
        && worst(&findings) == Level::Fail
    {
        anyhow::bail!("interrupted by {signal}");
    }
    debug_assert!(worst(&findings) <= step.worst, "{} finds worse than its `worst` says", step.id);
    for finding in &mut findings {
        let weight = finding.cause.and_then(|cause| plan.options.profile.causes.get(cause.as_str()));
        finding.level = weight.map_or(finding.level, |weight| (*weight).into());
    }
    Ok(findings)
}

/// Repairs and looks again. True where that concluded the step.
fn repair(
    planned: &Planned,
    plan: &Plan,
    cx: &Cx<'_>,
    doors: &Doors<'_>,
    concluded: &mut StepReport,
) -> bool {
    let Some(repair) =
        planned.step.repair.as_ref().filter(|repair| plan.options.profile.repair.allows(repair.reach))
    else {
        return false;
    };
    let mut log = RepairLog::new(doors.machine);
    let mut error = (repair.apply)(cx, &mut log).err().map(|error| format!("{error:#}"));
    if error.is_none() && log.changes().is_empty() {
        // Nothing of what failed is this repair's to mend.
        return false;
    }
    if error.is_some() {
        log.take_back();
    }
    let again = look(planned.step, cx, plan, doors);
    let holds = again.as_ref().is_ok_and(|findings| worst(findings) < Level::Fail);
    match again {
        Ok(findings) => {
            concluded.latest = concluded.findings.len();
            concluded.findings.extend(findings);
        }
        Err(second) => error = Some(format!("the check after the repair could not look: {second:#}")),
    }
    let reach = repair.reach.max(log.reach());
    let changes = log.into_changes();
    concluded.repair = Some(RepairRecord { title: repair.title, reach, changes, error });
    if holds {
        concluded.outcome = Outcome::Repaired;
    }
    holds
}

/// The highest level among findings.
fn worst(findings: &[Finding]) -> Level {
    findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Pass)
}

/// What the profile does not require fails as a warning.
fn downgrade(findings: &mut [Finding]) {
    for finding in findings.iter_mut().filter(|finding| finding.level == Level::Fail) {
        finding.level = Level::Warn;
    }
}

/// A step that could not look; where the profile does not require it, that is a warning too.
fn errored(planned: &Planned, error: anyhow::Error, findings: &mut Vec<Finding>) -> Outcome {
    if planned.mode != Mode::Warn {
        return Outcome::Errored(error);
    }
    findings.push(Finding { level: Level::Warn, ..Finding::pass(format!("could not look: {error:#}")) });
    Outcome::Warned
}

//! Runs a plan: checks each step, repairs it where that is granted, checks it again, and stops at the first failure.
//!
//! This is the only place that concludes: steps report findings.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::facts::daemon;
use crate::finding::{Environment, Outcome};
use crate::host::watched::Watched;
use crate::host::{SystemReader, SystemWriter};
use crate::interrupt::Interrupt;
use crate::plan::{Plan, Planned};
use crate::report::{Event, Report, StepReport};
use crate::step::Cx;
use crate::steps;
use crate::workload::Workload;

use clock::Clocks;
use conclude::{StepRun, without_findings};

mod clock;
mod conclude;
mod failed_looks;
mod secrets;

/// What a run reads, changes and talks to.
#[derive(Clone, Copy)]
pub struct Doors<'d> {
    /// Reads from the machine.
    pub host: &'d dyn SystemReader,
    /// Changes the machine, for repairs.
    pub machine: &'d dyn SystemWriter,
    /// Docker.
    pub engine: &'d dyn Engine,
    /// SIGINT and SIGTERM.
    pub interrupt: &'d Interrupt,
}

/// Runs the plan, and passes every event to `watch`.
pub fn run(plan: &Plan, doors: &Doors<'_>, watch: &mut dyn FnMut(&Event<'_>)) -> Report {
    let start = Instant::now();
    let environment = RefCell::new(Environment::default());
    let all_passed = Cell::new(true);
    let watch = RefCell::new(watch);
    let notify = |event: &Event<'_>| (watch.borrow_mut())(event);
    let watched = Watched::new(doors.host, doors.machine);
    let doors = &Doors { host: &watched, machine: &watched, ..*doors };
    let (host, engine, options) = (doors.host, doors.engine, &plan.options);
    let secrets = daemon::secrets::secrets(host, &options.daemon());
    let progress = |text: &str| notify(&Event::Progress(&secrets.hide(text)));
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
    let mut report = empty_report(plan);
    steps::begin(doors.host, options);
    for planned in &plan.steps {
        let (started, clocks) = (start.elapsed(), Clocks::read());
        let mut step = run_step(&StepRun { planned, plan, cx: &cx, doors }, &report, &notify);
        failed_looks::name_in(&mut step, &watched.take_failed());
        clocks.judge(Clocks::read(), &options.profile, &mut step);
        step.started = started;
        step.duration = start.elapsed().saturating_sub(started);
        secrets::hide_in_step(&secrets, &mut step);
        all_passed.set(all_passed.get() && !stops(&step.outcome) && doors.interrupt.signal().is_none());
        report.steps.push(step);
        report.environment = environment.borrow().clone();
        report.leftovers = doors.engine.leftovers().iter().map(|left| secrets.hide(left)).collect();
        report.diagnosis = doors.engine.diagnosis().map(|mut diagnosis| {
            secrets::hide_in_diagnosis(&secrets, &mut diagnosis);
            diagnosis
        });
        report.duration = start.elapsed();
        notify(&Event::Concluded(&report));
    }
    report.complete = true;
    notify(&Event::Ended(&report));
    report
}

/// Runs a step, or skips it.
fn run_step(run: &StepRun<'_>, report: &Report, notify: &dyn Fn(&Event<'_>)) -> StepReport {
    if let Some(reason) = skip_reason(run.planned, run.plan, report, run.doors) {
        return without_findings(run.planned, Outcome::Skipped(reason));
    }
    notify(&Event::Started(run.planned.step));
    run.conclude()
}

/// The report of a run that has not checked anything yet.
fn empty_report(plan: &Plan) -> Report {
    Report {
        run: plan.options.run.clone(),
        profile: plan.options.profile.name.clone(),
        environment: Environment::default(),
        steps: Vec::with_capacity(plan.steps.len()),
        leftovers: Vec::new(),
        diagnosis: None,
        complete: false,
        duration: Duration::ZERO,
    }
}

/// Why a step does not run, or none if it runs.
fn skip_reason(planned: &Planned, plan: &Plan, report: &Report, doors: &Doors<'_>) -> Option<String> {
    if let Some(reason) = &planned.skip {
        return Some(reason.clone());
    }
    let step = planned.step;
    if step.id == steps::TEARDOWN {
        return (!doors.engine.is_used()).then(|| "nothing was started".to_owned());
    }
    let failed = report.steps.iter().find(|s| stops(&s.outcome))?;
    let same_phase = failed.step.phase == step.phase;
    (!plan.keep_going || !same_phase).then(|| format!("{} did not pass", failed.step.id))
}

/// Whether an outcome stops the run.
fn stops(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed | Outcome::Errored(_))
}

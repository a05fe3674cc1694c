//! Runs one step in a unit test: with a machine in memory, the default profile and no Docker.

use std::cell::{Cell, RefCell};

use crate::engine::fake::FakeEngine;
use crate::finding::{Change, Environment, Finding, Level};
use crate::host::fake::Fake;
use crate::options::{PlanRequest, RunOptions};
use crate::plan::Plan;
use crate::repair_log::RepairLog;
use crate::step::{Cx, Step};
use crate::workload::Workload;

/// The options of a run of every step but `build`, with what was requested in the default profile.
pub(crate) fn options(request: &PlanRequest) -> RunOptions {
    Plan::new(&Fake::new(), request).expect("the default profile").options
}

/// Calls `with` with a context of this machine.
fn in_context<T>(host: &Fake, with: impl FnOnce(&Cx<'_>) -> T) -> (T, Environment) {
    with_request(host, &PlanRequest::default(), with)
}

/// The same with another plan than the default one.
fn with_request<T>(host: &Fake, request: &PlanRequest, with: impl FnOnce(&Cx<'_>) -> T) -> (T, Environment) {
    with_engine(&FakeEngine::default(), host, request, with)
}

/// The same with a daemon.
fn with_engine<T>(
    engine: &FakeEngine,
    host: &Fake,
    request: &PlanRequest,
    with: impl FnOnce(&Cx<'_>) -> T,
) -> (T, Environment) {
    let options = options(request);
    let (environment, all_passed) = (RefCell::new(Environment::default()), Cell::new(true));
    let workload = Workload::new(host, engine, &options, &environment);
    let cx = Cx {
        host,
        engine,
        options: &options,
        environment: &environment,
        progress: &|_| {},
        all_passed: &all_passed,
        workload: &workload,
    };
    let result = with(&cx);
    (result, environment.into_inner())
}

/// What the step finds.
pub(crate) fn check(step: &Step, host: &Fake) -> anyhow::Result<Vec<Finding>> {
    in_context(host, |cx| (step.check)(cx)).0
}

/// Calls `with` with a context of this daemon.
pub(crate) fn ask<T>(engine: &FakeEngine, with: impl FnOnce(&Cx<'_>) -> T) -> T {
    with_engine(engine, &Fake::new(), &PlanRequest::default(), with).0
}

/// What the step finds with these arguments of dockerd.
pub(crate) fn check_with(step: &Step, host: &Fake, args: &[&str]) -> anyhow::Result<Vec<Finding>> {
    let daemon_args = args.iter().map(ToString::to_string).collect();
    with_request(host, &PlanRequest { daemon_args, ..PlanRequest::default() }, |cx| (step.check)(cx)).0
}

/// What the step finds with `--attach`.
pub(crate) fn check_attached(step: &Step, host: &Fake, url: &str) -> anyhow::Result<Vec<Finding>> {
    let request = PlanRequest { attach: Some(url.to_owned()), ..PlanRequest::default() };
    with_request(host, &request, |cx| (step.check)(cx)).0
}

/// Level and cause of each finding that is not a pass.
pub(crate) fn problems(findings: &[Finding]) -> Vec<(Level, &'static str)> {
    let wrong = findings.iter().filter(|finding| finding.level != Level::Pass);
    wrong.map(|finding| (finding.level, finding.cause.expect("a cause").as_str())).collect()
}

/// What the step finds, and the environment that it adds to the report.
pub(crate) fn learn(step: &Step, host: &Fake) -> (anyhow::Result<Vec<Finding>>, Environment) {
    in_context(host, |cx| (step.check)(cx))
}

/// The result and the changes of the step's repair. As in a run, a failed repair is undone.
pub(crate) fn repair(step: &Step, host: &Fake) -> (anyhow::Result<()>, Vec<Change>) {
    repair_with(step, host, &PlanRequest::default())
}

/// The same with another plan than the default one.
pub(crate) fn repair_with(
    step: &Step,
    host: &Fake,
    request: &PlanRequest,
) -> (anyhow::Result<()>, Vec<Change>) {
    let mut log = RepairLog::new(host);
    let repair = step.repair.as_ref().expect("a step with a repair");
    let end = with_request(host, request, |cx| (repair.apply)(cx, &mut log)).0;
    let changes = log.changes().to_vec();
    if end.is_err() {
        log.take_back();
    }
    (end, changes)
}

//! How is one step looked at in a unit test? With a machine in memory, the default profile and no Docker.

use std::cell::{Cell, RefCell};

use crate::engine::fake::FakeEngine;
use crate::hands::{Change, Hands};
use crate::host::fake::Fake;
use crate::plan::{Plan, Wishes};
use crate::report::Environment;
use crate::step::{Cx, Finding, Level, Step};
use crate::workload::Seen;

/// Calls `with` with a context of this machine.
fn in_context<T>(host: &Fake, with: impl FnOnce(&Cx<'_>) -> T) -> (T, Environment) {
    wishing(host, &Wishes::default(), with)
}

/// The same with another plan than the default one.
fn wishing<T>(host: &Fake, wishes: &Wishes, with: impl FnOnce(&Cx<'_>) -> T) -> (T, Environment) {
    asking(&FakeEngine::default(), host, wishes, with)
}

/// The same with a daemon.
fn asking<T>(
    engine: &FakeEngine,
    host: &Fake,
    wishes: &Wishes,
    with: impl FnOnce(&Cx<'_>) -> T,
) -> (T, Environment) {
    let plan = Plan::new(&Fake::new(), wishes).expect("the default profile");
    let learned = RefCell::new(Environment::default());
    let (holds, seen) = (Cell::new(true), Seen::default());
    let (learned_here, say) = (&learned, &|_: &str| {});
    let cx = Cx { host, engine, plan: &plan, learned: learned_here, holds: &holds, say, seen: &seen };
    let result = with(&cx);
    (result, learned.into_inner())
}

/// What the step finds.
pub(crate) fn check(step: &Step, host: &Fake) -> anyhow::Result<Vec<Finding>> {
    in_context(host, |cx| (step.check)(cx)).0
}

/// What comes of asking this daemon.
pub(crate) fn ask<T>(engine: &FakeEngine, with: impl FnOnce(&Cx<'_>) -> T) -> T {
    asking(engine, &Fake::new(), &Wishes::default(), with).0
}

/// What the step finds with these arguments of dockerd.
pub(crate) fn check_with(step: &Step, host: &Fake, args: &[&str]) -> anyhow::Result<Vec<Finding>> {
    let daemon_args = args.iter().map(ToString::to_string).collect();
    wishing(host, &Wishes { daemon_args, ..Wishes::default() }, |cx| (step.check)(cx)).0
}

/// What the step finds where a running daemon is used.
pub(crate) fn check_attached(step: &Step, host: &Fake, url: &str) -> anyhow::Result<Vec<Finding>> {
    let wishes = Wishes { attach: Some(url.to_owned()), ..Wishes::default() };
    wishing(host, &wishes, |cx| (step.check)(cx)).0
}

/// Level and cause of what is not as it should be.
pub(crate) fn problems(findings: &[Finding]) -> Vec<(Level, &'static str)> {
    let wrong = findings.iter().filter(|finding| finding.level != Level::Pass);
    wrong.map(|finding| (finding.level, finding.cause.expect("a cause").as_str())).collect()
}

/// What the step finds, and what it learned for the report's head.
pub(crate) fn learn(step: &Step, host: &Fake) -> (anyhow::Result<Vec<Finding>>, Environment) {
    in_context(host, |cx| (step.check)(cx))
}

/// What the step's repair does, with its end. As in a run, one that fails is taken back.
pub(crate) fn repair(step: &Step, host: &Fake) -> (anyhow::Result<()>, Vec<Change>) {
    repair_with(step, host, &Wishes::default())
}

/// The same with another plan than the default one.
pub(crate) fn repair_with(step: &Step, host: &Fake, wishes: &Wishes) -> (anyhow::Result<()>, Vec<Change>) {
    let mut hands = Hands::new(host);
    let repair = step.repair.as_ref().expect("a step with a repair");
    let end = wishing(host, wishes, |cx| (repair.apply)(cx, &mut hands)).0;
    let changes = hands.changes().to_vec();
    if end.is_err() {
        hands.take_back();
    }
    (end, changes)
}

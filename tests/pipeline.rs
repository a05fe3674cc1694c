//! The runner with checks that pass, fail, end with an error, or are repaired.
#![expect(
    clippy::unwrap_used,
    clippy::unnecessary_wraps,
    reason = "a test may panic; the type of a check is fixed"
)]

use std::cell::RefCell;

use anyhow::bail;
use dindcheck::diagnosis::{CauseId, causes};
use dindcheck::engine::fake::FakeEngine;
use dindcheck::exit::Verdict;
use dindcheck::finding::{Finding, Level, Reach};
use dindcheck::host::fake::Fake;
use dindcheck::interrupt::Interrupt;
use dindcheck::options::PlanRequest;
use dindcheck::plan::{Plan, Planned};
use dindcheck::profile::{Grant, Mode, Weight};
use dindcheck::repair_log::RepairLog;
use dindcheck::report::{Event, Report};
use dindcheck::runner::{self, Doors};
use dindcheck::step::{Cx, Phase, Repair, Step};
use nix::errno::Errno;
use std::path::Path;

const CAUSE: CauseId = causes::CGROUP_MOUNTED_READ_ONLY;
const MARK: &str = "/mark";

const fn step(id: &'static str, phase: Phase, check: fn(&Cx<'_>) -> anyhow::Result<Vec<Finding>>) -> Step {
    Step {
        id,
        title: "a step",
        why: "It is a test.",
        phase,
        worst: Level::Fail,
        needs: &[],
        rests_on: &[],
        check,
        repair: None,
    }
}

fn passes(_: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    Ok(vec![Finding::pass("fine")])
}
fn fails(_: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    Ok(vec![Finding::fail(CAUSE, "bad")])
}
fn warns(_: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    Ok(vec![Finding::warn(CAUSE, "odd")])
}
fn errs(_: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    bail!("the check failed")
}
/// Fails until the mark exists.
fn wants_mark(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    if cx.host.exists(Path::new(MARK))? { passes(cx) } else { fails(cx) }
}
fn makes_mark(_: &Cx<'_>, log: &mut RepairLog<'_>) -> anyhow::Result<()> {
    Ok(log.create_dir(Path::new(MARK))?)
}
fn makes_half(_: &Cx<'_>, log: &mut RepairLog<'_>) -> anyhow::Result<()> {
    log.create_dir(Path::new("/half"))?;
    bail!("the other half is refused")
}

static PASSES: Step = step("passes", Phase::Environment, passes);
static PASSES_TOO: Step = step("passes-too", Phase::Environment, passes);
static FAILS: Step = step("fails", Phase::Environment, fails);
static WARNS: Step = step("warns", Phase::Environment, warns);
static FAILS_THOUGH_WARN_ONLY: Step =
    Step { worst: Level::Warn, ..step("fails-though-warn-only", Phase::Environment, fails) };
static ERRS: Step = step("errs", Phase::Environment, errs);
static DAEMON: Step = step("daemon", Phase::Daemon, passes);
static REPAIRED: Step = Step {
    repair: Some(Repair { title: "make the mark", reach: Reach::Container, apply: makes_mark }),
    ..step("repaired", Phase::Environment, wants_mark)
};
static FOR_THE_HOST: Step = Step {
    repair: Some(Repair { title: "make the mark", reach: Reach::Host, apply: makes_mark }),
    ..step("for-the-host", Phase::Environment, wants_mark)
};
static HALF: Step = Step {
    repair: Some(Repair { title: "half a mark", reach: Reach::Container, apply: makes_half }),
    ..step("half", Phase::Environment, wants_mark)
};

/// A run of these steps on a machine, after a change to the plan.
fn run_on(
    host: &Fake,
    steps: &[(&'static Step, Mode)],
    change: impl FnOnce(&mut Plan),
    interrupt: &Interrupt,
) -> Report {
    let mut plan = Plan::new(host, &PlanRequest::default()).unwrap();
    plan.steps = steps.iter().map(|&(step, mode)| Planned { step, mode, skip: None }).collect();
    change(&mut plan);
    let engine = FakeEngine::default();
    let doors = Doors { host, machine: host, engine: &engine, interrupt };
    let seen = RefCell::new(0);
    let report = runner::run(&plan, &doors, &mut |event| {
        if let Event::Concluded(report) = event {
            *seen.borrow_mut() += 1;
            assert_eq!(report.steps.len(), *seen.borrow(), "a report after every step");
        }
    });
    assert_eq!(*seen.borrow(), steps.len());
    report
}

fn run(steps: &[&'static Step]) -> Report {
    let steps: Vec<_> = steps.iter().map(|step| (*step, Mode::Require)).collect();
    run_on(&Fake::new(), &steps, |_| {}, &Interrupt::default())
}

fn outcomes(report: &Report) -> Vec<&'static str> {
    report.steps.iter().map(|step| step.outcome.name()).collect()
}

/// The reason of a step in the JSON report.
fn reason(report: &Report, index: usize) -> String {
    serde_json::to_value(report).unwrap()["steps"][index]["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn passed_steps_are_sound() {
    let report = run(&[&PASSES, &WARNS, &DAEMON]);
    assert_eq!(outcomes(&report), ["passed", "warned", "passed"]);
    assert_eq!((report.verdict(), report.verdict().exit_code()), (Verdict::Sound, 0));
    assert!(report.first_failure().is_none());
}

#[test]
fn first_failure_stops_and_later_steps_name_it() {
    let report = run(&[&PASSES, &FAILS, &PASSES_TOO, &DAEMON]);
    assert_eq!(outcomes(&report), ["passed", "failed", "skipped", "skipped"]);
    assert_eq!(report.first_failure().unwrap().step.step.id, "fails");
    assert_eq!(reason(&report, 3), "fails did not pass");
    assert_eq!(report.verdict().exit_code(), 1);
}

#[test]
fn keep_going_finishes_the_phase_only() {
    let steps = [(&FAILS, Mode::Require), (&PASSES, Mode::Require), (&DAEMON, Mode::Require)];
    let report = run_on(&Fake::new(), &steps, |plan| plan.keep_going = true, &Interrupt::default());
    assert_eq!(outcomes(&report), ["failed", "passed", "skipped"]);
}

#[test]
fn error_of_a_check_is_unknown_and_not_sound() {
    let report = run(&[&ERRS, &PASSES]);
    assert_eq!(outcomes(&report), ["errored", "skipped"]);
    assert_eq!((report.verdict(), report.verdict().exit_code()), (Verdict::Unknown, 2));
    assert!(report.first_failure().unwrap().what.contains("the check failed"));
}

#[test]
fn repair_is_proven_by_the_same_check_and_both_findings_are_kept() {
    let report = run(&[&REPAIRED, &PASSES]);
    assert_eq!(outcomes(&report), ["repaired", "passed"]);
    let levels: Vec<_> = report.steps[0].findings.iter().map(|f| f.what.as_str()).collect();
    assert_eq!(levels, ["bad", "fine"]);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["steps"][0]["repair"]["changes"][0]["undo"], "rmdir /mark");
    assert_eq!(report.verdict(), Verdict::Sound);
}

#[test]
fn repair_beyond_its_grant_is_not_applied() {
    for (grant, step) in [(Grant::None, &REPAIRED), (Grant::Container, &FOR_THE_HOST)] {
        let host = Fake::new();
        let report = run_on(
            &host,
            &[(step, Mode::Require)],
            |plan| plan.options.profile.repair = grant,
            &Interrupt::default(),
        );
        assert_eq!(outcomes(&report), ["failed"]);
        assert!(host.changes().is_empty());
    }
    let granted = run_on(
        &Fake::new(),
        &[(&FOR_THE_HOST, Mode::Require)],
        |plan| plan.options.profile.repair = Grant::Host,
        &Interrupt::default(),
    );
    assert_eq!(outcomes(&granted), ["repaired"]);
}

#[test]
fn repair_without_changes_is_not_recorded() {
    const STEP: Step = Step {
        repair: Some(Repair { title: "mend nothing", reach: Reach::Container, apply: |_, _| Ok(()) }),
        ..step("a", Phase::Environment, fails)
    };
    let report = run(&[&STEP]);
    assert_eq!(outcomes(&report), ["failed"]);
    assert!(report.steps[0].repair.is_none() && report.steps[0].findings.len() == 1);
}

#[test]
fn failed_repair_is_undone() {
    let host = Fake::new();
    let report = run_on(&host, &[(&HALF, Mode::Require)], |_| {}, &Interrupt::default());
    assert_eq!(outcomes(&report), ["failed"]);
    assert_eq!(host.changes(), ["create_dir /half", "remove_dir /half"]);
    let repair = report.steps[0].repair.as_ref().unwrap();
    assert!(repair.changes.is_empty() && repair.error.as_ref().unwrap().contains("refused"));
}

#[test]
fn change_that_could_not_be_undone_stays_in_the_report() {
    let host = Fake::new().fails("remove_dir", "/half", Errno::EBUSY, None);
    let report = run_on(&host, &[(&HALF, Mode::Require)], |_| {}, &Interrupt::default());
    assert_eq!(report.steps[0].repair.as_ref().unwrap().changes.len(), 1);
}

#[test]
fn failure_of_a_step_that_is_not_required_warns() {
    for step in [&FAILS, &ERRS] {
        let report = run_on(
            &Fake::new(),
            &[(step, Mode::Warn), (&PASSES, Mode::Require)],
            |_| {},
            &Interrupt::default(),
        );
        assert_eq!(outcomes(&report), ["warned", "passed"]);
        assert_eq!(report.verdict(), Verdict::Sound);
    }
}

#[test]
fn profile_sets_the_level_of_causes() {
    let raise = |plan: &mut Plan| {
        plan.options.profile.causes.insert(CAUSE.as_str().into(), Weight::Fail);
    };
    assert_eq!(
        outcomes(&run_on(&Fake::new(), &[(&WARNS, Mode::Require)], raise, &Interrupt::default())),
        ["failed"]
    );
    let lower = |plan: &mut Plan| {
        plan.options.profile.causes.insert(CAUSE.as_str().into(), Weight::Warn);
    };
    assert_eq!(
        outcomes(&run_on(&Fake::new(), &[(&FAILS, Mode::Require)], lower, &Interrupt::default())),
        ["warned"]
    );
}

#[test]
fn an_interrupt_ends_the_run_as_unknown() {
    let interrupt = Interrupt::default();
    interrupt.raise(15);
    let report =
        run_on(&Fake::new(), &[(&PASSES, Mode::Require), (&DAEMON, Mode::Require)], |_| {}, &interrupt);
    assert_eq!(outcomes(&report), ["errored", "skipped"]);
    assert_eq!(reason(&report, 0), "interrupted by SIGTERM");
    assert_eq!(report.verdict(), Verdict::Unknown);
}

#[test]
#[should_panic(expected = "fails-though-warn-only")]
fn failure_of_a_step_that_only_warns_is_a_bug() {
    run(&[&FAILS_THOUGH_WARN_ONLY]);
}

//! The steps from `daemon-start` on with an engine that fails: the real steps and the real runner, with Docker in memory.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use dindcheck::engine::fake::FakeEngine;
use dindcheck::engine::{ContainerRun, DaemonEnd, Death, EngineError, Stage, TornDown, Versions};
use dindcheck::exit::Verdict;
use dindcheck::host::fake::Fake;
use dindcheck::interrupt::Interrupt;
use dindcheck::options::PlanRequest;
use dindcheck::plan::Plan;
use dindcheck::report::Report;
use dindcheck::runner::{self, Doors};

const STEPS: [&str; 5] = ["daemon-start", "daemon-info", "image", "container-run", "teardown"];

/// A run of these steps, with more options.
fn run_with(engine: &FakeEngine, request: PlanRequest) -> Report {
    let host = Fake::new()
        .file("/proc/self/mountinfo", "20 1 0:1 / / rw - ext4 x rw\n")
        .file("/proc/self/cgroup", "");
    let only = STEPS.iter().map(ToString::to_string).collect();
    let plan = Plan::new(&host, &PlanRequest { only, ..request }).unwrap();
    let interrupt = Interrupt::default();
    let doors = Doors { host: &host, machine: &host, engine, interrupt: &interrupt };
    runner::run(&plan, &doors, &mut |_| {})
}

/// The same with an image by name, which has no probe.
fn run(engine: &FakeEngine) -> Report {
    run_with(engine, PlanRequest { image: Some("test:1".into()), ..PlanRequest::default() })
}

fn outcome(report: &Report, id: &str) -> &'static str {
    report.steps.iter().find(|step| step.step.id == id).unwrap().outcome.name()
}

/// Step and cause of the first failure.
fn failed(report: &Report) -> (&'static str, &'static str) {
    let first = report.first_failure().expect("a failure");
    (first.step.step.id, first.cause.map_or("", dindcheck::diagnosis::CauseId::as_str))
}

fn refused(message: &'static str) -> impl Fn() -> EngineError {
    move || EngineError::Refused { doing: "do it".into(), status: 500, message: message.into() }
}

fn died() -> EngineError {
    EngineError::Died(Box::new(Death {
        status: "signal SIGKILL".into(),
        after: Duration::from_secs(1),
        code: None,
        first_error: None,
        last_words: None,
        log_dropped: 0,
        served: true,
    }))
}

#[test]
fn healthy_engine_is_sound_and_torn_down() {
    let engine = FakeEngine::new().has_image("test:1");
    let report = run(&engine);
    assert_eq!(report.verdict(), Verdict::Sound, "{:?}", report.first_failure().map(|first| first.what));
    assert_eq!(
        engine.calls(),
        ["start", "negotiate", "info", "find_image test:1", "run run", "tear_down stop"]
    );
}

#[test]
fn failure_stops_the_ladder_and_teardown_still_runs() {
    let engine = FakeEngine::new().fails("start", died, None);
    let report = run(&engine);
    assert_eq!(failed(&report), ("daemon-start", "daemon-died-later"));
    assert_eq!(outcome(&report, "image"), "skipped");
    assert_eq!(engine.calls(), ["start", "tear_down stop"]);
}

#[test]
fn daemon_that_dies_fails_the_step_that_notices() {
    for (op, step) in [
        ("negotiate", "daemon-info"),
        ("info", "daemon-info"),
        ("find_image", "image"),
        ("run", "container-run"),
    ] {
        let engine = FakeEngine::new().has_image("test:1").fails(op, died, Some(1));
        assert_eq!(failed(&run(&engine)), (step, "daemon-died-later"), "{op}");
    }
}

#[test]
fn daemon_is_kept_only_if_every_step_passed() {
    let keep = || PlanRequest { keep_daemon: true, image: Some("test:1".into()), ..PlanRequest::default() };
    let sound = FakeEngine::new().has_image("test:1");
    run_with(&sound, keep());
    assert_eq!(sound.calls().last().unwrap(), "tear_down keep");
    let broken = FakeEngine::new().has_image("test:1").fails("run", refused("x"), None);
    run_with(&broken, keep());
    assert_eq!(broken.calls().last().unwrap(), "tear_down stop");
}

#[test]
fn missing_image_is_pulled_once() {
    let engine = FakeEngine::new();
    assert_eq!(run(&engine).verdict(), Verdict::Sound);
    assert_eq!(engine.calls().iter().filter(|call| *call == "pull test:1").count(), 1);
}

#[test]
fn failed_pulls_have_their_causes() {
    for (message, cause) in [
        ("toomanyrequests: slow down", "registry-rate-limit"),
        ("manifest for test:1 not found: manifest unknown", "image-not-found"),
        ("unauthorized: authentication required", "registry-unauthorized"),
        ("dial tcp 10.0.0.1:443: connect: connection refused", "registry-unreachable"),
    ] {
        let engine = FakeEngine::new().fails("pull", refused(message), None);
        assert_eq!(failed(&run(&engine)), ("image", cause));
    }
}

#[test]
fn stage_of_a_failed_container_gives_its_cause() {
    let late = || EngineError::Deadline { doing: "run".into(), waited: Duration::from_secs(60) };
    for (stage, cause) in
        [(Stage::Create, "container-create-failed"), (Stage::Start, "container-start-failed")]
    {
        let engine = FakeEngine::new()
            .has_image("test:1")
            .runs(ContainerRun { stage, ..ContainerRun::new() })
            .fails("run", refused("no such luck"), None);
        assert_eq!(failed(&run(&engine)), ("container-run", cause));
    }
    for (stage, cause) in [(Stage::Create, "daemon-hangs"), (Stage::Run, "container-timeout")] {
        let engine = FakeEngine::new()
            .has_image("test:1")
            .runs(ContainerRun { stage, ..ContainerRun::new() })
            .fails("run", late, None);
        assert_eq!(failed(&run(&engine)), ("container-run", cause));
    }
}

#[test]
fn no_common_api_version_fails_before_anything_is_created() {
    let versions = Versions { engine: "99".into(), max: "1.99".into(), min: "1.90".into(), used: None };
    let report = run(&FakeEngine::new().with_versions(versions));
    assert_eq!(failed(&report), ("daemon-info", "api-version-mismatch"));
    assert_eq!(outcome(&report, "image"), "skipped");
}

#[test]
fn leftovers_fail_the_teardown_and_are_in_the_report() {
    let torn = TornDown { left: vec!["network x".into()], daemon: DaemonEnd::None, ..TornDown::default() };
    let report = run(&FakeEngine::new().has_image("test:1").with_teardown(torn));
    assert_eq!(failed(&report), ("teardown", "leftovers-remain"));
    assert_eq!(report.leftovers, ["network x"]);
}

#[test]
fn interrupted_run_is_unknown() {
    let engine =
        FakeEngine::new().has_image("test:1").fails("run", || EngineError::Interrupted("SIGINT"), None);
    let report = run(&engine);
    assert_eq!(report.verdict(), Verdict::Unknown);
    assert_eq!(outcome(&report, "container-run"), "errored");
    assert_eq!(engine.calls().last().unwrap(), "tear_down stop");
}

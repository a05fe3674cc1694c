use super::*;
use crate::probe::limits::{CpuResult, MemoryResult, ThreadsResult};
use crate::testing::problems;

/// The limits that it was given.
const GIVEN: LimitsRequest =
    LimitsRequest { memory: 32 << 20, pids: 64, cpu_percent: 50, spares_memory: false };

/// A container in which every limit holds.
fn sound() -> Document {
    let mut document = crate::probe::look(&crate::host::fake::Fake::new());
    document.cgroup =
        cgroup::Cgroup { own: Vec::new(), memory: Some(GIVEN.memory), pids: Some(64), cpu_percent: Some(50) };
    document.limits = Some(Limits {
        memory: MemoryResult { asked: 64 << 20, signal: Some(9), code: None, kills: Some(1), error: None },
        pids: ThreadsResult { asked: 128, got: 63, errno: Some(11) },
        cpu: CpuResult { window_us: 60_000, used_us: 31_000, throttled: Some(3) },
    });
    document
}

fn judged(
    change: impl FnOnce(&mut Document, &mut Limits),
    warnings: &[&str],
    required: &[&str],
) -> Vec<Finding> {
    let mut document = sound();
    let mut limits = document.limits.take().unwrap();
    change(&mut document, &mut limits);
    document.limits = Some(limits);
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let controllers = Controllers { required: words(required), wanted: Vec::new() };
    judge(&document, &GIVEN, &words(warnings), &controllers)
}

fn seen(change: impl FnOnce(&mut Document, &mut Limits), warnings: &[&str]) -> Vec<(Level, &'static str)> {
    problems(&judged(change, warnings, &["devices"]))
}

#[test]
fn enforced_limits_pass() {
    assert_eq!(seen(|_, _| {}, &[]), []);
    // A busy machine gives less CPU than the limit, and nothing is throttled.
    assert_eq!(
        seen(
            |_, limits| limits.cpu = CpuResult { window_us: 60_000, used_us: 9_000, throttled: Some(0) },
            &[]
        ),
        []
    );
}

#[test]
fn visible_limit_that_is_not_enforced_fails() {
    let lived = |_: &mut Document, limits: &mut Limits| {
        (limits.memory.signal, limits.memory.code) = (None, Some(0));
    };
    assert_eq!(seen(lived, &[]), [(Level::Fail, "memory-limit-not-enforced")]);
    let forks = |_: &mut Document, limits: &mut Limits| {
        limits.pids = ThreadsResult { asked: 128, got: 129, errno: None }
    };
    assert_eq!(seen(forks, &[]), [(Level::Fail, "pids-limit-not-enforced")]);
    let spins = |_: &mut Document, limits: &mut Limits| {
        limits.cpu = CpuResult { window_us: 60_000, used_us: 59_000, throttled: Some(0) };
    };
    assert_eq!(seen(spins, &[]), [(Level::Fail, "cpu-limit-not-enforced")]);
}

#[test]
fn limit_dropped_with_a_warning_has_its_own_cause() {
    let dropped = |document: &mut Document, limits: &mut Limits| {
        document.cgroup.pids = None;
        limits.pids = ThreadsResult { asked: 128, got: 129, errno: None };
    };
    let warning = "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.";
    assert_eq!(seen(dropped, &[warning]), [(Level::Warn, "cgroup-limit-controller-unavailable")]);
    let unlimited = |document: &mut Document, limits: &mut Limits| {
        document.cgroup.cpu_percent = None;
        limits.cpu = CpuResult { window_us: 60_000, used_us: 9_000, throttled: None };
    };
    let scheduler = "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.";
    assert_eq!(seen(unlimited, &[scheduler]), [(Level::Warn, "cgroup-limit-controller-unavailable")]);
    assert_eq!(seen(dropped, &[]), [(Level::Fail, "pids-limit-not-enforced")]);
    let required = judged(dropped, &[warning], &["pids"]);
    assert_eq!(problems(&required), [(Level::Fail, "cgroup-limit-controller-unavailable")]);
}

#[test]
fn memory_limit_that_is_spared_passes_where_it_is_visible() {
    let given = LimitsRequest { spares_memory: true, ..GIVEN };
    let mut document = sound();
    if let Some(limits) = &mut document.limits {
        limits.memory = MemoryResult { asked: 0, signal: None, code: None, kills: None, error: None };
    }
    let controllers = Controllers { required: Vec::new(), wanted: Vec::new() };
    assert_eq!(problems(&judge(&document, &given, &[], &controllers)), []);
    document.cgroup.memory = None;
    assert_eq!(problems(&judge(&document, &given, &[], &controllers)), [(Level::Fail, "limit-not-visible")]);
}

#[test]
fn enforced_limit_that_is_not_visible_warns() {
    assert_eq!(seen(|document, _| document.cgroup.memory = None, &[]), [(Level::Warn, "limit-not-visible")]);
}

#[test]
fn each_dropped_limit_is_recognised_by_its_warning() {
    // Moby v20.10.24 and v28.5.2, daemon_unix.go.
    let warnings = [
        "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
        "Your kernel does not support pids limit capabilities or the cgroup is not mounted. PIDs limit discarded.",
        "Your kernel does not support CPU cfs period or the cgroup is not mounted. Period discarded.",
        "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.",
    ];
    let matches = |limit: &Limit| {
        let fits = |warning: &&&str| limit.dropped.iter().any(|word| warning.contains(word));
        warnings.iter().filter(fits).count()
    };
    let document = sound();
    let tried = document.limits.unwrap();
    assert_eq!(matches(&memory(&document.cgroup, &GIVEN, &tried)), 1);
    assert_eq!(matches(&pids(&document.cgroup, &GIVEN, &tried)), 1);
    assert_eq!(matches(&cpu(&document.cgroup, &GIVEN, &tried)), 2);
}

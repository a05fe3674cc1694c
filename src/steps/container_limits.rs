//! Are the limits of an inner container visible in it, and enforced?
//!
//! The probe runs against each limit. One that the kernel cannot give is dropped by the daemon, with a warning; that
//! is told apart from one that was accepted and does nothing.

use crate::diagnosis::{CauseId, causes};
use crate::finding::{Finding, Level};
use crate::options::Need;
use crate::probe::limits::Limits;
use crate::probe::{Document, cgroup};
use crate::profile::Controllers;
use crate::step::{Cx, Phase, Step};
use crate::workload::{Part, spec};

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "container-limits",
    title: "Limits of an inner container",
    why: "A limit that is accepted and not enforced lets one job take the machine down.",
    phase: Phase::Workload,
    worst: Level::Fail,
    needs: &[Need::Limits],
    check,
    repair: None,
};

const UNAVAILABLE: CauseId = causes::CGROUP_LIMIT_CONTROLLER_UNAVAILABLE;
const INVISIBLE: CauseId = causes::LIMIT_NOT_VISIBLE;
const REFUSED: CauseId = causes::CONTAINER_START_FAILED;
/// The signal that the kernel's killer uses.
const SIGKILL: i32 = 9;
/// A thread or process too many.
const EAGAIN: i32 = 11;

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let shown = match cx.workload.shown(Part::Limits, REFUSED)? {
        Ok(shown) => shown,
        Err(finding) => return Ok(vec![finding]),
    };
    Ok(judge(shown.document(), &shown.run().warnings, &cx.options.profile.controllers))
}

/// A limit, and what is known of it.
struct Limit {
    /// The controller behind it.
    controller: &'static str,
    /// As people say it.
    name: String,
    /// A word that is in the daemon's warning when it drops this one.
    dropped: &'static [&'static str],
    /// The number that is seen inside.
    seen: Option<u64>,
    /// The number that was given.
    given: u64,
    /// Whether it held when it was run against; `None`: that could not be tried.
    held: Option<bool>,
    /// What happened then.
    happened: String,
    /// The cause where it did not hold.
    broken: CauseId,
}

/// Every limit.
fn judge(document: &Document, warnings: &[String], controllers: &Controllers) -> Vec<Finding> {
    let Some(tried) = &document.limits else {
        return vec![Finding::fail(REFUSED, "the probe did not run against its limits")];
    };
    let limits =
        [memory(&document.cgroup, tried), pids(&document.cgroup, tried), cpu(&document.cgroup, tried)];
    let mut findings: Vec<_> = limits.iter().map(|limit| judge_limit(limit, warnings, controllers)).collect();
    if findings.iter().all(|finding| finding.level == Level::Pass) {
        findings
            .push(Finding::pass("limits of memory, processes and processor are visible inside and enforced"));
    }
    findings
}

/// Memory holds where the eater was killed.
fn memory(cgroup: &cgroup::Cgroup, tried: &Limits) -> Limit {
    let eaten = &tried.memory;
    let kills =
        eaten.kills.map_or_else(String::new, |kills| format!(", which its cgroup counts as kill {kills}"));
    let asked = mib(eaten.asked);
    let (held, happened) = match (eaten.signal, eaten.code, &eaten.error) {
        (Some(SIGKILL), ..) => (Some(true), format!("a process that took {asked} was killed{kills}")),
        (_, Some(0), _) => (Some(false), format!("a process took {asked} and lived")),
        (_, _, Some(error)) => (None, format!("no process could be made to take it: {error}")),
        (signal, code, _) => {
            (None, format!("a process that took {asked} ended with code {code:?}, signal {signal:?}"))
        }
    };
    Limit {
        controller: "memory",
        name: format!("the memory limit of {}", mib(spec::MEMORY)),
        dropped: &["memory limit capabilities", "Limitation discarded"],
        seen: cgroup.memory,
        given: spec::MEMORY,
        held,
        happened,
        broken: causes::MEMORY_LIMIT_NOT_ENFORCED,
    }
}

/// The limit of processes holds where one too many was refused.
fn pids(cgroup: &cgroup::Cgroup, tried: &Limits) -> Limit {
    let spawned = &tried.pids;
    let (held, happened) = match spawned.errno {
        Some(EAGAIN) => (Some(true), format!("number {} was refused with EAGAIN", spawned.got + 1)),
        Some(errno) => (None, format!("number {} was refused with errno {errno}", spawned.got + 1)),
        None => (Some(false), format!("{} threads ran at once", spawned.got)),
    };
    Limit {
        controller: "pids",
        name: format!("the limit of {} processes", spec::PIDS),
        dropped: &["pids limit", "PIDs limit"],
        seen: cgroup.pids,
        given: spec::PIDS,
        held,
        happened,
        broken: causes::PIDS_LIMIT_NOT_ENFORCED,
    }
}

/// The processor's limit is broken only where clearly more was had: on a busy machine less is had than allowed.
fn cpu(cgroup: &cgroup::Cgroup, tried: &Limits) -> Limit {
    let spun = &tried.cpu;
    let had = spun.used_us.saturating_mul(100).checked_div(spun.window_us).unwrap_or(0);
    let throttled =
        spun.throttled.map_or_else(String::new, |times| format!(", and was held back {times} times"));
    let held = (spun.window_us > 0).then(|| spun.throttled.is_some_and(|times| times > 0) || had < TOO_MUCH);
    Limit {
        controller: "cpu",
        name: format!("the limit of {} % of a processor", spec::CPU_PERCENT),
        dropped: &["CPU cfs", "cpu cfs", "CFS quota", "CFS period", "CFS scheduler"],
        seen: cgroup.cpu_percent,
        given: spec::CPU_PERCENT,
        held,
        happened: format!("a loop of {} ms had {had} %{throttled}", spun.window_us / 1000),
        broken: causes::CPU_LIMIT_NOT_ENFORCED,
    }
}

/// Hundredths of a processor: half of one, and what the scheduler may give beyond at either end of the window.
const TOO_MUCH: u64 = 85;

/// One limit.
fn judge_limit(limit: &Limit, warnings: &[String], controllers: &Controllers) -> Finding {
    let Limit { name, happened, .. } = limit;
    let visible = limit.seen == Some(limit.given);
    let said = warnings.iter().find(|warning| limit.dropped.iter().any(|word| warning.contains(word)));
    let finding = match (limit.held, said) {
        (Some(true), _) if visible => Finding::pass(format!("{name} is enforced: {happened}")),
        // Whatever it seems: on a busy machine a loop gets little without any limit.
        (_, Some(said)) => {
            let what = format!(
                "{name} was dropped by the daemon, since the {} controller is missing",
                limit.controller
            );
            // The profile knows whether anybody here needs it.
            let required = controllers.required.iter().any(|one| one == limit.controller);
            let finding =
                if required { Finding::fail(UNAVAILABLE, what) } else { Finding::warn(UNAVAILABLE, what) };
            finding.with("warning", said)
        }
        (Some(true), None) => {
            Finding::warn(INVISIBLE, format!("{name} is enforced, and cannot be seen inside"))
        }
        (Some(false), None) if visible => {
            Finding::fail(limit.broken, format!("{name} is visible inside and not enforced: {happened}"))
        }
        (Some(false), None) => {
            Finding::fail(limit.broken, format!("{name} was accepted and dropped in silence: {happened}"))
        }
        (None, None) if visible => Finding::pass(format!("{name} is visible inside; {happened}")),
        (None, None) => Finding::fail(INVISIBLE, format!("{name} cannot be seen inside, and {happened}")),
    };
    let seen = limit.seen.map_or_else(|| "none".to_owned(), |seen| seen.to_string());
    finding
        .with("controller", limit.controller)
        .with("given", limit.given)
        .with("seen", seen)
        .with("tried", happened)
}

/// Bytes in words.
fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::limits::{MemoryResult, ThreadsResult, CpuResult};
    use crate::testing::problems;

    /// A container in which every limit holds.
    fn sound() -> Document {
        let mut document = crate::probe::look(&crate::host::fake::Fake::new());
        document.cgroup = cgroup::Cgroup {
            own: Vec::new(),
            memory: Some(spec::MEMORY),
            pids: Some(64),
            cpu_percent: Some(50),
        };
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
        judge(&document, &words(warnings), &controllers)
    }

    fn seen(
        change: impl FnOnce(&mut Document, &mut Limits),
        warnings: &[&str],
    ) -> Vec<(Level, &'static str)> {
        problems(&judged(change, warnings, &["devices"]))
    }

    #[test]
    fn limits_that_hold_pass() {
        assert_eq!(seen(|_, _| {}, &[]), []);
        // A busy machine gives less than is allowed, and throttles nobody.
        assert_eq!(
            seen(
                |_, limits| limits.cpu = CpuResult { window_us: 60_000, used_us: 9_000, throttled: Some(0) },
                &[]
            ),
            []
        );
    }

    #[test]
    fn a_limit_that_is_only_written_down_fails() {
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
    fn what_the_daemon_says_it_drops_is_no_silence() {
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
    fn an_enforced_limit_that_cannot_be_seen_is_a_warning() {
        assert_eq!(
            seen(|document, _| document.cgroup.memory = None, &[]),
            [(Level::Warn, "limit-not-visible")]
        );
    }

    #[test]
    fn each_dropped_limit_is_known_by_its_own_warning() {
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
        assert_eq!(matches(&memory(&document.cgroup, &tried)), 1);
        assert_eq!(matches(&pids(&document.cgroup, &tried)), 1);
        assert_eq!(matches(&cpu(&document.cgroup, &tried)), 2);
    }
}

//! Checks that the limits of an inner container are visible in it and enforced.
//!
//! The probe exceeds each limit. The daemon drops a limit that the kernel cannot give, with a warning; a limit that was
//! accepted and has no effect is another cause.

use crate::diagnosis::{CauseId, causes};
use crate::finding::{Finding, Level};
use crate::options::Need;
use crate::probe::limits::{Limits, LimitsRequest};
use crate::probe::{Document, cgroup};
use crate::profile::Controllers;
use crate::step::{Cx, Phase, Step};
use crate::workload::Part;

#[cfg(test)]
mod tests;

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "container-limits",
    title: "Limits of an inner container",
    why: "A limit that is accepted but not enforced lets one job take the machine down.",
    phase: Phase::Workload,
    worst: Level::Fail,
    needs: &[Need::Limits],
    rests_on: &["image"],
    check,
    repair: None,
};

const UNAVAILABLE: CauseId = causes::CGROUP_LIMIT_CONTROLLER_UNAVAILABLE;
const INVISIBLE: CauseId = causes::LIMIT_NOT_VISIBLE;
const REFUSED: CauseId = causes::CONTAINER_START_FAILED;
/// The signal of the OOM killer.
const SIGKILL: i32 = 9;
/// The error of fork(2) at the limit.
const EAGAIN: i32 = 11;

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let shown = match cx.workload.shown(Part::Limits, REFUSED)? {
        Ok(shown) => shown,
        Err(finding) => return Ok(vec![finding]),
    };
    let given = &cx.workload.wanted().limits;
    Ok(judge(shown.document(), given, &shown.run().warnings, &cx.options.profile.controllers))
}

/// A limit, and what the probe measured.
struct Limit {
    /// The controller that enforces it.
    controller: &'static str,
    /// Its name in findings.
    name: String,
    /// Parts of the daemon's warning when it drops this limit.
    dropped: &'static [&'static str],
    /// The value that is visible inside.
    seen: Option<u64>,
    /// The value that was requested.
    given: u64,
    /// Whether it held when the probe exceeded it; `None` where the probe could not try.
    held: Option<bool>,
    /// What happened.
    happened: String,
    /// The cause if it did not hold.
    broken: CauseId,
}

/// Every limit that was given.
fn judge(
    document: &Document,
    given: &LimitsRequest,
    warnings: &[String],
    controllers: &Controllers,
) -> Vec<Finding> {
    let Some(tried) = &document.limits else {
        return vec![Finding::fail(REFUSED, "the probe did not test its limits")];
    };
    let cgroup = &document.cgroup;
    let limits = [memory(cgroup, given, tried), pids(cgroup, given, tried), cpu(cgroup, given, tried)];
    let mut findings: Vec<_> = limits.iter().map(|limit| judge_limit(limit, warnings, controllers)).collect();
    if findings.iter().all(|finding| finding.level == Level::Pass) {
        findings.push(Finding::pass("limits of memory, processes and CPU are visible inside and enforced"));
    }
    findings
}

/// The memory limit holds if the process that exceeded it was OOM-killed.
fn memory(cgroup: &cgroup::Cgroup, given: &LimitsRequest, tried: &Limits) -> Limit {
    let eaten = &tried.memory;
    let kills =
        eaten.kills.map_or_else(String::new, |kills| format!(", which its cgroup counts as kill {kills}"));
    let asked = mib(eaten.asked);
    let (held, happened) = match (eaten.signal, eaten.code, &eaten.error) {
        _ if given.spares_memory => {
            (None, "it is not exceeded, since this container has too little memory left".to_owned())
        }
        (Some(SIGKILL), ..) => (Some(true), format!("a process that took {asked} was OOM-killed{kills}")),
        (_, Some(0), _) => (Some(false), format!("a process took {asked} and lived")),
        (_, _, Some(error)) => (None, format!("the process that was to exceed it did not start: {error}")),
        (signal, code, _) => {
            (None, format!("a process that took {asked} ended with code {code:?}, signal {signal:?}"))
        }
    };
    Limit {
        controller: "memory",
        name: format!("the memory limit of {}", mib(given.memory)),
        dropped: &["memory limit capabilities", "Limitation discarded"],
        seen: cgroup.memory,
        given: given.memory,
        held,
        happened,
        broken: causes::MEMORY_LIMIT_NOT_ENFORCED,
    }
}

/// The limit of processes holds if the next one was refused.
fn pids(cgroup: &cgroup::Cgroup, given: &LimitsRequest, tried: &Limits) -> Limit {
    let spawned = &tried.pids;
    let (held, happened) = match spawned.errno {
        Some(EAGAIN) => (Some(true), format!("process {} was refused with EAGAIN", spawned.got + 1)),
        Some(errno) => (None, format!("process {} was refused with errno {errno}", spawned.got + 1)),
        None => (Some(false), format!("{} threads ran at once", spawned.got)),
    };
    Limit {
        controller: "pids",
        name: format!("the limit of {} processes", given.pids),
        dropped: &["pids limit", "PIDs limit"],
        seen: cgroup.pids,
        given: given.pids,
        held,
        happened,
        broken: causes::PIDS_LIMIT_NOT_ENFORCED,
    }
}

/// The CPU limit fails only if clearly more was used: a busy machine gives less than the limit.
fn cpu(cgroup: &cgroup::Cgroup, given: &LimitsRequest, tried: &Limits) -> Limit {
    let spun = &tried.cpu;
    let had = spun.used_us.saturating_mul(100).checked_div(spun.window_us).unwrap_or(0);
    let throttled =
        spun.throttled.map_or_else(String::new, |times| format!(", and was throttled {times} times"));
    let held = (spun.window_us > 0)
        .then(|| spun.throttled.is_some_and(|times| times > 0) || had < given.cpu_percent + MARGIN);
    Limit {
        controller: "cpu",
        name: format!("the limit of {} % of a CPU", given.cpu_percent),
        dropped: &["CPU cfs", "cpu cfs", "CFS quota", "CFS period", "CFS scheduler"],
        seen: cgroup.cpu_percent,
        given: given.cpu_percent,
        held,
        happened: format!("a loop of {} ms used {had} %{throttled}", spun.window_us / 1000),
        broken: causes::CPU_LIMIT_NOT_ENFORCED,
    }
}

/// Percent of a CPU that the scheduler may add to the limit at either end of the window.
const MARGIN: u64 = 35;

/// The finding on one limit.
fn judge_limit(limit: &Limit, warnings: &[String], controllers: &Controllers) -> Finding {
    let Limit { name, happened, .. } = limit;
    let visible = limit.seen == Some(limit.given);
    let said = warnings.iter().find(|warning| limit.dropped.iter().any(|word| warning.contains(word)));
    let finding = match (limit.held, said) {
        (Some(true), _) if visible => Finding::pass(format!("{name} is enforced: {happened}")),
        // Even if it seems to hold: on a busy machine a loop gets little CPU without any limit.
        (_, Some(said)) => {
            let what =
                format!("the daemon dropped {name} because the {} controller is missing", limit.controller);
            // The profile says whether the limit is needed.
            let required = controllers.required.iter().any(|one| one == limit.controller);
            let finding =
                if required { Finding::fail(UNAVAILABLE, what) } else { Finding::warn(UNAVAILABLE, what) };
            finding.with("warning", said)
        }
        (Some(true), None) => Finding::warn(INVISIBLE, format!("{name} is enforced but not visible inside")),
        (Some(false), None) if visible => {
            Finding::fail(limit.broken, format!("{name} is visible inside but not enforced: {happened}"))
        }
        (Some(false), None) => {
            Finding::fail(limit.broken, format!("{name} was accepted but has no effect: {happened}"))
        }
        (None, None) if visible => Finding::pass(format!("{name} is visible inside; {happened}")),
        (None, None) => Finding::fail(INVISIBLE, format!("{name} is not visible inside, and {happened}")),
    };
    let seen = limit.seen.map_or_else(|| "none".to_owned(), |seen| seen.to_string());
    finding
        .with("controller", limit.controller)
        .with("given", limit.given)
        .with("seen", seen)
        .with("tried", happened)
}

/// Bytes as MiB.
fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

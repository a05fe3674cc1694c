//! Removes everything that the run made, and reports what is left.
//!
//! That is: containers, images, networks and volumes with the label of the run; the dockerd that it started, with containerd
//! and shims; and what dockerd leaves: interfaces, firewall rules, cgroups, mounts, files below /run.

use crate::diagnosis::causes;
use crate::engine::docker::error::with_dropped;
use crate::engine::{DaemonEnd, TornDown};
use crate::finding::{Finding, Level};
use crate::step::{Cx, Phase, Step};
use crate::text::seconds;

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "teardown",
    title: "Clean-up",
    why: "Whatever a check leaves behind can break the next one.",
    phase: Phase::Workload,
    worst: Level::Fail,
    needs: &[],
    rests_on: &["daemon-start"],
    check,
    repair: None,
};

#[expect(clippy::unnecessary_wraps, reason = "the type of every check")]
fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let keep = cx.options.keep_daemon && cx.all_passed.get();
    Ok(judge(&cx.engine.tear_down(cx.options, keep)))
}

/// The end of the daemon, and what is left.
fn judge(done: &TornDown) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !done.removed.is_empty() {
        findings.push(
            Finding::pass(format!("removed {} objects of this run", done.removed.len()))
                .with("removed", done.removed.join("; ")),
        );
    }
    for left in &done.left {
        findings.push(Finding::fail(
            causes::LEFTOVERS_REMAIN,
            format!("an object of this run could not be removed: {left}"),
        ));
    }
    for used in &done.in_use {
        findings.push(Finding::warn(causes::LEFTOVERS_REMAIN, used.clone()));
    }
    // The headline of a passed step is its last finding.
    findings.push(with_dropped(daemon(&done.daemon), done.log_dropped));
    findings
}

/// The end of the daemon.
fn daemon(end: &DaemonEnd) -> Finding {
    let late = causes::DAEMON_STOP_TIMEOUT;
    match end {
        DaemonEnd::None => Finding::pass("no daemon was started"),
        DaemonEnd::Attached(endpoint) => {
            Finding::pass("the daemon was running before and keeps running").with("endpoint", endpoint)
        }
        DaemonEnd::Kept { endpoint, pid } => Finding::pass("the daemon keeps running, as requested")
            .with("endpoint", endpoint)
            .with("pid", pid),
        // The step that noticed its death reported it.
        DaemonEnd::Dead(death) => Finding::pass(format!("dockerd had already ended with {}", death.status)),
        DaemonEnd::Stopped(took) => Finding::pass(format!("dockerd stopped within {}", seconds(*took))),
        DaemonEnd::Killed(took) => Finding::fail(
            late,
            format!("dockerd did not stop within {} of SIGTERM and was killed", seconds(*took)),
        ),
        DaemonEnd::StillThere(pid) => {
            Finding::fail(late, format!("dockerd (pid {pid}) did not end after SIGKILL"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::finding::Level;

    #[test]
    fn clean_end_passes() {
        let done = TornDown { daemon: DaemonEnd::Stopped(Duration::from_millis(40)), ..TornDown::default() };
        let findings = judge(&done);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].what, "dockerd stopped within 40 ms");
    }

    #[test]
    fn what_was_dropped_of_a_flooded_log_is_said() {
        let daemon = DaemonEnd::Stopped(Duration::from_millis(40));
        let done = TornDown { daemon, log_dropped: 3 << 19, ..TornDown::default() };
        assert!(judge(&done)[0].evidence.contains(&("log_dropped", "1.5 MiB".to_owned())));
    }

    #[test]
    fn each_leftover_is_named_and_fails() {
        let done = TornDown { left: vec!["network x".into(), "volume y".into()], ..TornDown::default() };
        let findings = judge(&done);
        assert_eq!(findings.iter().filter(|finding| finding.level == Level::Fail).count(), 2);
        assert!(findings[0].what.ends_with("network x"));
    }

    #[test]
    fn what_others_use_by_now_is_named_and_does_not_fail() {
        let done = TornDown { in_use: vec!["the image x stays".into()], ..TornDown::default() };
        let findings = judge(&done);
        assert_eq!((findings[0].level, findings[0].what.as_str()), (Level::Warn, "the image x stays"));
        assert!(findings.iter().all(|finding| finding.level != Level::Fail));
    }

    #[test]
    fn daemon_that_had_to_be_killed_fails() {
        let done = TornDown { daemon: DaemonEnd::Killed(Duration::from_secs(15)), ..TornDown::default() };
        assert_eq!(judge(&done)[0].level, Level::Fail);
    }
}

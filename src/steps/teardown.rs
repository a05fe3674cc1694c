//! Is everything of ours gone again?
//!
//! Containers, images, networks and volumes with our label, the dockerd that we started with its containerd and
//! shims, and what of it would stay: interfaces, firewall rules, cgroups, mounts, files below /run.

use crate::diagnosis::causes;
use crate::engine::{DaemonEnd, TornDown};
use crate::finding::{Finding, Level};
use crate::step::{Cx, Phase, Step};
use crate::text::seconds;

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "teardown",
    title: "Clean-up",
    why: "What a check leaves behind is in the way of the next one, and of you.",
    phase: Phase::Workload,
    worst: Level::Fail,
    needs: &[],
    check,
    repair: None,
};

#[allow(clippy::unnecessary_wraps, reason = "the type of every check")]
fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let keep = cx.options.keep_daemon && cx.all_passed.get();
    Ok(judge(&cx.engine.tear_down(cx.options, keep)))
}

/// What became of the daemon, and what is left.
fn judge(done: &TornDown) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !done.removed.is_empty() {
        findings.push(
            Finding::pass(format!("removed what was ours, {} in all", done.removed.len()))
                .with("removed", done.removed.join("; ")),
        );
    }
    for left in &done.left {
        findings.push(Finding::fail(
            causes::LEFTOVERS_REMAIN,
            format!("this is ours and could not be removed: {left}"),
        ));
    }
    // The headline of a passed step is its last finding.
    findings.push(daemon(&done.daemon));
    findings
}

/// What became of the daemon.
fn daemon(end: &DaemonEnd) -> Finding {
    let late = causes::DAEMON_STOP_TIMEOUT;
    match end {
        DaemonEnd::None => Finding::pass("no daemon was started"),
        DaemonEnd::Attached(endpoint) => {
            Finding::pass("the daemon is not ours and goes on").with("endpoint", endpoint)
        }
        DaemonEnd::Kept { endpoint, pid } => {
            Finding::pass("the daemon is kept, as asked").with("endpoint", endpoint).with("pid", pid)
        }
        // Its death was told by the step that noticed it.
        DaemonEnd::Dead(death) => Finding::pass(format!("dockerd had ended with {}", death.status)),
        DaemonEnd::Stopped(took) => Finding::pass(format!("dockerd stopped within {}", seconds(*took))),
        DaemonEnd::Killed(took) => Finding::fail(
            late,
            format!("dockerd did not stop within {} of SIGTERM and was killed", seconds(*took)),
        ),
        DaemonEnd::StillThere(pid) => {
            Finding::fail(late, format!("dockerd, process {pid}, does not end even when killed"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::finding::Level;

    #[test]
    fn a_clean_end_passes() {
        let done = TornDown { daemon: DaemonEnd::Stopped(Duration::from_millis(40)), ..TornDown::default() };
        let findings = judge(&done);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].what, "dockerd stopped within 40 ms");
    }

    #[test]
    fn each_leftover_is_named_and_fails() {
        let done = TornDown { left: vec!["network x".into(), "volume y".into()], ..TornDown::default() };
        let findings = judge(&done);
        assert_eq!(findings.iter().filter(|finding| finding.level == Level::Fail).count(), 2);
        assert!(findings[0].what.ends_with("network x"));
    }

    #[test]
    fn a_daemon_that_had_to_be_killed_fails() {
        let done = TornDown { daemon: DaemonEnd::Killed(Duration::from_secs(15)), ..TornDown::default() };
        assert_eq!(judge(&done)[0].level, Level::Fail);
    }
}

//! Does dockerd start and answer?
//!
//! A socket that accepts connections proves nothing: dockerd binds it long before it serves (moby
//! `cmd/dockerd/daemon.go`: listeners first, the API last). So one `GET /_ping` is asked, and its answer waited
//! for; a dockerd that dies meanwhile is told at once, by the first error of its log.

use crate::diagnosis::CauseId;
use crate::engine::{Started, error::seconds};
use crate::step::{Cx, Finding, Phase, Step};

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "daemon-start",
    title: "Start of the inner daemon",
    why: "Without an inner daemon that answers there is no Docker-in-Docker.",
    phase: Phase::Daemon,
    check,
    repair: None,
};

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    match cx.engine.start(cx.plan) {
        Ok(started) => Ok(vec![judge(&started)]),
        Err(error) => {
            let finding = error
                .into_finding(CauseId::new("daemon-not-reachable"), CauseId::new("daemon-start-timeout"))?;
            Ok(vec![finding])
        }
    }
}

/// A daemon that answers.
fn judge(started: &Started) -> Finding {
    let took = seconds(started.took);
    let mut finding = match started.pid {
        Some(pid) => Finding::pass(format!("dockerd answered {took} after its start"))
            .with("endpoint", &started.endpoint)
            .with("pid", pid)
            .with("command", started.command.join(" ")),
        None => Finding::pass(format!("the daemon at {} answers", started.endpoint))
            .with("endpoint", &started.endpoint),
    };
    if let Some(log) = &started.log {
        finding = finding.with("log", log);
    }
    if !started.recovered.is_empty() {
        finding = finding.with("removed_of_killed_runs", started.recovered.join("; "));
    }
    finding
}

//! Does dockerd start and answer?
//!
//! A socket that accepts connections proves nothing: dockerd binds it long before it serves (moby
//! `cmd/dockerd/daemon.go`: listeners first, the API last). So one `GET /_ping` is asked, and its answer waited
//! for; a dockerd that dies meanwhile is told at once, by the first error of its log.

use std::path::Path;

use nix::errno::Errno;

use crate::diagnosis::causes;
use crate::engine::Started;
use crate::engine::docker::error::EngineError;
use crate::engine::dockerd::NULL;
use crate::finding::{Finding, Level};
use crate::step::{Cx, Phase, Step};
use crate::text::seconds;

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "daemon-start",
    title: "Start of the inner daemon",
    why: "Without an inner daemon that answers there is no Docker-in-Docker.",
    phase: Phase::Daemon,
    worst: Level::Fail,
    needs: &[],
    check,
    repair: None,
};

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    match cx.engine.start(cx.options) {
        Ok(started) => Ok(vec![judge(&started)]),
        Err(error) => {
            let finding = match of_the_machine(&error) {
                Some(finding) => finding,
                None => error.into_finding(causes::DAEMON_NOT_REACHABLE, causes::DAEMON_START_TIMEOUT)?,
            };
            Ok(vec![finding])
        }
    }
}

/// What keeps every program from being started, and is no fault of dockerd's.
fn of_the_machine(error: &EngineError) -> Option<Finding> {
    let EngineError::System(error) = error else { return None };
    let (cause, why) = match error.errno() {
        _ if error.path == Path::new(NULL) => {
            (causes::DEV_NODE_MISSING, "what a daemon reads from is not to be opened")
        }
        // seccomp(2); a program that may not be executed would be EACCES.
        Errno::EPERM if error.op == "start" => (causes::SECCOMP_BLOCKS_CLONE3, "no process may be made here"),
        _ => return None,
    };
    Some(Finding::fail(cause, format!("{why}: {error}")).with("path", error.path.display()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::CauseId;
    use crate::host::HostError;

    #[test]
    fn what_lacks_to_every_program_is_not_blamed_on_dockerd() {
        let cause = |op: &str, path: &str, errno| {
            let error = EngineError::System(HostError::new(op, path, errno));
            of_the_machine(&error).and_then(|finding| finding.cause).map(CauseId::as_str)
        };
        assert_eq!(cause("open", "/dev/null", Errno::ENOENT), Some("dev-node-missing"));
        assert_eq!(cause("open", "/dev/null", Errno::EACCES), Some("dev-node-missing"));
        assert_eq!(cause("start", "/usr/sbin/dockerd", Errno::EPERM), Some("seccomp-blocks-clone3"));
        assert_eq!(cause("start", "/usr/sbin/dockerd", Errno::EACCES), None);
        assert_eq!(cause("make the directory", "/run/dindcheck", Errno::EPERM), None);
    }
}

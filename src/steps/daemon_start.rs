//! Starts dockerd, or attaches to a running one, and waits until it answers.
//!
//! A socket that accepts connections proves nothing: dockerd binds it long before it serves (moby
//! `cmd/dockerd/daemon.go`: listeners first, the API last). So the step waits for the answer to one `GET /_ping`. If
//! dockerd dies meanwhile, the step fails at once with the first error of its log.

use std::path::Path;

use nix::errno::Errno;

use crate::diagnosis::causes;
use crate::engine::Started;
use crate::engine::docker::error::EngineError;
use crate::engine::dockerd::NULL;
use crate::finding::{Finding, Level};
use crate::redact;
use crate::step::{Cx, Phase, Step};
use crate::text::seconds;
use crate::workload;

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "daemon-start",
    title: "Start of the inner daemon",
    why: "Without an inner daemon that answers there is no Docker-in-Docker.",
    phase: Phase::Daemon,
    worst: Level::Fail,
    needs: &[],
    rests_on: &[],
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
            Ok(vec![workload::blame_filter(cx.host, finding)])
        }
    }
}

/// An error that keeps every program from starting, not only dockerd.
fn of_the_machine(error: &EngineError) -> Option<Finding> {
    let EngineError::System(error) = error else { return None };
    let (cause, why) = match error.errno() {
        _ if error.path == Path::new(NULL) => {
            (causes::DEV_NODE_MISSING, "the standard input of dockerd cannot be opened")
        }
        // A seccomp filter: a file that is not executable gives EACCES.
        Errno::EPERM if error.op == "start" => {
            (causes::SECCOMP_BLOCKS_CLONE3, "no process can be started here")
        }
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
            .with("command", redact::command(&started.command)),
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
    fn command_is_shown_without_secrets() {
        let command =
            ["dockerd", "--debug", "--log-opt", "splunk-token=canary"].map(ToOwned::to_owned).to_vec();
        let finding = judge(&Started { pid: Some(1), command, ..Started::default() });
        assert!(
            finding.evidence.contains(&("command", "dockerd --debug --log-opt splunk-token=xxxxxx".into()))
        );
    }

    #[test]
    fn error_of_every_program_is_not_blamed_on_dockerd() {
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

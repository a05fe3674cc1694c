//! The configuration of a daemon that is running already: what it survived is no failure.

use super::{judge, summary};
use crate::diagnosis::{CauseId, causes};
use crate::facts::daemon::{Daemon, Running};
use crate::facts::endpoint::Endpoint;
use crate::finding::{Finding, Level};
use crate::host::environ::WithEnviron;
use crate::step::Cx;

/// What keeps containers from starting, whether the daemon runs or not.
const OF_CONTAINERS: &[CauseId] = &[causes::LOG_DRIVER_UNUSABLE, causes::OCI_RUNTIME_PROGRAM_MISSING];

/// The findings, from the command line, the environment and the configuration file of the daemon at an endpoint.
pub(super) fn check(cx: &Cx<'_>, endpoint: &Endpoint) -> anyhow::Result<Vec<Finding>> {
    let command = match Running::find(cx.host, endpoint) {
        Running::Here(command) => command,
        Running::Elsewhere(why) => {
            let what = format!("not checked: the daemon at {endpoint} is already running, and {why}");
            return Ok(vec![Finding::pass(what)]);
        }
    };
    let host = WithEnviron::of(cx.host, command.pid);
    let cx = &Cx { host: &host, ..*cx };
    let daemon = match Daemon::read(&host, &command.invocation()) {
        Ok(daemon) => daemon,
        // The program of a running daemon may have been replaced or removed.
        Err(error) => {
            let what = format!(
                "not checked: the version of dockerd, process {}, is unknown: {error:#}",
                command.pid
            );
            return Ok(vec![Finding::pass(what)]);
        }
    };
    let newer = command.is_older_than(&host, &daemon.config);
    let mut findings = judge(cx, &daemon)?;
    for finding in findings.iter_mut().filter(|finding| finding.level == Level::Fail) {
        let keeps = finding.cause.is_some_and(|cause| OF_CONTAINERS.contains(&cause));
        if newer || !keeps {
            finding.level = Level::Warn;
            finding.what += if newer {
                "; the daemon that runs was started before the file was changed"
            } else {
                "; the daemon that runs has not been hindered by it so far"
            };
        }
    }
    if findings.iter().all(|finding| finding.level != Level::Fail) {
        findings.insert(0, summary(&daemon, "keeps").with("pid", command.pid));
    }
    Ok(findings)
}

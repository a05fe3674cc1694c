//! Finds other daemons and what earlier ones left: pid files, sockets, ports, databases in use.

mod data;
mod neighbours;
mod pids;
mod ports;
mod sockets;
#[cfg(test)]
mod tests;

use crate::facts::daemon::Daemon;
use crate::facts::endpoint::Endpoint;
use crate::finding::{Finding, Level, Reach};
use crate::options::Need;
use crate::step::{Cx, Phase, Repair, Step};

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "daemon-state",
    title: "Other daemons and stale state",
    why: "dockerd does not start if its pid file names a living process or its database is in use; if another daemon owns the socket, clients talk to the wrong one.",
    phase: Phase::Environment,
    worst: Level::Fail,
    needs: &[Need::DockerdVersion],
    rests_on: &[],
    check,
    repair: Some(Repair {
        title: "Remove pid files that name other programs",
        reach: Reach::Container,
        apply: pids::remove_stale,
    }),
};

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    if let Some(endpoint) = &cx.options.attach {
        return Ok(vec![attached(cx, endpoint)]);
    }
    let daemon = Daemon::read(cx.host, &cx.options.daemon())?;
    if let Some(neighbour) = neighbours::check(cx)? {
        return Ok(vec![neighbour]);
    }
    let (host, settings) = (cx.host, &daemon.settings);
    let sockets = sockets::read(host, settings)?;
    let pids = pids::read(host, &daemon)?;
    let mut findings = sockets::judge(&sockets, pids::running(&pids, cx.options));
    findings.extend(pids::judge(&pids, cx.options, sockets::answers(&sockets)));
    findings.extend(sockets::containerd(host, settings)?);
    findings.extend(ports::check(host, settings)?);
    // A running daemon locks its own databases.
    if findings.iter().all(|finding| finding.level != Level::Fail) {
        findings.extend(data::check(cx, &daemon)?);
    }
    if findings.iter().all(|finding| finding.level != Level::Fail) {
        findings.insert(0, Finding::pass("no other daemon and no stale state"));
    }
    Ok(findings)
}

/// With `--attach` the daemon must listen.
fn attached(cx: &Cx<'_>, endpoint: &Endpoint) -> Finding {
    let Endpoint::Unix(path) = endpoint else {
        return Finding::pass(format!("the daemon to use is at {endpoint}"));
    };
    match cx.host.connect(path) {
        Ok(()) => Finding::pass(format!("something listens at {endpoint}")).with("path", path.display()),
        Err(error) => {
            let what = format!("no daemon listens at {endpoint}");
            let cause = crate::diagnosis::causes::DAEMON_NOT_REACHABLE;
            Finding::fail(cause, what)
                .with("path", path.display())
                .with("errno", format!("{:?}", error.errno()))
        }
    }
}

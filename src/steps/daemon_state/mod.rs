//! What earlier or other daemons left: pid files, sockets, ports, databases in use, and daemons themselves.

mod data;
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

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "daemon-state",
    title: "Traces of other daemons",
    why: "A pid file that names a living process, a socket that belongs to another daemon or a database in use keeps dockerd from starting, or lets a client talk to the wrong one.",
    phase: Phase::Environment,
    worst: Level::Fail,
    needs: &[Need::DockerdVersion],
    check,
    repair: Some(Repair {
        title: "remove pid files that name other programs",
        reach: Reach::Container,
        apply: pids::remove_stale,
    }),
};

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    if let Some(endpoint) = &cx.options.attach {
        return Ok(vec![attached(cx, endpoint)]);
    }
    let daemon = Daemon::read(cx.host, &cx.options.daemon())?;
    let (host, settings) = (cx.host, &daemon.settings);
    let sockets = sockets::read(host, settings)?;
    let pids = pids::read(host, &daemon)?;
    let mut findings = sockets::judge(&sockets, pids::running(&pids, cx.options));
    findings.extend(pids::judge(&pids, cx.options, sockets::answers(&sockets)));
    findings.extend(sockets::containerd(host, settings)?);
    findings.extend(ports::check(host, settings)?);
    // A daemon that runs holds its own databases.
    if findings.iter().all(|finding| finding.level != Level::Fail) {
        findings.extend(data::check(cx, &daemon)?);
    }
    if findings.iter().all(|finding| finding.level != Level::Fail) {
        findings.insert(0, Finding::pass("nothing of another daemon is in the way"));
    }
    Ok(findings)
}

/// Where a running daemon is to be used, it has to be there.
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

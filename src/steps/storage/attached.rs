//! The storage of a daemon that is running already.

use super::{judge, look};
use crate::diagnosis::{CauseId, causes};
use crate::facts::daemon::{Daemon, Running, Store};
use crate::facts::endpoint::Endpoint;
use crate::finding::{Finding, Level};
use crate::host::environ::WithEnviron;
use crate::step::Cx;

/// What befalls a running daemon as well: nothing can be written.
const OF_EVERY_DAEMON: &[CauseId] = &[causes::DISK_FULL, causes::DATA_ROOT_READ_ONLY];

/// The findings on the storage of the daemon at an endpoint. A graphdriver was started with the daemon, so it works; a
/// snapshotter is tried by the first container only.
pub(super) fn check(cx: &Cx<'_>, endpoint: &Endpoint) -> anyhow::Result<Vec<Finding>> {
    let command = match Running::find(cx.host, endpoint) {
        Running::Here(command) => command,
        Running::Elsewhere(why) => {
            let what = format!("not checked: the daemon at {endpoint} manages its own storage, and {why}");
            return Ok(vec![Finding::pass(what)]);
        }
    };
    let host = WithEnviron::of(cx.host, command.pid);
    let cx = &Cx { host: &host, ..*cx };
    let daemon = match Daemon::read(&host, &command.invocation()) {
        Ok(daemon) if daemon.settings.data_root.is_absolute() => daemon,
        _ => {
            let what =
                format!("not checked: the options of dockerd, process {}, cannot be read", command.pid);
            return Ok(vec![Finding::pass(what)]);
        }
    };
    let graph = matches!(daemon.settings.store, Store::Graph(_));
    let mut findings = judge(&look::look(cx, &daemon)?);
    for finding in findings.iter_mut().filter(|finding| finding.level == Level::Fail) {
        let lasting = finding.cause.is_some_and(|cause| OF_EVERY_DAEMON.contains(&cause));
        if graph && !lasting {
            finding.level = Level::Warn;
            finding.what += "; the daemon that runs has not been hindered by it so far";
        }
    }
    Ok(findings)
}

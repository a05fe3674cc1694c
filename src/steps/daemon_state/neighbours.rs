//! Finds another dindcheck that starts or runs a daemon in the same directories: its pid file and socket are in use.

use crate::diagnosis::causes;
use crate::engine::cleanup::neighbours::{self, Neighbour};
use crate::facts::daemon::{Layout, command_line};
use crate::finding::Finding;
use crate::host::HostResult;
use crate::step::Cx;

/// The other dindcheck, if there is one.
pub(super) fn find(cx: &Cx<'_>) -> HostResult<Option<Neighbour>> {
    let argv = command_line(cx.host, &cx.options.daemon());
    let layout = Layout::read(cx.host, argv.get(1..).unwrap_or_default());
    match neighbours::with_daemon_in(cx.host, &layout, &cx.options.run) {
        // Recordings of versions that did not look for other runs.
        Err(error) if error.errno() == nix::errno::Errno::ENODATA => Ok(None),
        found => found,
    }
}

/// The finding about it.
pub(super) fn check(cx: &Cx<'_>) -> anyhow::Result<Option<Finding>> {
    Ok(find(cx)?.map(|Neighbour { run, path }| {
        let what = format!("another dindcheck (run {run}) starts or runs a daemon here that uses {path}");
        Finding::fail(causes::DAEMON_ALREADY_RUNNING, what)
            .with("run", &run)
            .with("path", &path)
            .hint("wait until it has ended, or use its daemon: `dindcheck verify --attach unix:///var/run/docker.sock`")
    }))
}

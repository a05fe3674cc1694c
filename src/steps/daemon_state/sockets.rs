//! Checks the sockets at which dockerd will listen, and the socket of the containerd that it will use.

use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::diagnosis::causes;
use crate::facts::daemon::hosts::Listen;
use crate::facts::daemon::{Containerd, Settings};
use crate::facts::filesystem;
use crate::facts::mounts::{Mount, Mounts};
use crate::finding::{Finding, quoted};
use crate::host::{FileKind, SystemReader};

/// What exists at a path at which dockerd will listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Socket {
    path: PathBuf,
    kind: FileKind,
    /// Something accepts connections.
    answers: bool,
    /// The path is a mount point: a bind mount.
    bound: Option<Mount>,
}

/// Reads each path that exists.
pub(super) fn read(host: &dyn SystemReader, settings: &Settings) -> anyhow::Result<Vec<Socket>> {
    let mut sockets = Vec::new();
    for path in settings.hosts.iter().filter_map(|listen| match listen {
        Listen::Unix(path) => Some(path),
        _ => None,
    }) {
        let (real, exists) = filesystem::nearest(host, path)?;
        if exists {
            let kind = host.stat(&real)?.kind;
            let answers = kind == FileKind::Socket && listens(host, &real)?;
            let bound = Mounts::read(host)?.at(&real).cloned();
            sockets.push(Socket { path: path.clone(), kind, answers, bound });
        }
    }
    Ok(sockets)
}

/// Whether something listens there.
pub(super) fn listens(host: &dyn SystemReader, path: &Path) -> anyhow::Result<bool> {
    match host.connect(path) {
        Ok(()) => Ok(true),
        // EPROTOTYPE: a datagram socket.
        Err(error)
            if error.is_absent() || matches!(error.errno(), Errno::ECONNREFUSED | Errno::EPROTOTYPE) =>
        {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether something answers at any of them.
pub(super) fn answers(sockets: &[Socket]) -> bool {
    sockets.iter().any(|socket| socket.answers)
}

/// The findings. `running`: the daemon that the pid file names, in this container.
pub(super) fn judge(sockets: &[Socket], running: Option<i32>) -> Vec<Finding> {
    sockets.iter().filter_map(|socket| one(socket, running)).collect()
}

fn one(socket: &Socket, running: Option<i32>) -> Option<Finding> {
    let path = socket.path.display();
    let about = |finding: Finding| finding.with("path", &path);
    let leave_out = format!(
        "start the outer container without -v {path}:{path}: with it, docker commands here use the outer daemon"
    );
    match (socket.kind, socket.answers, &socket.bound, running) {
        (FileKind::Dir, ..) => {
            let what = format!("{path} is a directory, which dockerd cannot replace with its socket");
            let made = "docker makes one if the source of a bind mount does not exist";
            Some(
                about(Finding::fail(causes::DOCKER_SOCKET_IS_A_DIRECTORY, what).with("why", made))
                    .hint(format!("`rmdir {}`", quoted(&socket.path))),
            )
        }
        (_, true, Some(mount), _) => {
            let what = format!(
                "{path} is bind-mounted, and an outer daemon answers there: this is not Docker-in-Docker"
            );
            let finding = Finding::fail(causes::DOCKER_SOCKET_IS_THE_OUTER_DAEMONS, what);
            Some(
                about(finding.with("mount", format!("{} {}", mount.fstype, mount.root.display())))
                    .hint(leave_out),
            )
        }
        (_, false, Some(mount), _) => {
            let what = format!("{path} is bind-mounted, so dockerd cannot create its socket there");
            let finding = Finding::fail(causes::DOCKER_SOCKET_PATH_BIND_MOUNTED, what);
            Some(
                about(finding.with("mount", format!("{} {}", mount.fstype, mount.root.display())))
                    .hint(leave_out),
            )
        }
        (_, true, None, Some(pid)) => {
            let what = format!("dockerd is already running as process {pid}, and answers at {path}");
            let finding = Finding::fail(causes::DAEMON_ALREADY_RUNNING, what).with("pid", pid);
            Some(
                about(finding)
                    .hint(format!("use it with `dindcheck verify --attach`, or stop it first: `kill {pid}`")),
            )
        }
        (_, true, None, None) => {
            let what = format!(
                "a daemon that no pid file here names answers at {path}: the outer one, or one with other options"
            );
            Some(about(Finding::fail(causes::DAEMON_ALREADY_RUNNING, what)).hint(
                "use it with `dindcheck --attach`, stop it, or remove the mount of its directory if it is the outer daemon's",
            ))
        }
        (FileKind::Socket, false, None, _) => {
            Some(about(Finding::pass(format!("{path} is stale: nothing answers, and dockerd replaces it"))))
        }
        _ => None,
    }
}

/// A containerd that dockerd does not start itself must answer (20.10 waits 60 s for it, 28 starts and fails at the first
/// request, 29 fails at once).
pub(super) fn containerd(host: &dyn SystemReader, settings: &Settings) -> anyhow::Result<Option<Finding>> {
    let Some(path) = settings.containerd.socket() else { return Ok(None) };
    let cause = causes::CONTAINERD_SOCKET_NOT_ANSWERING;
    let (error, hint) = match (host.connect(path), &settings.containerd) {
        (Ok(()), _) => return Ok(None),
        (Err(error), Containerd::System(_)) => {
            (error, format!("start that containerd, or rm {}: dockerd then starts its own", path.display()))
        }
        (Err(error), _) => (error, "start that containerd, or remove the option containerd".to_owned()),
    };
    if error.errno() == Errno::EACCES {
        return Err(error.into());
    }
    let what = match settings.containerd {
        Containerd::System(_) => {
            format!("{} exists, so dockerd will use it, but nothing answers there", path.display())
        }
        _ => format!("dockerd will use the containerd at {}, but nothing answers there", path.display()),
    };
    Ok(Some(
        Finding::fail(cause, what)
            .with("path", path.display())
            .with("errno", format!("{:?}", error.errno()))
            .hint(hint),
    ))
}

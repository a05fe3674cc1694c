//! Checks the paths of sockets, of the pid file and of the exec root, which dockerd makes before anything else.
//!
//! Measured with 20.10, 26.1 and 28.5: dockerd makes missing directories, but not through a dangling link; below a relative
//! exec root its containerd is never reached; only the directory of a socket of `--host` must exist.

use std::path::{Path, PathBuf};

use crate::diagnosis::{CauseId, causes};
use crate::facts::daemon::hosts::Listen;
use crate::facts::daemon::{Containerd, Daemon, Settings};
use crate::facts::directories::Obstacle;
use crate::finding::{Finding, quoted};
use crate::host::{FileKind, HostResult, SystemReader};

const UNUSABLE: CauseId = causes::DAEMON_PATH_UNUSABLE;
const TOO_LONG: CauseId = causes::UNIX_SOCKET_PATH_TOO_LONG;

/// `sun_path` of unix(7) without the NUL at its end.
const LONGEST: usize = 107;
/// containerd refuses longer paths (`CreateUnixSocket` of its sys package), since other systems have shorter ones.
const LONGEST_OF_CONTAINERD: usize = 104;
/// The longest path of a socket of the containerd that dockerd starts, below the exec root.
const CONTAINERD_SOCKET: &str = "containerd/containerd.sock.ttrpc";
/// containerd and its shims have sockets below it, wherever the exec root is.
const SHIMS: &str = "/run/containerd";

/// The findings; one obstacle that lies on several ways is reported once.
pub(super) fn judge(host: &dyn SystemReader, daemon: &Daemon) -> HostResult<Vec<Finding>> {
    let settings = &daemon.settings;
    let mut findings: Vec<Finding> = lengths(settings);
    findings.extend(relative(settings));
    let mut known = Vec::new();
    for (what, dir) in directories(settings) {
        if let Some(obstacle) = Obstacle::find(host, &dir)?.filter(|obstacle| !known.contains(obstacle)) {
            let text = format!("dockerd cannot make {} for {what}: {}", dir.display(), obstacle.why());
            findings.push(obstacle.add_to(Finding::fail(UNUSABLE, text).with("path", dir.display())));
            known.push(obstacle);
        }
    }
    if known.is_empty() {
        findings.extend(pid_file(host, settings)?);
        findings.extend(homeless(host, settings)?);
    }
    Ok(findings)
}

/// The directories that dockerd or containerd makes, and what for.
fn directories(settings: &Settings) -> Vec<(&'static str, PathBuf)> {
    let mut all = vec![("its exec root", settings.exec_root.clone())];
    all.extend(settings.pidfile.parent().map(|dir| ("its pid file", dir.into())));
    if settings.containerd == Containerd::Managed && !settings.rootless {
        all.push(("the sockets of containerd", SHIMS.into()));
    }
    all.extend(sockets(settings).filter_map(|path| Some(("its socket", path.parent()?.into()))));
    all.retain(|(_, dir)| dir.is_absolute());
    all
}

/// The unix sockets of `--host`.
fn sockets(settings: &Settings) -> impl Iterator<Item = &Path> {
    settings.hosts.iter().filter_map(|listen| match listen {
        Listen::Unix(path) => Some(path.as_path()),
        _ => None,
    })
}

/// Paths that do not fit into the address of a socket.
fn lengths(settings: &Settings) -> Vec<Finding> {
    let long = |path: &Path, limit| path.as_os_str().len() > limit;
    let too_long = |path: &Path, limit, whose: &str| {
        let length = path.as_os_str().len();
        let what = format!("{} is a path of {length} bytes, and {whose} has at most {limit}", path.display());
        Finding::fail(TOO_LONG, what).with("path", path.display()).with("length", length).with("limit", limit)
    };
    let own = sockets(settings).filter(|path| long(path, LONGEST)).map(|path| {
        too_long(path, LONGEST, "the address of a unix socket")
            .hint("listen on a shorter path: `--host=unix:///var/run/docker.sock`")
    });
    let socket = settings.exec_root.join(CONTAINERD_SOCKET);
    let managed = settings.containerd == Containerd::Managed;
    let containerd = (managed && long(&socket, LONGEST_OF_CONTAINERD)).then(|| {
        let most = LONGEST_OF_CONTAINERD - CONTAINERD_SOCKET.len() - 1;
        too_long(&socket, LONGEST_OF_CONTAINERD, "a socket of containerd")
            .hint(format!("set an exec-root of at most {most} bytes: `--exec-root=/var/run/docker`"))
    });
    own.chain(containerd).collect()
}

/// containerd runs in another directory than dockerd, so it does not find a relative path.
fn relative(settings: &Settings) -> Option<Finding> {
    let root = &settings.exec_root;
    (root.is_relative() && settings.containerd == Containerd::Managed).then(|| {
        let what = format!(
            "exec-root `{}` is a relative path: dockerd does not reach its containerd there",
            root.display()
        );
        Finding::fail(UNUSABLE, what)
            .with("path", root.display())
            .hint("set an absolute path: `--exec-root=/var/run/docker`")
    })
}

/// The pid file itself: a directory, or a link into a directory that is missing.
fn pid_file(host: &dyn SystemReader, settings: &Settings) -> HostResult<Option<Finding>> {
    let path = &settings.pidfile;
    if path.as_os_str().is_empty() || path.is_relative() {
        return Ok(None);
    }
    let unusable = |why: String| Finding::fail(UNUSABLE, why).with("path", path.display());
    match host.stat(path) {
        Ok(stat) if stat.kind == FileKind::Dir => {
            let what = format!("the pid file {} is a directory, and dockerd does not start", path.display());
            return Ok(Some(unusable(what).with("errno", "EISDIR").hint(format!(
                "start dockerd without `--pidfile={}`, or `rmdir` it where it is empty",
                path.display()
            ))));
        }
        Ok(_) => return Ok(None),
        Err(error) if error.is_absent() => {}
        Err(error) => return Err(error),
    }
    let Ok(target) = host.read_link(path) else { return Ok(None) };
    let target = path.parent().unwrap_or(Path::new("/")).join(target);
    let Some(dir) = target.parent() else { return Ok(None) };
    Ok((!host.exists(dir)?).then(|| {
        let what =
            format!("the pid file {} is a link into {}, which does not exist", path.display(), dir.display());
        unusable(what).with("errno", "ENOENT").hint(format!("`mkdir -p {}`", quoted(dir)))
    }))
}

/// A socket whose directory is missing: dockerd does not make it, unless it is on the way to its other directories.
fn homeless(host: &dyn SystemReader, settings: &Settings) -> HostResult<Option<Finding>> {
    let made =
        [Some(settings.exec_root.as_path()), settings.pidfile.parent(), Some(settings.data_root.as_path())];
    for path in sockets(settings).filter(|path| path.is_absolute()) {
        let Some(dir) = path.parent() else { continue };
        if host.exists(dir)? || made.into_iter().flatten().any(|made| made.starts_with(dir)) {
            continue;
        }
        let what = format!(
            "{} does not exist, and dockerd does not make the directory of its socket",
            dir.display()
        );
        return Ok(Some(
            Finding::fail(UNUSABLE, what)
                .with("path", path.display())
                .with("errno", "ENOENT")
                .hint(format!("`mkdir -p {}`", quoted(dir))),
        ));
    }
    Ok(None)
}

//! Checks pid files. dockerd refuses to start if its own names a living process of any program; if that of its containerd
//! does, dockerd assumes that this process is its containerd and gives up after 15 s.
//!
//! A number without a process does not stop any version (moby pkg/pidfile): dockerd overwrites the file.

use std::path::Path;

use crate::diagnosis::causes;
use crate::facts::daemon::{Containerd, Daemon};
use crate::facts::filesystem;
use crate::facts::mounts::Mounts;
use crate::facts::pidfile::{Named, PidFile};
use crate::facts::version::Version;
use crate::finding::{Finding, quoted};
use crate::host::SystemReader;
use crate::options::RunOptions;
use crate::repair_log::RepairLog;
use crate::step::Cx;

use super::{data, sockets};

/// The two pid files, if they exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pids {
    version: Version,
    docker: Option<PidFile>,
    containerd: Option<PidFile>,
    /// Whether dockerd's containerd answers at its own socket.
    containerd_answers: bool,
}

/// Reads them.
pub(super) fn read(host: &dyn SystemReader, daemon: &Daemon) -> anyhow::Result<Pids> {
    let settings = &daemon.settings;
    let own = settings.exec_root.join("containerd");
    let named = Some(&settings.pidfile).filter(|path| !path.as_os_str().is_empty());
    let docker = named.map(|path| PidFile::read(host, path)).transpose()?.flatten();
    let containerd = match settings.containerd {
        Containerd::Managed => PidFile::read(host, &own.join("containerd.pid"))?,
        _ => None,
    };
    let containerd_answers = containerd.is_some() && sockets::listens(host, &own.join("containerd.sock"))?;
    Ok(Pids { version: daemon.version, docker, containerd, containerd_answers })
}

/// Whether a process may be the daemon: by the name of dockerd, or of the profile's own program.
fn is_daemon(name: &str, options: &RunOptions) -> bool {
    let command =
        Path::new(&options.profile.daemon.command).file_name().unwrap_or_default().to_string_lossy();
    // The kernel keeps 15 bytes of a name.
    let short: String = command.chars().take(15).collect();
    name == "dockerd" || name == short
}

/// The pid of a living daemon that the pid file names.
pub(super) fn running(pids: &Pids, options: &RunOptions) -> Option<i32> {
    match &pids.docker.as_ref()?.names {
        Named::Process { pid, name, zombie: false, .. } if is_daemon(name, options) => Some(*pid),
        _ => None,
    }
}

/// The findings. `answers`: something answers at the daemon's socket.
pub(super) fn judge(pids: &Pids, options: &RunOptions, answers: bool) -> Vec<Finding> {
    let docker = pids.docker.as_ref().and_then(|file| docker(file, options, answers));
    let containerd = pids.containerd.as_ref().and_then(|file| containerd(pids, file));
    docker.into_iter().chain(containerd).collect()
}

/// The pid file of dockerd.
fn docker(file: &PidFile, options: &RunOptions, answers: bool) -> Option<Finding> {
    let path = file.path.display();
    match &file.names {
        Named::Nobody => None,
        Named::Dead(pid) => Some(dead(file, *pid)),
        Named::Process { pid, name, zombie: false, .. } if is_daemon(name, options) => {
            // `sockets` reports it if its socket answers.
            let what = format!("dockerd is already running as process {pid}");
            let finding = Finding::fail(causes::DAEMON_ALREADY_RUNNING, what);
            (!answers).then(|| about(finding, file, *pid, name))
        }
        Named::Process { pid, name, .. } => {
            let what = format!(
                "{path} names process {pid}, which is {name}: dockerd assumes that a daemon is running"
            );
            let finding = about(Finding::fail(causes::STALE_DOCKER_PID_FILE, what), file, *pid, name);
            Some(finding.hint(removal(file)))
        }
    }
}

/// The pid file of containerd.
fn containerd(pids: &Pids, file: &PidFile) -> Option<Finding> {
    let path = file.path.display();
    let cause = causes::STALE_CONTAINERD_PID_FILE;
    let remove = format!("rm {path}");
    match &file.names {
        // Before 23.0 dockerd parses it strictly.
        Named::Nobody if pids.version < Version::new(23, 0, 0) && !file.text.is_empty() => {
            let what =
                format!("{path} does not contain a process id, which is fatal for dockerd {}", pids.version);
            Some(Finding::fail(cause, what).with("path", path).hint(remove))
        }
        Named::Nobody => None,
        Named::Dead(pid) => Some(dead(file, *pid)),
        Named::Process { name, zombie: false, .. } if name == "containerd" && pids.containerd_answers => None,
        Named::Process { pid, name, .. } => {
            // Measured with 26.1.5, which sends SIGTERM to it when it gives up.
            let end =
                if *pid == 1 { ", and may then stop this whole container" } else { ", and may then stop it" };
            let what = format!(
                "{path} names process {pid}, which is {name}: dockerd waits 15 s for it as its containerd{end}"
            );
            Some(about(Finding::fail(cause, what), file, *pid, name).hint(removal(file)))
        }
    }
}

/// How to remove the file of a process that lives: only after a look where that process may be the daemon.
fn removal(file: &PidFile) -> String {
    let path = quoted(&file.path);
    match &file.names {
        Named::Process { pid, zombie: false, later: false, .. } => format!(
            "look at it (`ps -fp {pid}`): stop it, or use it with `dindcheck --attach`, if it is the daemon; else rm {path}"
        ),
        _ => format!("rm {path}"),
    }
}

/// A pid without a process.
fn dead(file: &PidFile, pid: i32) -> Finding {
    let path = file.path.display();
    Finding::pass(format!("{path} is stale: process {pid} does not exist, and dockerd overwrites the file"))
        .with("path", path)
}

/// The evidence of a living process.
fn about(finding: Finding, file: &PidFile, pid: i32, name: &str) -> Finding {
    let finding = finding.with("path", file.path.display()).with("pid", pid).with("program", name);
    match file.names {
        Named::Process { zombie: true, .. } => finding.with("state", "zombie"),
        Named::Process { later: true, .. } => finding.with("started", "after the file was written"),
        _ => finding,
    }
}

/// Whether the file provably names a process that has ended: the pid now belongs to another program that started after
/// the file was written, or to a zombie. This holds for a file on the root file system alone, which no other container
/// has: elsewhere (a shared /run) the number may be one of another pid namespace.
fn is_proven_stale(
    host: &dyn SystemReader,
    file: &PidFile,
    own: &dyn Fn(&str) -> bool,
) -> anyhow::Result<bool> {
    let of_another = match &file.names {
        Named::Process { zombie: true, .. } => true,
        Named::Process { name, later, .. } => *later && !own(name),
        Named::Nobody | Named::Dead(_) => false,
    };
    Ok(of_another && is_on_root(host, file.path.parent().unwrap_or(Path::new("/")))?)
}

/// Whether a directory is on the root file system, and that has the clock of this machine.
fn is_on_root(host: &dyn SystemReader, dir: &Path) -> anyhow::Result<bool> {
    let mounts = Mounts::read(host)?;
    let (real, _) = filesystem::nearest(host, dir)?;
    let (Some(root), Some(mount)) = (mounts.at(Path::new("/")), mounts.holding(&real)) else {
        return Ok(false);
    };
    let served = ["nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "ceph"].contains(&root.fstype.as_str());
    Ok(root.id == mount.id && !served && !root.fstype.starts_with("fuse"))
}

/// The repair: removes what is proven stale, unless a daemon answers at the socket or has locked its databases, whatever
/// its program is called.
pub(super) fn remove_stale(cx: &Cx<'_>, log: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let daemon = Daemon::read(cx.host, &cx.options.daemon())?;
    let sockets = sockets::read(cx.host, &daemon.settings)?;
    let answers = sockets::answers(&sockets) || super::neighbours::find(cx)?.is_some();
    if answers || data::locked(cx.host, &daemon)?.is_some() {
        return Ok(());
    }
    let pids = read(cx.host, &daemon)?;
    let mut remove = |file: Option<&PidFile>, own: &dyn Fn(&str) -> bool| {
        let Some(file) = file else { return Ok(()) };
        if is_proven_stale(cx.host, file, own)? {
            log.remove_file(&file.path, file.text.as_bytes())?;
        }
        anyhow::Ok(())
    };
    remove(pids.docker.as_ref(), &|name| is_daemon(name, cx.options))?;
    let containerd = pids.containerd.as_ref().filter(|_| !pids.containerd_answers);
    remove(containerd, &|name| name == "containerd")
}

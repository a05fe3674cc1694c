//! Pid files: dockerd refuses to start where its own names a living process, of whatever program; where that of
//! its containerd does, it takes the process for its containerd and gives up after 15 s.
//!
//! A number without a process is no hindrance to any version (moby pkg/pidfile): the file is overwritten.

use std::path::Path;

use crate::diagnosis::causes;
use crate::facts::daemon::{Containerd, Daemon};
use crate::facts::pidfile::{Named, PidFile};
use crate::facts::version::Version;
use crate::finding::Finding;
use crate::host::SystemReader;
use crate::options::RunOptions;
use crate::repair_log::RepairLog;
use crate::step::Cx;

/// The two pid files, where they are there.
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
    let containerd_answers = containerd.is_some() && host.connect(&own.join("containerd.sock")).is_ok();
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

/// The daemon that the pid file names and that lives.
pub(super) fn running(pids: &Pids, options: &RunOptions) -> Option<i32> {
    match &pids.docker.as_ref()?.names {
        Named::Process { pid, name, zombie: false, .. } if is_daemon(name, options) => Some(*pid),
        _ => None,
    }
}

/// What they mean. `answers`: something answers at the daemon's socket.
pub(super) fn judge(pids: &Pids, options: &RunOptions, answers: bool) -> Vec<Finding> {
    let docker = pids.docker.as_ref().and_then(|file| docker(file, options, answers));
    let containerd = pids.containerd.as_ref().and_then(|file| containerd(pids, file));
    docker.into_iter().chain(containerd).collect()
}

/// dockerd's own.
fn docker(file: &PidFile, options: &RunOptions, answers: bool) -> Option<Finding> {
    let path = file.path.display();
    match &file.names {
        Named::Nobody => None,
        Named::Dead(pid) => Some(dead(file, *pid)),
        Named::Process { pid, name, zombie: false, .. } if is_daemon(name, options) => {
            // The socket, where it answers, has been told of already.
            let what = format!("dockerd runs already as process {pid}");
            let finding = Finding::fail(causes::DAEMON_ALREADY_RUNNING, what);
            (!answers).then(|| about(finding, file, *pid, name))
        }
        Named::Process { pid, name, .. } => {
            let what = format!(
                "{path} names process {pid}, which is {name}: dockerd takes it for a daemon that runs"
            );
            let finding = about(Finding::fail(causes::STALE_DOCKER_PID_FILE, what), file, *pid, name);
            Some(finding.hint(format!("rm {path}")))
        }
    }
}

/// That of its containerd.
fn containerd(pids: &Pids, file: &PidFile) -> Option<Finding> {
    let path = file.path.display();
    let cause = causes::STALE_CONTAINERD_PID_FILE;
    let remove = format!("rm {path}");
    match &file.names {
        // Until 23.0 dockerd parsed it by itself, and strictly.
        Named::Nobody if pids.version < Version::new(23, 0, 0) && !file.text.is_empty() => {
            let what = format!("{path} holds no process id, which dockerd {} does not forgive", pids.version);
            Some(Finding::fail(cause, what).with("path", path).hint(remove))
        }
        Named::Nobody => None,
        Named::Dead(pid) => Some(dead(file, *pid)),
        Named::Process { name, zombie: false, .. } if name == "containerd" && pids.containerd_answers => None,
        Named::Process { pid, name, .. } => {
            // Measured with 26.1.5, which sends it SIGTERM when it gives up.
            let end =
                if *pid == 1 { ", and may then end this whole container" } else { ", and may then end it" };
            let what = format!(
                "{path} names process {pid}, which is {name}: dockerd waits 15 s for it as its containerd{end}"
            );
            Some(about(Finding::fail(cause, what), file, *pid, name).hint(remove))
        }
    }
}

/// A number that nobody has.
fn dead(file: &PidFile, pid: i32) -> Finding {
    let path = file.path.display();
    Finding::pass(format!("{path} is left over: there is no process {pid}, and dockerd overwrites it"))
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

/// Whether the file is proven to mean a process that is gone: the number belongs to another program, which took
/// it after the file was written, or to one that has ended. A file of another pid namespace (a shared /run) is
/// older than nobody here, and stays.
fn is_proven_stale(file: &PidFile, own: &dyn Fn(&str) -> bool) -> bool {
    match &file.names {
        Named::Process { zombie: true, .. } => true,
        Named::Process { name, later, .. } => *later && !own(name),
        Named::Nobody | Named::Dead(_) => false,
    }
}

/// The repair: removes what is proven stale, unless a daemon answers at the socket.
pub(super) fn remove_stale(cx: &Cx<'_>, hands: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let daemon = Daemon::read(cx.host, &cx.options.daemon())?;
    let sockets = super::sockets::read(cx.host, &daemon.settings)?;
    if super::sockets::answers(&sockets) {
        return Ok(());
    }
    let pids = read(cx.host, &daemon)?;
    if let Some(file) =
        pids.docker.as_ref().filter(|file| is_proven_stale(file, &|name| is_daemon(name, cx.options)))
    {
        hands.remove_file(&file.path, file.text.as_bytes())?;
    }
    if let Some(file) =
        pids.containerd.as_ref().filter(|file| is_proven_stale(file, &|name| name == "containerd"))
    {
        hands.remove_file(&file.path, file.text.as_bytes())?;
    }
    Ok(())
}

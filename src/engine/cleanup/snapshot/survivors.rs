//! Processes that outlive a dockerd: its containerd ends with it, the shims of containers do not.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::facts::daemon::Layout;
use crate::facts::process::{self, Process, ProcessId};
use crate::host::SystemReader;

/// How long killed processes may take to be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(3);

/// The processes of a daemon: its descendants, its process group, those whose command line names its containerd's socket
/// or config (shims are orphans), and the descendants of those.
pub fn of_daemon(host: &dyn SystemReader, daemon: ProcessId, layout: &Layout) -> Vec<Process> {
    let all = process::all(host);
    let containerd_dir = format!("{}/", layout.exec_root.join("containerd").display());
    let is_ours = |one: &&Process| {
        let younger = one.id.start >= daemon.start && one.id.pid != daemon.pid;
        younger && (one.group == daemon.pid || names_containerd(&one.command, &containerd_dir))
    };
    let mut found: Vec<Process> = process::descendants(&all, daemon.pid).into_iter().cloned().collect();
    for root in all.iter().filter(is_ours) {
        let below = process::descendants(&all, root.id.pid);
        for one in std::iter::once(root).chain(below) {
            if found.iter().all(|known| known.id != one.id) {
                found.push(one.clone());
            }
        }
    }
    let me = host.identity().pid;
    found.retain(|one| one.id.pid != me && one.id.pid != 1);
    found
}

/// Whether it is a containerd or a shim of this daemon.
fn names_containerd(command: &str, containerd_dir: &str) -> bool {
    let program = command.split(' ').next().map(Path::new).and_then(Path::file_name);
    let is_containerd = program.is_some_and(|name| name.to_string_lossy().starts_with("containerd"));
    is_containerd && command.split(' ').any(|arg| arg.starts_with(containerd_dir))
}

/// Kills those that are still alive, and reaps those that became our children. Returns those that do not end.
pub fn reap_and_kill(host: &dyn SystemReader, processes: &[Process]) -> Vec<Process> {
    let alive = || processes.iter().filter(|one| one.id.is_alive(host));
    let me = host.identity().pid;
    let end = Instant::now() + KILL_TIMEOUT;
    for one in alive() {
        let _ = one.id.signal(host, Signal::SIGKILL);
    }
    while alive().next().is_some() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(2));
    }
    for one in processes {
        // Orphans become children of the container's first process, which we may be.
        if process::find(host, one.id.pid)
            .is_some_and(|now| now.id == one.id && now.zombie && now.parent == me)
        {
            let _ = waitpid(Pid::from_raw(one.id.pid), Some(WaitPidFlag::WNOHANG));
        }
    }
    alive().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::daemon::Layout;
    use crate::host::fake::Fake;

    fn put(host: Fake, pid: i32, parent: i32, group: i32, start: u64, command: &str) -> Fake {
        let stat = format!("{pid} (x) S {parent} {group} 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 {start} 0");
        let cmdline = command.replace(' ', "\0");
        host.file(&format!("/proc/{pid}/stat"), &stat).file(&format!("/proc/{pid}/cmdline"), &cmdline)
    }

    #[test]
    fn shims_are_found_by_the_socket_of_the_daemons_own_containerd() {
        let shim = "/usr/bin/containerd-shim-runc-v2 -address";
        let mut host = Fake::new();
        for (pid, parent, group, start, command) in [
            (10, 1, 10, 500, "dockerd"),
            (11, 10, 11, 510, "containerd --config /var/run/docker/containerd/containerd.toml"),
            (20, 1, 20, 520, &format!("{shim} /var/run/docker/containerd/containerd.sock")),
            (21, 20, 21, 521, "sleep 9"),
            (30, 1, 30, 530, &format!("{shim} /run/containerd/containerd.sock")),
            (31, 1, 31, 540, "vi /var/run/docker/containerd/containerd.toml"),
            (32, 1, 10, 541, "sleep 8"),
        ] {
            host = put(host, pid, parent, group, start, command);
        }
        let daemon = ProcessId { pid: 10, start: 500 };
        let found = of_daemon(&host, daemon, &Layout::read(&host, &[]));
        let pids: Vec<_> = found.iter().map(|one| one.id.pid).collect();
        assert_eq!(pids, [11, 20, 21, 32]);
    }
}

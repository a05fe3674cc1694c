//! The processes of a run: dockerd, and everything that it started.
//!
//! dockerd is started with the run's id in its environment, which its containerd, shims and proxies inherit and nothing
//! else has: `proc_pid_environ(5)` shows it. The processes in containers are the descendants of those.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::facts::process::{self, Process, ProcessId};
use crate::host::{HostResult, SystemReader};

/// The variable in the environment of a run's dockerd; its value is the run's id.
pub const LABEL: &str = "DINDCHECK_RUN";
/// How long killed processes may take to be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(3);
/// How often an ending process is looked at.
const TICK: Duration = Duration::from_millis(5);

/// The processes of a run. An error where /proc cannot be listed.
pub fn of_run(host: &dyn SystemReader, run: &str) -> HostResult<Vec<Process>> {
    let all = process::all(host)?;
    let mut found: Vec<Process> = Vec::new();
    for root in all.iter().filter(|one| is_labelled(host, one, run)) {
        for one in std::iter::once(root).chain(process::descendants(&all, root.id.pid)) {
            if found.iter().all(|known| known.id != one.id) {
                found.push(one.clone());
            }
        }
    }
    let me = host.identity().pid;
    found.retain(|one| one.id.pid != me && one.id.pid != 1);
    Ok(found)
}

/// Whether a process has the run's label in its environment. One whose environment cannot be read has not.
pub fn is_labelled(host: &dyn SystemReader, process: &Process, run: &str) -> bool {
    let environment = host.read(Path::new(&format!("/proc/{}/environ", process.id.pid))).unwrap_or_default();
    let label = format!("{LABEL}={run}");
    environment.split(|byte| *byte == 0).any(|variable| variable == label.as_bytes())
}

/// Stops a process that is not our child: SIGTERM, `timeout`, SIGKILL. Returns whether it has ended.
pub fn stop(host: &dyn SystemReader, process: ProcessId, timeout: Duration) -> bool {
    for (signal, timeout) in [(Signal::SIGTERM, timeout), (Signal::SIGKILL, KILL_TIMEOUT)] {
        if process.signal(host, signal) == Err(Errno::ESRCH) || has_ended(host, process, timeout) {
            return true;
        }
    }
    false
}

/// Whether a process ends within this time.
fn has_ended(host: &dyn SystemReader, process: ProcessId, within: Duration) -> bool {
    let end = Instant::now() + within;
    while process.is_alive(host) {
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(TICK);
    }
    true
}

/// Kills those that are still alive, and reaps those that became our children. Returns those that do not end.
pub fn kill_all(host: &dyn SystemReader, processes: &[Process]) -> Vec<Process> {
    let alive = || processes.iter().filter(|one| one.id.is_alive(host));
    let end = Instant::now() + KILL_TIMEOUT;
    for one in alive() {
        let _ = one.id.signal(host, Signal::SIGKILL);
    }
    while alive().next().is_some() && Instant::now() < end {
        std::thread::sleep(TICK);
    }
    for one in processes {
        reap(host, one);
    }
    alive().cloned().collect()
}

/// Reaps a process that ended. Orphans become children of the container's first process, which we may be.
fn reap(host: &dyn SystemReader, process: &Process) {
    let me = host.identity().pid;
    if process::find(host, process.id.pid)
        .is_some_and(|now| now.id == process.id && now.zombie && now.parent == me)
    {
        let _ = waitpid(Pid::from_raw(process.id.pid), Some(WaitPidFlag::WNOHANG));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    fn put(host: Fake, pid: i32, parent: i32, command: &str, environment: &str) -> Fake {
        let stat = format!("{pid} (x) S {parent} {pid} 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 {pid}0 0");
        host.file(&format!("/proc/{pid}/stat"), &stat)
            .file(&format!("/proc/{pid}/cmdline"), &command.replace(' ', "\0"))
            .file(&format!("/proc/{pid}/environ"), environment)
    }

    #[test]
    fn the_processes_of_a_run_are_known_by_their_environment_and_not_by_their_command_line() {
        let (ours, shim) =
            ("PATH=/\0DINDCHECK_RUN=cafe0123\0", "containerd-shim-runc-v2 -address /run/docker/x");
        let mut host = Fake::new();
        for (pid, parent, command, environment) in [
            (10, 1, "dockerd", ours),
            (11, 10, "containerd --config /var/run/docker/containerd/containerd.toml", ours),
            (20, 1, shim, ours),
            (21, 20, "sleep 9", "PATH=/\0"),
            (30, 1, shim, "PATH=/\0"),
            (31, 1, "dockerd", "DINDCHECK_RUN=cafe01234\0"),
            (32, 1, "sh", "X=DINDCHECK_RUN=cafe0123\0"),
        ] {
            host = put(host, pid, parent, command, environment);
        }
        let found = of_run(&host, "cafe0123").unwrap();
        assert_eq!(found.iter().map(|one| one.id.pid).collect::<Vec<_>>(), [10, 11, 20, 21]);
    }

    #[test]
    fn a_proc_that_cannot_be_listed_is_an_error() {
        let host = Fake::new().dir("/proc").fails("list", "/proc", Errno::EACCES, None);
        assert_eq!(of_run(&host, "cafe0123").unwrap_err().errno(), Errno::EACCES);
    }
}

//! The processes in /proc.
//!
//! A process ID is used again after a while, so a process is identified by its ID and its start time
//! (`proc_pid_stat(5)`, field 22).

use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::host::{HostResult, SystemReader};

/// The identity of a process, which a later process with the same process ID does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The process ID.
    pub pid: i32,
    /// The start time, in clock ticks since the boot.
    pub start: u64,
}

/// A process as /proc shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its identity.
    pub id: ProcessId,
    /// The process ID of its parent.
    pub parent: i32,
    /// The ID of its process group.
    pub group: i32,
    /// It ended, with all its threads, and was not reaped yet.
    pub zombie: bool,
    /// Its command line, joined by spaces.
    pub command: String,
}

impl Process {
    /// Whether its command line begins with a program of this name.
    pub fn is_program(&self, name: &str) -> bool {
        let program = self.command.split(' ').next().map(Path::new);
        program.and_then(Path::file_name).is_some_and(|program| program == name)
    }
}

/// The process with this ID; `None` where it does not exist or cannot be read.
pub fn find(host: &dyn SystemReader, pid: i32) -> Option<Process> {
    let stat = host.read_text(Path::new(&format!("/proc/{pid}/stat"))).ok()?;
    let mut process = parse(pid, &stat)?;
    let command = host.read(Path::new(&format!("/proc/{pid}/cmdline"))).unwrap_or_default();
    let args = command.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    args.collect::<Vec<_>>().join(" ").trim_end().clone_into(&mut process.command);
    Some(process)
}

/// Every process that can be read. An error where /proc cannot be listed.
pub fn all(host: &dyn SystemReader) -> HostResult<Vec<Process>> {
    let names = host.list(Path::new("/proc"))?;
    Ok(names.iter().filter_map(|name| find(host, name.to_str()?.parse().ok()?)).collect())
}

/// The fields of a stat line; the name in brackets may hold anything.
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // Where only the first thread has ended, the others keep sockets and locks open.
    let threads: u32 = fields.get(17)?.parse().ok()?;
    Some(Process {
        id: ProcessId { pid, start: fields.get(19)?.parse().ok()? },
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        zombie: matches!(*fields.first()?, "Z" | "X") && threads <= 1,
        command: String::new(),
    })
}

impl ProcessId {
    /// The identity of the process that has this ID now.
    pub fn of(host: &dyn SystemReader, pid: i32) -> Option<Self> {
        find(host, pid).map(|process| process.id)
    }

    /// Whether the process still runs; a zombie does not.
    pub fn is_alive(self, host: &dyn SystemReader) -> bool {
        find(host, self.pid).is_some_and(|process| process.id == self && !process.zombie)
    }

    /// Sends a signal to the process, through a pidfd, so that it never reaches a later process with the same ID.
    ///
    /// # Errors
    ///
    /// `ESRCH` where it ended, even if another process has its ID now; `EPERM` where it may not be signalled.
    pub fn signal(self, host: &dyn SystemReader, signal: Signal) -> Result<(), Errno> {
        let errno = |error: rustix::io::Errno| Errno::from_raw(error.raw_os_error());
        let pid = rustix::process::Pid::from_raw(self.pid).ok_or(Errno::ESRCH)?;
        let open = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty());
        // The descriptor names whoever has the ID now; the start time says whether that is the process.
        if !self.is_alive(host) {
            return Err(Errno::ESRCH);
        }
        let number = rustix::process::Signal::from_named_raw(signal as i32).ok_or(Errno::EINVAL)?;
        match open {
            Ok(descriptor) => rustix::process::pidfd_send_signal(descriptor, number).map_err(errno),
            // Before Linux 5.3, and under a filter of system calls that does not know it.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid), signal)
            }
            Err(error) => Err(errno(error)),
        }
    }
}

/// The descendants of a process, at any depth.
pub fn descendants(all: &[Process], ancestor: i32) -> Vec<&Process> {
    let mut found: Vec<&Process> = Vec::new();
    let mut fresh = vec![ancestor];
    while let Some(parent) = fresh.pop() {
        for child in all.iter().filter(|process| process.parent == parent && process.id.pid != parent) {
            if found.iter().all(|known| known.id != child.id) {
                found.push(child);
                fresh.push(child.id.pid);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    fn stat(pid: i32, name: &str, state: &str, parent: i32, start: u64) -> String {
        format!("{pid} ({name}) {state} {parent} {pid} 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 {start} 0 0\n")
    }

    fn world() -> Fake {
        Fake::new()
            .file("/proc/7/stat", &stat(7, "a) b (c", "S", 1, 100))
            .file("/proc/7/cmdline", "dockerd\0--debug\0")
            .file("/proc/8/stat", &stat(8, "containerd", "S", 7, 101))
            .file("/proc/9/stat", &stat(9, "shim", "Z", 8, 102))
            .file("/proc/uptime", "1 1")
    }

    #[test]
    fn processes_are_read() {
        let process = find(&world(), 7).unwrap();
        assert_eq!(process.id, ProcessId { pid: 7, start: 100 });
        assert_eq!((process.parent, process.command.as_str()), (1, "dockerd --debug"));
        assert_eq!(all(&world()).unwrap().len(), 3);
    }

    #[test]
    fn process_whose_first_thread_has_ended_is_alive_as_long_as_another_runs() {
        let dying = stat(9, "dockerd", "Z", 8, 102).replace(" 20 0 1 0 ", " 20 0 3 0 ");
        let host = world().file("/proc/9/stat", &dying);
        assert!(ProcessId { pid: 9, start: 102 }.is_alive(&host));
    }

    #[test]
    fn later_process_with_the_same_id_is_another_one() {
        assert!(ProcessId { pid: 7, start: 100 }.is_alive(&world()));
        assert!(!ProcessId { pid: 7, start: 99 }.is_alive(&world()));
        assert!(!ProcessId { pid: 9, start: 102 }.is_alive(&world()), "a zombie is not alive");
        assert!(!ProcessId { pid: 10, start: 1 }.is_alive(&world()));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a process to signal")]
    fn a_signal_reaches_the_process_and_never_a_later_one_with_its_id() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let host = crate::host::live::Live::default();
        let id = ProcessId::of(&host, i32::try_from(child.id()).unwrap()).unwrap();
        let later = ProcessId { start: id.start + 1, ..id };
        assert_eq!(later.signal(&host, Signal::SIGKILL), Err(Errno::ESRCH));
        assert!(id.is_alive(&host));
        id.signal(&host, Signal::SIGKILL).unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()), Some(9));
        assert_eq!(id.signal(&host, Signal::SIGKILL), Err(Errno::ESRCH));
    }

    #[test]
    fn descendants_are_found_at_any_depth() {
        let all = all(&world()).unwrap();
        let pids: Vec<_> = descendants(&all, 7).iter().map(|p| p.id.pid).collect();
        assert_eq!(pids, [8, 9]);
    }
}

//! The processes in /proc.
//!
//! A process ID is used again after a while, so a process is identified by its ID and its start time
//! (`proc_pid_stat(5)`, field 22).

use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::host::SystemReader;

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
    /// It ended and was not reaped yet.
    pub zombie: bool,
    /// Its command line, joined by spaces.
    pub command: String,
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

/// Every process that can be read.
pub fn all(host: &dyn SystemReader) -> Vec<Process> {
    let names = host.list(Path::new("/proc")).unwrap_or_default();
    names.iter().filter_map(|name| find(host, name.parse().ok()?)).collect()
}

/// The fields of a stat line; the name in brackets may hold anything.
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Process {
        id: ProcessId { pid, start: fields.get(19)?.parse().ok()? },
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        zombie: matches!(*fields.first()?, "Z" | "X"),
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

    /// Sends a signal to the process. `ESRCH` where it ended, even if another process has its ID now.
    pub fn signal(self, host: &dyn SystemReader, signal: Signal) -> Result<(), Errno> {
        if !self.is_alive(host) {
            return Err(Errno::ESRCH);
        }
        kill(Pid::from_raw(self.pid), signal)
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
        assert_eq!(all(&world()).len(), 3);
    }

    #[test]
    fn later_process_with_the_same_id_is_another_one() {
        assert!(ProcessId { pid: 7, start: 100 }.is_alive(&world()));
        assert!(!ProcessId { pid: 7, start: 99 }.is_alive(&world()));
        assert!(!ProcessId { pid: 9, start: 102 }.is_alive(&world()), "a zombie is not alive");
        assert!(!ProcessId { pid: 10, start: 1 }.is_alive(&world()));
    }

    #[test]
    fn descendants_are_found_at_any_depth() {
        let all = all(&world());
        let pids: Vec<_> = descendants(&all, 7).iter().map(|p| p.id.pid).collect();
        assert_eq!(pids, [8, 9]);
    }
}

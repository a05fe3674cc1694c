//! Which processes are there, and is one still the one that it was? Read from /proc.
//!
//! A process id comes back after a while, so a process is told by its id and its start time
//! (`proc_pid_stat(5)`, field 22), in clock ticks since the boot.

use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::host::SystemReader;

/// A process that is not mistaken for a later one of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub pid: i32,
    /// When it started.
    pub start: u64,
}

/// What /proc says of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Which.
    pub id: ProcessId,
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Ended, and not yet reaped.
    pub zombie: bool,
    /// Its command line, joined by spaces.
    pub command: String,
}

/// The process of this number, if there is one.
pub fn find(host: &dyn SystemReader, pid: i32) -> Option<Process> {
    let stat = host.read_text(Path::new(&format!("/proc/{pid}/stat"))).ok()?;
    let mut process = parse(pid, &stat)?;
    let command = host.read(Path::new(&format!("/proc/{pid}/cmdline"))).unwrap_or_default();
    let words = command.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    words.collect::<Vec<_>>().join(" ").trim_end().clone_into(&mut process.command);
    Some(process)
}

/// Every process.
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
    /// The process of this number, as it is now.
    pub fn of(host: &dyn SystemReader, pid: i32) -> Option<Self> {
        find(host, pid).map(|process| process.id)
    }

    /// Whether it still runs; a zombie does not.
    pub fn is_alive(self, host: &dyn SystemReader) -> bool {
        find(host, self.pid).is_some_and(|process| process.id == self && !process.zombie)
    }

    /// Sends a signal, if it is still the same process.
    pub fn signal(self, host: &dyn SystemReader, signal: Signal) -> Result<(), Errno> {
        if !self.is_alive(host) {
            return Err(Errno::ESRCH);
        }
        kill(Pid::from_raw(self.pid), signal)
    }
}

/// Everything that descends from a process, at any depth.
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
    fn reads_processes() {
        let process = find(&world(), 7).unwrap();
        assert_eq!(process.id, ProcessId { pid: 7, start: 100 });
        assert_eq!((process.parent, process.command.as_str()), (1, "dockerd --debug"));
        assert_eq!(all(&world()).len(), 3);
    }

    #[test]
    fn a_later_process_of_the_same_number_is_another() {
        assert!(ProcessId { pid: 7, start: 100 }.is_alive(&world()));
        assert!(!ProcessId { pid: 7, start: 99 }.is_alive(&world()));
        assert!(!ProcessId { pid: 9, start: 102 }.is_alive(&world()), "a zombie");
        assert!(!ProcessId { pid: 10, start: 1 }.is_alive(&world()));
    }

    #[test]
    fn descendants_are_found_at_any_depth() {
        let all = all(&world());
        let pids: Vec<_> = descendants(&all, 7).iter().map(|p| p.id.pid).collect();
        assert_eq!(pids, [8, 9]);
    }
}

//! Which processes keep a lock on a file: those that have it open, as a lock lives as long as any of them (flock(2)).

use std::path::Path;

use crate::host::SystemReader;

/// The processes of this pid namespace, but for this one, that have the file open; none where they cannot be read.
pub fn users(host: &dyn SystemReader, path: &Path) -> Vec<i32> {
    let Ok(names) = host.list(Path::new("/proc")) else { return Vec::new() };
    let pids = names.iter().filter_map(|name| name.to_str()?.parse::<i32>().ok());
    pids.filter(|pid| *pid != host.identity().pid && has_open(host, *pid, path)).collect()
}

/// Whether a process has the file open (proc_pid_fd(5)).
fn has_open(host: &dyn SystemReader, pid: i32, path: &Path) -> bool {
    let dir = format!("/proc/{pid}/fd");
    let Ok(descriptors) = host.list(Path::new(&dir)) else { return false };
    descriptors.iter().any(|number| host.read_link(&Path::new(&dir).join(number)).is_ok_and(|to| to == path))
}

/// The command that ends processes and waits until they have ended.
pub fn end(pids: &[i32]) -> String {
    let pids = pids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    format!("kill {pids}; for pid in {pids}; do while kill -0 $pid 2>/dev/null; do sleep 0.1; done; done")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn processes_that_have_the_file_open_are_named() {
        let host = Fake::new()
            .link("/proc/7/fd/3", "/run/xtables.lock")
            .link("/proc/8/fd/3", "/run/xtables.lock")
            .link("/proc/9/fd/0", "/dev/null");
        assert_eq!(users(&host, Path::new("/run/xtables.lock")), [7, 8]);
        assert!(users(&host, Path::new("/run/other")).is_empty());
    }

    #[test]
    fn command_ends_each_and_waits_for_each() {
        assert!(end(&[7, 8]).starts_with("kill 7 8; for pid in 7 8; do while kill -0 $pid"));
    }
}

//! Which process holds a lock on a file, by /proc/locks (proc_locks(5)).

use std::path::Path;

use crate::host::SystemReader;

/// The process with a lock on this file, where the kernel shows one of this pid namespace.
pub fn holder(host: &dyn SystemReader, path: &Path) -> Option<i32> {
    let inode = host.stat(path).ok()?.ino;
    let locks = host.read_text(Path::new("/proc/locks")).ok()?;
    locks.lines().find_map(|line| holder_of(line, inode))
}

/// `1: FLOCK  ADVISORY  WRITE 1234 00:1f:5678 0 EOF`; one that waits has an arrow behind its number, and a process of another
/// pid namespace is 0.
fn holder_of(line: &str, inode: u64) -> Option<i32> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, kind, _, _, pid, file, ..] = fields[..] else { return None };
    let locked: u64 = file.rsplit(':').next()?.parse().ok()?;
    (kind != "->" && locked == inode).then(|| pid.parse().ok()).flatten().filter(|pid| *pid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holder_is_not_one_that_waits() {
        assert_eq!(holder_of("1: FLOCK  ADVISORY  WRITE 1234 00:1f:5678 0 EOF", 5678), Some(1234));
        assert_eq!(holder_of("1: -> FLOCK  ADVISORY  WRITE 99 00:1f:5678 0 EOF", 5678), None);
        assert_eq!(holder_of("1: FLOCK  ADVISORY  WRITE 0 00:1f:5678 0 EOF", 5678), None);
        assert_eq!(holder_of("1: FLOCK  ADVISORY  WRITE 1234 00:1f:9 0 EOF", 5678), None);
    }
}

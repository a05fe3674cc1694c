//! The cgroups of the process in the container, and their limits.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::facts::cgroup::{CGROUP2_MAGIC, ROOT};
use crate::host::SystemReader;

/// Cgroups and limits as the container sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    /// The lines of /proc/self/cgroup.
    pub own: Vec<String>,
    /// The memory limit in bytes; `None` without a limit, or where it cannot be read.
    pub memory: Option<u64>,
    /// The limit of processes and threads.
    pub pids: Option<u64>,
    /// The CPU limit, in percent of one processor.
    pub cpu_percent: Option<u64>,
}

/// v1 writes the largest page-aligned number for `no limit` (mm/memcontrol.c, `PAGE_COUNTER_MAX`).
const NO_LIMIT: u64 = 1 << 62;

/// Reads the cgroups and limits.
pub fn look(host: &dyn SystemReader) -> Cgroup {
    let own = host.read_text(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let own: Vec<String> = own.lines().map(ToOwned::to_owned).collect();
    let line = |path: &str| host.read_line(&Path::new(ROOT).join(path)).ok();
    let number = |path: &str| line(path)?.parse::<u64>().ok().filter(|value| *value < NO_LIMIT);
    let unified = host.statfs(Path::new(ROOT)).is_ok_and(|fs| fs.magic == CGROUP2_MAGIC);
    if unified {
        let cpu = line("cpu.max").and_then(|text| {
            let (quota, period) = text.split_once(' ')?;
            percent(quota.parse().ok()?, period.parse().ok()?)
        });
        return Cgroup { own, memory: number("memory.max"), pids: number("pids.max"), cpu_percent: cpu };
    }
    let quota = line("cpu/cpu.cfs_quota_us").and_then(|text| text.parse::<u64>().ok());
    let period = number("cpu/cpu.cfs_period_us");
    Cgroup {
        own,
        memory: number("memory/memory.limit_in_bytes"),
        pids: number("pids/pids.max"),
        cpu_percent: quota.zip(period).and_then(|(quota, period)| percent(quota, period)),
    }
}

/// A quota in percent of one processor.
fn percent(quota: u64, period: u64) -> Option<u64> {
    quota.checked_mul(100)?.checked_div(period)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::FsInfo;
    use crate::host::fake::Fake;

    #[test]
    fn limits_of_v1_are_read() {
        let host = Fake::new()
            .file("/proc/self/cgroup", "4:memory:/docker/x\n0::/docker/x\n")
            .file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "67108864\n")
            .file("/sys/fs/cgroup/pids/pids.max", "max\n")
            .file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n")
            .file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
        let seen = look(&host);
        assert_eq!((seen.memory, seen.pids, seen.cpu_percent), (Some(67_108_864), None, Some(50)));
        assert_eq!(seen.own.len(), 2);
        let unlimited = Fake::new()
            .file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
            .file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
        assert_eq!(look(&unlimited).memory, None);
        assert_eq!(look(&unlimited).cpu_percent, None);
    }

    #[test]
    fn limits_of_v2_are_read() {
        let fs = FsInfo { magic: CGROUP2_MAGIC, size: 0, free: 0, inodes: 0, inodes_free: 0, flags: 0 };
        let host = Fake::new()
            .filesystem("/sys/fs/cgroup", fs)
            .file("/sys/fs/cgroup/memory.max", "max\n")
            .file("/sys/fs/cgroup/pids.max", "32\n")
            .file("/sys/fs/cgroup/cpu.max", "150000 100000\n");
        let seen = look(&host);
        assert_eq!((seen.memory, seen.pids, seen.cpu_percent), (None, Some(32), Some(150)));
    }
}

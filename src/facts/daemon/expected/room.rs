//! The limits of this container, which its inner containers share: no limit of theirs may be greater.

use std::path::{Path, PathBuf};

use crate::facts::cgroup::{Cgroups, Mode};
use crate::host::SystemReader;

/// What is left for inner containers; `None` where nothing limits it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Memory beyond what processes hold now and the kernel cannot reclaim, in bytes.
    pub memory_left: Option<u64>,
    /// Processes and threads beyond those that run.
    pub pids: Option<u64>,
    /// Percent of one processor, rounded down; at least 1.
    pub cpu_percent: Option<u64>,
}

/// v1 writes the largest page-aligned number for `no limit` (mm/memcontrol.c, `PAGE_COUNTER_MAX`).
const NO_LIMIT: u64 = 1 << 62;

impl Room {
    /// Reads the smallest limits of this process's cgroup and of its visible ancestors. What cannot be read limits nothing.
    pub fn read(host: &dyn SystemReader) -> Self {
        let Ok(cgroups) = Cgroups::read(host) else { return Self::default() };
        let number = |path: &Path| host.read_line(path).ok().and_then(|text| text.parse::<u64>().ok());
        let v1 = matches!(cgroups.mode, Mode::V1 | Mode::Hybrid);
        let smallest = |controller: &str, of: &dyn Fn(&Path) -> Option<u64>| {
            dirs(&cgroups, controller).iter().filter_map(|dir| of(dir)).min()
        };
        let (memory, held) = if v1 { ("memory.limit_in_bytes", "total_rss") } else { ("memory.max", "anon") };
        let memory = |dir: &Path| number(&dir.join(memory)).filter(|limit| *limit < NO_LIMIT);
        Self {
            memory: smallest("memory", &memory),
            memory_left: smallest("memory", &|dir| {
                let stat = host.read_text(&dir.join("memory.stat")).unwrap_or_default();
                let held = stat.lines().find_map(|line| line.strip_prefix(held)?.trim().parse().ok());
                Some(memory(dir)?.saturating_sub(held.unwrap_or_default()))
            }),
            pids: smallest("pids", &|dir| {
                let used = number(&dir.join("pids.current")).unwrap_or_default();
                Some(number(&dir.join("pids.max"))?.saturating_sub(used))
            }),
            cpu_percent: smallest("cpu", &|dir| if v1 { quota_v1(host, dir) } else { quota_v2(host, dir) }),
        }
    }
}

/// The CPU quota of v1: -1 without one.
fn quota_v1(host: &dyn SystemReader, dir: &Path) -> Option<u64> {
    let number = |name: &str| host.read_line(&dir.join(name)).ok()?.parse::<u64>().ok();
    percent(number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?)
}

/// The CPU quota of v2: `QUOTA PERIOD`, or `max PERIOD` without one.
fn quota_v2(host: &dyn SystemReader, dir: &Path) -> Option<u64> {
    let text = host.read_line(&dir.join("cpu.max")).ok()?;
    let (quota, period) = text.split_once(' ')?;
    percent(quota.parse().ok()?, period.parse().ok()?)
}

/// A quota in percent of one processor; none of a part of a percent.
fn percent(quota: u64, period: u64) -> Option<u64> {
    Some(quota.checked_mul(100)?.checked_div(period)?.max(1))
}

/// The directory of this process in the tree that has the controller, and its ancestors as far as they are mounted here.
fn dirs(cgroups: &Cgroups, controller: &str) -> Vec<PathBuf> {
    let Some(hierarchy) = cgroups.hierarchy_of(controller) else {
        let own = cgroups.v2_dir();
        let root = Path::new(crate::facts::cgroup::ROOT);
        return own.ancestors().take_while(|dir| dir.starts_with(root)).map(Path::to_owned).collect();
    };
    let Some(mount) = cgroups.mounts.0.iter().find(|mount| hierarchy.is_shown_by(mount)) else {
        return Vec::new();
    };
    // Without a namespace of its own the mount begins at the container's cgroup.
    let own = mount.target.join(hierarchy.path.strip_prefix(&mount.root).unwrap_or(Path::new("")));
    own.ancestors().take_while(|dir| dir.starts_with(&mount.target)).map(Path::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::FsInfo;
    use crate::host::fake::Fake;

    /// A container in which these controllers of v1 are mounted at their places, at this root.
    fn v1(root: &str, own: &str) -> Fake {
        let mount = |id: u32, name: &str| {
            format!("{id} 1 0:{id} {root} /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{name}\n")
        };
        let names = ["cpu", "memory", "pids"];
        let mounts: String = (30..).zip(names).map(|(id, name)| mount(id, name)).collect();
        let lines: String =
            (3..).zip(names).map(|(id, name): (u32, _)| format!("{id}:{name}:{own}\n")).collect();
        Fake::new()
            .file("/proc/self/mountinfo", &mounts)
            .file("/proc/self/cgroup", &lines)
            .link("/proc/self/ns/cgroup", "cgroup:[4026531835]")
            .dir("/sys/fs/cgroup")
    }

    #[test]
    fn room_is_the_smallest_limit_of_v1_up_to_the_mount() {
        let dir = "/sys/fs/cgroup";
        let host = v1("/docker/x", "/docker/x/deep")
            .file(&format!("{dir}/cpu/deep/cpu.cfs_quota_us"), "-1\n")
            .file(&format!("{dir}/cpu/deep/cpu.cfs_period_us"), "100000\n")
            .file(&format!("{dir}/cpu/cpu.cfs_quota_us"), "33333\n")
            .file(&format!("{dir}/cpu/cpu.cfs_period_us"), "100000\n")
            .file(&format!("{dir}/memory/deep/memory.limit_in_bytes"), "9223372036854771712\n")
            .file(&format!("{dir}/memory/memory.limit_in_bytes"), "67108864\n")
            .file(&format!("{dir}/memory/memory.stat"), "rss 1\ntotal_rss_huge 7\ntotal_rss 1048576\n")
            .file(&format!("{dir}/pids/deep/pids.max"), "max\n")
            .file(&format!("{dir}/pids/pids.max"), "100\n")
            .file(&format!("{dir}/pids/pids.current"), "40\n");
        let room = Room::read(&host);
        let memory_left = Some(63 << 20);
        assert_eq!(room, Room { memory: Some(64 << 20), memory_left, pids: Some(60), cpu_percent: Some(33) });
    }

    #[test]
    fn room_of_v2_is_read_and_max_limits_nothing() {
        let unified = |cpu: &str| {
            let fs = FsInfo { magic: 0x6367_7270, size: 0, free: 0, inodes: 0, inodes_free: 0, flags: 0 };
            Fake::new()
                .file("/proc/self/mountinfo", "30 1 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
                .file("/proc/self/cgroup", "0::/\n")
                .link("/proc/self/ns/cgroup", "cgroup:[4026532000]")
                .filesystem("/sys/fs/cgroup", fs)
                .file("/sys/fs/cgroup/cpu.max", cpu)
                .file("/sys/fs/cgroup/memory.max", "max\n")
        };
        assert_eq!(Room::read(&unified("max 100000\n")), Room::default());
        assert_eq!(Room::read(&unified("10000 100000\n")).cpu_percent, Some(10));
        assert_eq!(Room::read(&unified("500 100000\n")).cpu_percent, Some(1));
    }

    #[test]
    fn unreadable_cgroups_limit_nothing() {
        assert_eq!(Room::read(&Fake::new()), Room::default());
    }
}

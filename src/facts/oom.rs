//! How often the kernel killed a process of this process's own cgroup for memory, and the limit that it kept.
//!
//! dockerd and containerd are in the cgroup of the dindcheck that starts them; inner containers have their own. So the
//! counters are those of this cgroup alone: `memory.events.local` (Documentation/admin-guide/cgroup-v2.rst), and `oom_kill` of
//! `memory.oom_control` (cgroup v1, since Linux 4.13), which counts no descendants either.

use std::path::{Path, PathBuf};

use super::cgroup::{Cgroups, Mode, ROOT};
use crate::host::SystemReader;
use crate::text::mebibytes;

/// A limit below which dockerd, containerd and a container have too little; measured: 28.5 takes 90 MiB.
const SMALL: u64 = 128 << 20;
/// So often does a start with enough memory not reach its limit.
const MANY: u64 = 1000;

/// The counter and the limit at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OomAccount {
    /// Killed processes so far.
    pub kills: u64,
    /// How often the limit was reached so far, with or without a kill.
    pub hits: u64,
    /// The file of the lowest limit that can be seen from here, and the limit in bytes; `None` where none is set: then it is one
    /// of a cgroup further up, or the machine's memory.
    pub limit: Option<(PathBuf, u64)>,
}

impl OomAccount {
    /// Reads them; `None` where the kernel does not count, or the files cannot be read.
    pub fn read(host: &dyn SystemReader) -> Option<Self> {
        let cgroups = Cgroups::read(host).ok()?;
        if cgroups.mode == Mode::V2 { v2(host, &cgroups) } else { v1(host, &cgroups) }
    }

    /// Whether it was so short of memory since an earlier moment that its processes did little but wait for pages: a small limit
    /// that was reached again and again.
    pub fn thrashed_since(&self, before: Option<&Self>) -> bool {
        let hits = self.hits.saturating_sub(before.map_or(self.hits, |before| before.hits));
        hits >= MANY && self.limit.as_ref().is_some_and(|(_, limit)| *limit <= SMALL)
    }

    /// The processes that were killed since an earlier moment.
    pub fn since(&self, before: Option<&Self>) -> u64 {
        self.kills.saturating_sub(before.map_or(self.kills, |before| before.kills))
    }
}

/// The tree of version 2: the limit may be one of any directory up to the root that is mounted here.
fn v2(host: &dyn SystemReader, cgroups: &Cgroups) -> Option<OomAccount> {
    let own = cgroups.v2_path.as_deref()?.strip_prefix("/").ok()?;
    let leaf = if cgroups.sees_host_tree() { cgroups.v2_dir() } else { Path::new(ROOT).join(own) };
    let kills = counter(host, &leaf.join("memory.events.local"), "oom_kill")?;
    let hits = counter(host, &leaf.join("memory.events"), "max").unwrap_or_default();
    let dirs = leaf.ancestors().take_while(|dir| dir.starts_with(ROOT));
    let limits = dirs.filter_map(|dir| number(host, dir.join("memory.max")));
    Some(OomAccount { kills, hits, limit: limits.min_by_key(|(_, limit)| *limit) })
}

/// The hierarchy of version 1. Its `hierarchical_memory_limit` is the lowest limit of all cgroups above, seen or not.
fn v1(host: &dyn SystemReader, cgroups: &Cgroups) -> Option<OomAccount> {
    let hierarchy = cgroups.hierarchy_of("memory")?;
    let mount = cgroups.mounts.0.iter().rev().find(|mount| hierarchy.is_shown_by(mount))?;
    let dir = &mount.target;
    let kills = counter(host, &dir.join("memory.oom_control"), "oom_kill")?;
    let hits = number(host, dir.join("memory.failcnt")).map_or(0, |(_, hits)| hits);
    let own = number(host, dir.join("memory.limit_in_bytes"));
    let stat = dir.join("memory.stat");
    let lowest = counter(host, &stat, "hierarchical_memory_limit");
    let limit = match (own, lowest) {
        (Some(own), Some(lowest)) if lowest < own.1 => Some((stat, lowest)),
        (own, _) => own,
    };
    // Without a limit the kernel shows the largest multiple of a page.
    Some(OomAccount { kills, hits, limit: limit.filter(|(_, limit)| *limit < 1 << 60) })
}

/// What the killed processes had, and what they need: for people.
impl OomAccount {
    /// The limit in words.
    pub fn limit_in_words(&self) -> String {
        match &self.limit {
            Some((file, limit)) => format!("{} is {}", file.display(), mebibytes(*limit)),
            None => "this container has no limit of its own, so it was one further up, or the memory of the machine".to_owned(),
        }
    }
}

/// A line `key value` of a file.
fn counter(host: &dyn SystemReader, path: &Path, key: &str) -> Option<u64> {
    let text = host.read_text(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// A file that is one number; `max` is none.
fn number(host: &dyn SystemReader, path: PathBuf) -> Option<(PathBuf, u64)> {
    let limit = host.read_text(&path).ok()?.trim().parse().ok()?;
    Some((path, limit))
}

#[cfg(test)]
mod tests {
    use super::super::cgroup::CGROUP2_MAGIC;
    use super::*;
    use crate::host::FsInfo;
    use crate::host::fake::Fake;

    fn v1_world(limit: &str, above: &str) -> Fake {
        Fake::new()
            .file(
                "/proc/self/mountinfo",
                "30 1 0:30 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
            )
            .file("/proc/self/cgroup", "5:memory:/\n")
            .file("/proc/cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t5\t1\t1\n")
            .file("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
            .file("/sys/fs/cgroup/memory/memory.limit_in_bytes", limit)
            .file(
                "/sys/fs/cgroup/memory/memory.stat",
                &format!("cache 1\nhierarchical_memory_limit {above}\n"),
            )
    }

    #[test]
    fn limit_of_our_own_or_of_a_cgroup_above_is_found() {
        let account = |limit, above| OomAccount::read(&v1_world(limit, above)).unwrap();
        let own = account("41943040\n", "41943040");
        assert_eq!(own.kills, 3);
        assert_eq!(own.limit, Some(("/sys/fs/cgroup/memory/memory.limit_in_bytes".into(), 41_943_040)));
        let above = account("9223372036854771712\n", "67108864");
        assert_eq!(above.limit, Some(("/sys/fs/cgroup/memory/memory.stat".into(), 67_108_864)));
        assert_eq!(account("9223372036854771712\n", "9223372036854771712").limit, None);
    }

    #[test]
    fn only_later_kills_count() {
        let at = |kills, hits, mib: u64| OomAccount { kills, hits, limit: Some(("/x".into(), mib << 20)) };
        assert_eq!(at(3, 0, 40).since(Some(&at(1, 0, 40))), 2);
        assert_eq!(at(3, 0, 40).since(None), 0);
        assert!(at(0, 9000, 40).thrashed_since(Some(&at(0, 7, 40))));
        assert!(!at(0, 9, 40).thrashed_since(Some(&at(0, 7, 40))));
        assert!(!at(0, 9000, 512).thrashed_since(Some(&at(0, 7, 512))));
        assert!(!at(0, 9000, 40).thrashed_since(None));
    }

    #[test]
    fn leaf_of_the_unified_tree_counts_and_the_lowest_limit_above_it_is_found() {
        let fs = FsInfo { magic: CGROUP2_MAGIC, size: 0, free: 0, inodes: 0, inodes_free: 0, flags: 0 };
        let host = Fake::new()
            .file("/proc/self/mountinfo", "30 1 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n")
            .file("/proc/self/cgroup", "0::/init\n")
            .file("/sys/fs/cgroup/init/memory.events.local", "low 0\noom 2\noom_kill 2\n")
            .file("/sys/fs/cgroup/init/memory.max", "max\n")
            .file("/sys/fs/cgroup/memory.max", "52428800\n")
            .filesystem("/sys/fs/cgroup", fs);
        let account = OomAccount::read(&host).unwrap();
        assert_eq!(account.kills, 2);
        assert_eq!(account.limit, Some(("/sys/fs/cgroup/memory.max".into(), 52_428_800)));
    }
}

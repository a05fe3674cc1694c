//! Cgroups that dockerd leaves: the parent of its containers' cgroups, in every hierarchy.
//!
//! runc creates `docker/<id>` in each mounted hierarchy and removes only the last part. On v2 it also enables controllers
//! for the children of the root.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Restored;
use crate::facts::cgroup::ROOT;
use crate::facts::daemon::Layout;
use crate::facts::mounts::Mounts;
use crate::host::{FileKind, SystemReader, SystemWriter};

/// Cgroups are at most this deep below the parent (a container's init system may create some).
const DEPTH: usize = 6;

/// The parents that were missing, and the controllers that v2 roots had enabled for their children.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parents {
    absent: BTreeSet<PathBuf>,
    enabled: BTreeMap<PathBuf, BTreeSet<String>>,
}

impl Parents {
    /// Takes the snapshot.
    pub(super) fn take(host: &dyn SystemReader, layout: &Layout) -> Self {
        let mut parents = Self::default();
        let name = layout.cgroup_parent.as_deref().unwrap_or("docker");
        // systemd removes its slices itself.
        let first = Path::new(name.trim_start_matches('/')).iter().next();
        let Some(first) = first.filter(|_| Path::new(name).extension().is_none_or(|end| end != "slice"))
        else {
            return parents;
        };
        let mounts = Mounts::read(host).unwrap_or_default();
        for mount in mounts.below(Path::new(ROOT)).filter(|mount| mount.fstype.starts_with("cgroup")) {
            let parent = mount.target.join(first);
            if host.exists(&parent).is_ok_and(|there| !there) {
                parents.absent.insert(parent);
                if mount.fstype == "cgroup2" {
                    parents.enabled.insert(mount.target.clone(), enabled(host, &mount.target));
                }
            }
        }
        parents
    }

    /// Removes the parents that were missing, with the empty cgroups in them, and disables the controllers again.
    pub(super) fn restore(&self, host: &dyn SystemReader, machine: &dyn SystemWriter, done: &mut Restored) {
        let mut gone = Vec::new();
        for parent in self.absent.iter().filter(|parent| host.exists(parent).unwrap_or(false)) {
            match remove(host, machine, parent, DEPTH) {
                Ok(()) => gone.push(parent.display().to_string()),
                Err(error) => done.left.push(format!("cgroup {}: {error}", parent.display())),
            }
        }
        if !gone.is_empty() {
            done.removed.push(format!("cgroups {}", gone.join(" ")));
        }
        for (root, before) in &self.enabled {
            let file = root.join("cgroup.subtree_control");
            for new in enabled(host, root).difference(before) {
                done.note(
                    format!("{new} in {}", file.display()),
                    machine.write(&file, format!("-{new}").as_bytes()),
                );
            }
        }
    }
}

/// The controllers that a v2 cgroup enables for its children.
fn enabled(host: &dyn SystemReader, root: &Path) -> BTreeSet<String> {
    let line = host.read_line(&root.join("cgroup.subtree_control")).unwrap_or_default();
    line.split_whitespace().map(ToOwned::to_owned).collect()
}

/// Removes a cgroup and those in it. The kernel refuses where a process is left in one (`EBUSY`).
fn remove(
    host: &dyn SystemReader,
    machine: &dyn SystemWriter,
    path: &Path,
    depth: usize,
) -> crate::host::HostResult<()> {
    if depth > 0 {
        for name in host.list(path).unwrap_or_default() {
            let child = path.join(name);
            if host.lstat(&child).is_ok_and(|stat| stat.kind == FileKind::Dir) {
                remove(host, machine, &child, depth - 1)?;
            }
        }
    }
    match machine.remove_dir(path) {
        Err(error) if error.is_absent() => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;
    use crate::facts::daemon::Layout;
    use crate::host::fake::Fake;

    const MOUNTS: &str = "30 20 0:30 /x /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                          31 20 0:31 /x /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";

    fn world() -> Fake {
        Fake::new()
            .file("/proc/self/mountinfo", MOUNTS)
            .dir("/sys/fs/cgroup/cpu")
            .dir("/sys/fs/cgroup/pids/docker")
    }

    #[test]
    fn only_a_parent_that_was_missing_is_removed() {
        let host = world();
        let parents = Parents::take(&host, &Layout::read(&host, &[]));
        host.set("/sys/fs/cgroup/cpu/docker/abc/deep/tasks", "");
        let host = host.dir("/sys/fs/cgroup/cpu/docker/abc");
        let mut done = Restored::default();
        parents.restore(&host, &host, &mut done);
        assert_eq!(done.removed, ["cgroups /sys/fs/cgroup/cpu/docker"]);
        assert!(host.exists(Path::new("/sys/fs/cgroup/pids/docker")).unwrap());
    }

    #[test]
    fn a_cgroup_with_a_process_is_left_and_reported() {
        let host = world().fails("remove_dir", "/sys/fs/cgroup/cpu/docker", Errno::EBUSY, None);
        let parents = Parents::take(&host, &Layout::read(&host, &[]));
        let host = host.dir("/sys/fs/cgroup/cpu/docker");
        let mut done = Restored::default();
        parents.restore(&host, &host, &mut done);
        assert!(done.left[0].contains("EBUSY"), "{:?}", done.left);
    }

    #[test]
    fn a_slice_is_left_to_systemd() {
        let args = vec!["--cgroup-parent=system.slice".to_owned()];
        let host = world();
        assert_eq!(Parents::take(&host, &Layout::read(&host, &args)), Parents::default());
    }

    #[test]
    fn a_controller_enabled_on_v2_is_disabled_again() {
        let host = Fake::new()
            .file("/proc/self/mountinfo", "30 20 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n")
            .file("/sys/fs/cgroup/cgroup.subtree_control", "cpu\n");
        let parents = Parents::take(&host, &Layout::read(&host, &[]));
        host.set("/sys/fs/cgroup/cgroup.subtree_control", "cpu memory\n");
        let mut done = Restored::default();
        parents.restore(&host, &host, &mut done);
        assert_eq!(host.changes(), ["write /sys/fs/cgroup/cgroup.subtree_control -memory"]);
    }
}

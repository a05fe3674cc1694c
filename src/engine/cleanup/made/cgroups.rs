//! Cgroups that dockerd leaves: the parent of its containers' cgroups, in every hierarchy.
//!
//! runc creates `docker/<id>` in each mounted hierarchy and removes only the last part. On v2 it also enables controllers
//! for the children of the root.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Node, Removal, Thing, names_in};
use crate::facts::cgroup::ROOT;
use crate::facts::daemon::Layout;
use crate::facts::mounts::Mounts;
use crate::finding::quoted;
use crate::host::{HostError, HostResult, SystemReader, SystemWriter};

/// Cgroups are at most this deep below the parent (a container's init system may create some).
const DEPTH: usize = 6;

/// A controller that a v2 root enables for its children.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Controller {
    pub(super) root: PathBuf,
    pub(super) name: String,
}

/// The parents with what is in them, and the controllers of v2 roots.
pub(super) fn look(host: &dyn SystemReader, layout: &Layout) -> HostResult<Vec<Thing>> {
    let name = layout.cgroup_parent.as_deref().unwrap_or("docker");
    // systemd removes its slices itself.
    let first = Path::new(name.trim_start_matches('/')).iter().next();
    let Some(first) = first.filter(|_| Path::new(name).extension().is_none_or(|end| end != "slice")) else {
        return Ok(Vec::new());
    };
    let mounts = Mounts::read(host)
        .map_err(|_| HostError::new("read", "/proc/self/mountinfo", nix::errno::Errno::EIO))?;
    let mut found = Vec::new();
    for mount in mounts.below(Path::new(ROOT)).filter(|mount| mount.fstype.starts_with("cgroup")) {
        collect(host, &mount.target.join(first), DEPTH, &mut found)?;
        if mount.fstype == "cgroup2" {
            found.extend(enabled(host, &mount.target)?);
        }
    }
    Ok(found)
}

/// A cgroup and those in it.
fn collect(host: &dyn SystemReader, path: &Path, depth: usize, found: &mut Vec<Thing>) -> HostResult<()> {
    let Some(node) = Node::at(host, path)?.filter(|node| node.dir) else { return Ok(()) };
    found.push(Thing::Cgroup(node));
    if depth > 0 {
        for name in names_in(host, path)? {
            collect(host, &path.join(name), depth - 1, found)?;
        }
    }
    Ok(())
}

/// The controllers that a v2 cgroup enables for its children.
fn enabled(host: &dyn SystemReader, root: &Path) -> HostResult<Vec<Thing>> {
    let line = host.read_line(&root.join("cgroup.subtree_control"))?;
    let controller =
        |name: &str| Thing::Controller(Controller { root: root.to_owned(), name: name.to_owned() });
    Ok(line.split_whitespace().map(controller).collect())
}

/// Removes cgroups, the innermost first, and disables controllers. The kernel refuses where a process is left in a cgroup
/// (`EBUSY`).
pub(super) fn remove(ours: &[Thing], machine: &dyn SystemWriter, done: &mut Removal) {
    let (mut gone, mut stays) = (Vec::new(), Vec::new());
    for thing in ours.iter().rev() {
        let Thing::Cgroup(node) = thing else { continue };
        match machine.remove_dir(&node.path) {
            Err(error) if !error.is_absent() => stays.push((&node.path, error)),
            _ => gone.push(&node.path),
        }
    }
    let outermost: Vec<String> = outermost(&gone).iter().map(|path| path.display().to_string()).collect();
    if !outermost.is_empty() {
        done.removed.push(format!("cgroups {}", outermost.join(" ")));
    }
    for (path, error) in stays {
        let command = format!("rmdir {}", quoted(path));
        done.note(format!("cgroup {}", path.display()), &command, Err(error));
    }
    for thing in ours {
        let Thing::Controller(Controller { root, name }) = thing else { continue };
        let file = root.join("cgroup.subtree_control");
        let command = format!("echo -{name} > {}", file.display());
        let result = machine.write(&file, format!("-{name}").as_bytes());
        done.note(format!("{name} in {}", file.display()), &command, result);
    }
}

/// The paths that are not below another one, sorted.
fn outermost<'p>(paths: &[&'p PathBuf]) -> Vec<&'p PathBuf> {
    let is_inside = |path: &PathBuf| paths.iter().any(|above| *above != path && path.starts_with(above));
    let mut outermost: Vec<_> = paths.iter().copied().filter(|path| !is_inside(path)).collect();
    outermost.sort();
    outermost
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;
    use crate::host::fake::Fake;

    const MOUNTS: &str = "30 20 0:30 /x /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                          31 20 0:31 /x /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";

    fn machine() -> Fake {
        Fake::new()
            .file("/proc/self/mountinfo", MOUNTS)
            .dir("/sys/fs/cgroup/cpu/docker/abc/deep")
            .file("/sys/fs/cgroup/cpu/docker/abc/deep/tasks", "")
            .dir("/sys/fs/cgroup/pids/other")
    }

    fn removed(host: &Fake) -> Removal {
        let mut done = Removal::default();
        let mut ours = look(host, &Layout::read(host, &[])).unwrap();
        ours.sort();
        host.set("/sys/fs/cgroup/cpu/docker/abc/deep/tasks", "");
        remove(&ours, host, &mut done);
        done
    }

    #[test]
    fn a_parent_is_removed_with_what_is_in_it() {
        let host = Fake::new().file("/proc/self/mountinfo", MOUNTS).dir("/sys/fs/cgroup/cpu/docker/abc/deep");
        assert_eq!(removed(&host).removed, ["cgroups /sys/fs/cgroup/cpu/docker"]);
    }

    #[test]
    fn a_cgroup_with_a_process_is_left_and_reported() {
        let host = machine().fails("remove_dir", "/sys/fs/cgroup/cpu/docker/abc/deep", Errno::EBUSY, None);
        let done = removed(&host);
        assert!(done.left.iter().any(|left| left.contains("EBUSY")), "{done:?}");
    }

    #[test]
    fn a_slice_is_left_to_systemd() {
        let args = vec!["--cgroup-parent=system.slice".to_owned()];
        assert_eq!(look(&machine(), &Layout::read(&machine(), &args)).unwrap(), []);
    }

    #[test]
    fn a_controller_enabled_on_v2_is_disabled_again() {
        let host = Fake::new()
            .file("/proc/self/mountinfo", "30 20 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n")
            .file("/sys/fs/cgroup/cgroup.subtree_control", "memory\n");
        let mut done = Removal::default();
        remove(&look(&host, &Layout::read(&host, &[])).unwrap(), &host, &mut done);
        assert_eq!(host.changes(), ["write /sys/fs/cgroup/cgroup.subtree_control -memory"]);
    }
}

//! Mounts that dockerd leaves: network namespaces below its exec root, and after SIGKILL the roots of containers below its
//! data root.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Removal, Thing};
use crate::engine::cleanup::paths::real;
use crate::facts::daemon::Layout;
use crate::facts::mounts::{Mount, Mounts};
use crate::host::{HostError, HostResult, SystemReader, SystemWriter};

/// Storage drivers that mount their directory on itself (moby `daemon/graphdriver`, `mount.MakePrivate`).
const DRIVERS: &[&str] = &["overlay2", "overlay", "fuse-overlayfs", "aufs", "btrfs", "zfs", "devicemapper"];

/// A mount: its id, and what is mounted where. An id is used again once the mount is gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MountPoint {
    pub(super) target: PathBuf,
    id: i32,
    device: String,
    root: PathBuf,
}

/// The mounts with names that dockerd gives, in mount order.
pub(super) fn look(host: &dyn SystemReader, layout: &Layout) -> HostResult<Vec<Thing>> {
    let (exec_root, data_root) = (real(host, &layout.exec_root)?, real(host, &layout.data_root)?);
    let is_dockers = |mount: &&Mount| {
        let in_exec_root = mount.target.strip_prefix(&exec_root).is_ok_and(is_in_exec_root);
        in_exec_root || mount.target.strip_prefix(&data_root).is_ok_and(is_in_data_root)
    };
    Ok(read(host)?.0.iter().filter(is_dockers).map(|mount| Thing::Mount(MountPoint::from(mount))).collect())
}

/// A network namespace, or the root of a container that its containerd mounts.
fn is_in_exec_root(path: &Path) -> bool {
    path.starts_with("netns") || path.starts_with("containerd")
}

/// The root of a container, its shared memory, the directory of a storage driver, or an image that is being unpacked.
fn is_in_data_root(path: &Path) -> bool {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    match parts.as_slice() {
        [driver] | [driver, _, "merged"] => DRIVERS.contains(driver),
        ["aufs" | "devicemapper", "mnt", _] | ["zfs", "graph", _] => true,
        ["containers", _, "mounts", _] | ["containers", _, "secrets"] => true,
        ["rootfs", _, _] | ["containerd", "daemon", "tmpmounts", _] => true,
        _ => false,
    }
}

/// Unmounts, the latest first.
pub(super) fn remove(
    ours: &[Thing],
    host: &dyn SystemReader,
    machine: &dyn SystemWriter,
    done: &mut Removal,
) {
    let mut ours: Vec<_> = ours
        .iter()
        .filter_map(|thing| if let Thing::Mount(mount) = thing { Some(mount) } else { None })
        .collect();
    ours.sort_by_key(|mount| std::cmp::Reverse((mount.target.clone(), mount.id)));
    for mount in ours {
        let what = format!("mount on {}", mount.target.display());
        let command = format!("umount {}", crate::finding::quoted(&mount.target));
        let result = mount.may_be_unmounted(host).and_then(|()| machine.unmount(&mount.target));
        done.note(what, &command, result);
    }
}

impl MountPoint {
    /// `EBUSY` where something else is mounted on it or below it, which a lazy umount2(2) would take along.
    fn may_be_unmounted(&self, host: &dyn SystemReader) -> HostResult<()> {
        let mounts = read(host)?;
        let is_topmost = mounts.at(&self.target).is_some_and(|mount| Self::from(mount) == *self);
        let carries = mounts.0.iter().any(|mount| mount.parent == self.id && mount.id != self.id);
        if is_topmost && !carries {
            return Ok(());
        }
        Err(HostError::new("unmount, below another mount,", &self.target, nix::errno::Errno::EBUSY))
    }
}

impl From<&Mount> for MountPoint {
    fn from(mount: &Mount) -> Self {
        let Mount { id, device, root, target, .. } = mount.clone();
        Self { target, id, device, root }
    }
}

fn read(host: &dyn SystemReader) -> HostResult<Mounts> {
    const TABLE: &str = "/proc/self/mountinfo";
    let bytes = host.read(Path::new(TABLE))?;
    Mounts::parse(&bytes).map_err(|_| HostError::new("parse", TABLE, nix::errno::Errno::EPROTO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    const TABLE: &str = "20 1 254:0 / / rw - ext4 /dev/vda rw\n\
        21 20 254:0 /v /var/lib/docker rw - ext4 /dev/vda rw\n\
        22 21 0:5 / /var/lib/docker/overlay2/ab/merged rw - overlay overlay rw\n\
        23 20 0:4 net:[1] /run/docker/netns/x rw - nsfs nsfs rw\n\
        24 21 0:9 / /var/lib/docker/volumes/theirs/_data rw - tmpfs tmpfs rw\n\
        25 20 0:9 / /run/docker/plugins/theirs rw - tmpfs tmpfs rw\n";

    fn machine(table: &str) -> Fake {
        Fake::new().file("/proc/self/mountinfo", table).dir("/run").link("/var/run", "/run")
    }

    fn found(host: &Fake) -> Vec<Thing> {
        look(host, &Layout::read(host, &[])).unwrap()
    }

    fn removed(ours: &[Thing], host: &Fake) -> Removal {
        let mut done = Removal::default();
        remove(ours, host, host, &mut done);
        done
    }

    #[test]
    fn only_mounts_with_names_of_dockerd_are_found_and_never_the_volume_of_the_data_root() {
        let host = machine(TABLE);
        let done = removed(&found(&host), &host);
        assert_eq!(
            done.removed,
            ["mount on /var/lib/docker/overlay2/ab/merged", "mount on /run/docker/netns/x"]
        );
        assert!(done.left.is_empty());
    }

    #[test]
    fn a_mount_that_carries_another_or_lies_below_one_stays() {
        for other in [
            "26 22 0:9 / /var/lib/docker/overlay2/ab/merged/x",
            "26 22 0:9 / /var/lib/docker/overlay2/ab/merged",
        ] {
            let ours: Vec<_> = found(&machine(TABLE)).into_iter().take(1).collect();
            let host = machine(&format!("{TABLE}{other} rw - tmpfs tmpfs rw\n"));
            let done = removed(&ours, &host);
            assert!(done.removed.is_empty() && done.left[0].contains("EBUSY"), "{done:?}");
            assert!(done.left[0].contains("`umount /var/lib/docker/overlay2/ab/merged`"), "{done:?}");
            assert!(host.changes().is_empty());
        }
    }

    #[test]
    fn a_table_that_cannot_be_read_is_an_error() {
        let host = machine(TABLE).fails("read", "/proc/self/mountinfo", nix::errno::Errno::EACCES, None);
        assert!(look(&host, &Layout::read(&host, &[])).is_err());
    }
}

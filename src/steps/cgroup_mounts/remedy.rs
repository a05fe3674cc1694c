//! The commands that mount hierarchies as the repair does, for the hints of findings.

use std::path::{Path, PathBuf};

use super::{REPAIR, root_mount};
use crate::facts::cgroup::{Cgroups, Hierarchy, ROOT};
use crate::finding::quoted;

/// Mounts every missing hierarchy.
pub(super) fn all() -> String {
    format!("{REPAIR} mounts every hierarchy, as cgroupfs-mount does")
}

/// Mounts one hierarchy.
pub(super) fn one(cgroups: &Cgroups, hierarchy: &Hierarchy) -> String {
    format!("`{}{}`", root(cgroups), own_part(cgroups, hierarchy))
}

/// Replaces a mount that shows something else.
pub(super) fn instead(cgroups: &Cgroups, hierarchy: &Hierarchy, target: &Path) -> String {
    format!("`umount {} && {}`", quoted(target), own_part(cgroups, hierarchy))
}

/// A directory to make mount points in.
fn root(cgroups: &Cgroups) -> String {
    match root_mount(cgroups) {
        Some(mount) if mount.fstype == "tmpfs" && mount.is_read_only() => {
            format!("mount -o remount,bind,rw {ROOT} && ")
        }
        Some(mount) if mount.fstype == "tmpfs" => String::new(),
        _ => format!("mount -t tmpfs -o mode=755 cgroup {ROOT} && "),
    }
}

/// The container's own part. A mount shows the root of the hierarchy, which is the container's own only in a cgroup namespace
/// (cgroup_namespaces(7)); elsewhere its directory is bound.
fn own_part(cgroups: &Cgroups, hierarchy: &Hierarchy) -> String {
    let target = Path::new(ROOT).join(hierarchy.dir());
    let (target, option) = (quoted(&target), hierarchy.mount_option());
    if cgroups.private_namespace || hierarchy.path == Path::new("/") {
        return format!("mkdir -p {target} && mount -t cgroup -o {option} cgroup {target}");
    }
    let whole = PathBuf::from(format!("{ROOT}/.whole"));
    let own = whole.join(hierarchy.path.strip_prefix("/").unwrap_or(&hierarchy.path));
    let (whole, own) = (quoted(&whole), quoted(&own));
    format!(
        "mkdir -p {target} {whole} && mount -t cgroup -o {option} cgroup {whole} && mount --bind {own} {target}; \
         umount {whole}; rmdir {whole}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::cgroup::Mode;
    use crate::facts::mounts::Mounts;

    #[test]
    fn only_in_a_namespace_of_its_own_the_hierarchy_is_mounted_as_it_is() {
        let memory =
            Hierarchy { id: 4, controllers: vec!["memory".to_owned()], path: PathBuf::from("/docker/abc") };
        let cgroups = |private_namespace| Cgroups {
            mode: Mode::V1,
            hierarchies: Vec::new(),
            v2_path: None,
            controllers: Vec::new(),
            mounts: Mounts(Vec::new()),
            private_namespace,
        };
        let whole = one(&cgroups(true), &memory);
        assert!(
            whole.starts_with("`mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup && mkdir -p"),
            "{whole}"
        );
        assert!(whole.ends_with("&& mount -t cgroup -o memory cgroup /sys/fs/cgroup/memory`"), "{whole}");
        let part = one(&cgroups(false), &memory);
        assert!(
            part.contains("mount --bind /sys/fs/cgroup/.whole/docker/abc /sys/fs/cgroup/memory"),
            "{part}"
        );
    }
}

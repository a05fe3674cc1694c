//! How are missing hierarchies mounted so that this container sees what a healthy one sees?
//!
//! A v1 hierarchy that is mounted plainly shows the host's root. Docker 1.8 and later bind the container's
//! own sub-directory instead, and so does this: the hierarchy is mounted aside, its own sub-path is bound
//! into place, and the side mount goes. Only hierarchies that exist already are touched: a first mount would
//! create one for the whole host.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use nix::errno::Errno;

use super::v1::mount_of;
use crate::facts::cgroup::{Cgroups, Hierarchy, Mode, ROOT};
use crate::facts::mounts::Mount;
use crate::host::{HostError, MountCall, SystemWriter};
use crate::repair_log::{KERNEL_FS, RepairLog};
use crate::step::Cx;

/// Makes mounts writable and adds those that are missing.
pub(super) fn apply(cx: &Cx<'_>, hands: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let cgroups = Cgroups::read(cx.host)?;
    if cgroups.mode == Mode::V2 {
        // A host's tree that was bound in read-only stays as it is, below our own.
        let foreign = cgroups.private_namespace && cgroups.sees_host_tree();
        return if foreign { mount_v2(&cgroups, hands) } else { writable(&cgroups, hands) };
    }
    if cgroups.hierarchies.is_empty() {
        return mount_v2(&cgroups, hands);
    }
    ground(&cgroups, hands)?;
    // The tmpfs may hide what was mounted below it: look again.
    let cgroups = Cgroups::read(cx.host)?;
    writable(&cgroups, hands)?;
    let absent =
        cgroups.hierarchies.iter().filter(|h| mount_of(&cgroups, h).is_none() && !cgroups.is_unmanaged(h));
    for hierarchy in absent {
        mount_own(hierarchy, &cx.options.run, hands)
            .with_context(|| format!("the {} hierarchy", hierarchy.dir()))?;
        link_each(hierarchy, hands)?;
    }
    Ok(())
}

/// A tmpfs on /sys/fs/cgroup to mount hierarchies in, where there is none that can be written.
fn ground(cgroups: &Cgroups, hands: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let root = Path::new(ROOT);
    match cgroups.mounts.at(root) {
        Some(mount) if mount.fstype == "tmpfs" && !mount.is_super_read_only() => {
            // Made writable only for directories that are needed; a complete one may stay read-only.
            let complete = cgroups.hierarchies.iter().all(|h| mount_of(cgroups, h).is_some());
            if mount.is_read_only() && !complete {
                hands.remount_writable(root, mount.kept_flags()).map_err(told)?;
            }
        }
        _ => hands.mount("tmpfs", "cgroup", root, "mode=755").map_err(told)?,
    }
    Ok(())
}

/// Makes each read-only cgroup mount writable by a bind remount.
fn writable(cgroups: &Cgroups, hands: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let fixable = |mount: &&Mount| {
        mount.fstype.starts_with("cgroup") && mount.is_read_only() && mount.target.starts_with(ROOT)
    };
    for mount in cgroups.mounts.0.iter().filter(fixable) {
        hands.remount_writable(&mount.target, mount.kept_flags()).map_err(told)?;
    }
    Ok(())
}

/// The v2 tree, where the kernel has no v1 hierarchy at all.
fn mount_v2(cgroups: &Cgroups, hands: &mut RepairLog<'_>) -> anyhow::Result<()> {
    ensure!(
        cgroups.private_namespace,
        "this container has no cgroup namespace of its own, so a mount would show the host's whole tree: start \
         the outer container with --cgroupns=private"
    );
    hands.mount("cgroup2", "cgroup", Path::new(ROOT), "").map_err(told)?;
    Ok(())
}

/// Binds the container's own sub-path of a hierarchy into its conventional place.
fn mount_own(hierarchy: &Hierarchy, run: &str, hands: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let side = PathBuf::from(format!("{ROOT}/.dindcheck-{run}"));
    let place = Path::new(ROOT).join(hierarchy.dir());
    let own = hierarchy.path.strip_prefix("/").unwrap_or(&hierarchy.path).to_owned();
    match hands.create_dir(&place) {
        Err(error) if error.errno() != Errno::EEXIST => return Err(told(error)),
        _ => {}
    }
    let machine = hands.scaffold();
    machine.create_dir(&side).map_err(told)?;
    let bound = mount_aside(machine, hierarchy, &side).and_then(|()| {
        let did = format!("bound this container's own part of {} to {}", hierarchy.dir(), place.display());
        let bound = hands.bind(&side.join(own), &place, did);
        bound.and(machine.unmount(&side))
    });
    let removed = machine.remove_dir(&side);
    bound.and(removed).map_err(told)
}

/// Mounts the whole hierarchy for a moment.
fn mount_aside(machine: &dyn SystemWriter, hierarchy: &Hierarchy, side: &Path) -> Result<(), HostError> {
    machine.mount(&MountCall {
        source: Some("cgroup".to_owned()),
        target: side.to_owned(),
        fstype: Some("cgroup".to_owned()),
        flags: KERNEL_FS.bits(),
        data: Some(hierarchy.mount_option()),
    })
}

/// `cpu` and `cpuacct` as links to `cpu,cpuacct`: programs look for both.
fn link_each(hierarchy: &Hierarchy, hands: &mut RepairLog<'_>) -> anyhow::Result<()> {
    if hierarchy.controllers.len() < 2 {
        return Ok(());
    }
    for controller in &hierarchy.controllers {
        match hands.symlink(Path::new(&hierarchy.dir()), &Path::new(ROOT).join(controller)) {
            Err(error) if error.errno() != Errno::EEXIST => return Err(told(error)),
            _ => {}
        }
    }
    Ok(())
}

/// What the kernel's answer means here.
fn told(error: HostError) -> anyhow::Error {
    let meaning = match error.errno() {
        Errno::EPERM | Errno::EACCES => "mounting is refused: start the outer container with --privileged",
        Errno::EBUSY => "the hierarchy is in use with other options or another grouping of its controllers",
        Errno::EROFS => "the file system below is read-only as a whole, which only its owner can change",
        Errno::ENODEV => "this kernel has no such cgroup file system",
        Errno::EINVAL => "this kernel cannot mount that controller, whatever /proc/cgroups says",
        Errno::ENOENT => "the place, or this container's own cgroup, does not exist",
        _ => return error.into(),
    };
    anyhow::Error::new(error).context(meaning)
}

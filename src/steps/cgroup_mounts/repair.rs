//! Mounts missing hierarchies as a healthy container has them.
//!
//! A plain mount of a v1 hierarchy shows the host's root. Docker 1.8 and later bind-mount the container's own subdirectory
//! instead, and so does this: it mounts the hierarchy in another directory, binds the subdirectory to its target, and
//! removes the first mount. Only hierarchies that exist already are mounted: a first mount would create one for the whole
//! host.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use nix::errno::Errno;

use super::v1::mount_of;
use crate::facts::cgroup::{Cgroups, Hierarchy, Mode, ROOT};
use crate::facts::mounts::Mount;
use crate::host::{HostError, MountCall, SystemWriter};
use crate::repair_log::{KERNEL_FS, RepairLog};
use crate::step::Cx;

/// Makes mounts writable and adds the missing ones.
pub(super) fn apply(cx: &Cx<'_>, log: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let cgroups = Cgroups::read(cx.host)?;
    if cgroups.mode == Mode::V2 {
        // A read-only bind mount of the host's tree stays as it is, below the new mount.
        let foreign = cgroups.private_namespace && cgroups.sees_host_tree();
        return if foreign { mount_v2(&cgroups, log) } else { writable(&cgroups, log) };
    }
    if cgroups.hierarchies.is_empty() {
        return mount_v2(&cgroups, log);
    }
    root_tmpfs(&cgroups, log)?;
    // The tmpfs may hide mounts below it: read them again.
    let cgroups = Cgroups::read(cx.host)?;
    writable(&cgroups, log)?;
    let absent =
        cgroups.hierarchies.iter().filter(|h| mount_of(&cgroups, h).is_none() && !cgroups.is_unmanaged(h));
    for hierarchy in absent {
        mount_own(hierarchy, &cx.options.run, log)
            .with_context(|| format!("the {} hierarchy", hierarchy.dir()))?;
        link_each(hierarchy, log)?;
    }
    Ok(())
}

/// Mounts a tmpfs on /sys/fs/cgroup unless there is a writable one.
fn root_tmpfs(cgroups: &Cgroups, log: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let root = Path::new(ROOT);
    match cgroups.mounts.at(root) {
        Some(mount) if mount.fstype == "tmpfs" && !mount.is_super_read_only() => {
            // It is made writable only if a directory is missing.
            let complete = cgroups.hierarchies.iter().all(|h| mount_of(cgroups, h).is_some());
            if mount.is_read_only() && !complete {
                log.remount_writable(root, mount.kept_flags()).map_err(explained)?;
            }
        }
        _ => log.mount("tmpfs", "cgroup", root, "mode=755").map_err(explained)?,
    }
    Ok(())
}

/// Makes each read-only cgroup mount writable by a bind remount.
fn writable(cgroups: &Cgroups, log: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let fixable = |mount: &&Mount| {
        mount.fstype.starts_with("cgroup") && mount.is_read_only() && mount.target.starts_with(ROOT)
    };
    for mount in cgroups.mounts.0.iter().filter(fixable) {
        log.remount_writable(&mount.target, mount.kept_flags()).map_err(explained)?;
    }
    Ok(())
}

/// The v2 tree, where the kernel has no v1 hierarchy at all.
fn mount_v2(cgroups: &Cgroups, log: &mut RepairLog<'_>) -> anyhow::Result<()> {
    ensure!(
        cgroups.private_namespace,
        "this container has no cgroup namespace of its own, so a mount would show the host's whole tree: start \
         the outer container with --cgroupns=private"
    );
    log.mount("cgroup2", "cgroup", Path::new(ROOT), "").map_err(explained)?;
    Ok(())
}

/// Binds the container's own part of a hierarchy to its conventional path.
fn mount_own(hierarchy: &Hierarchy, run: &str, log: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let side = PathBuf::from(format!("{ROOT}/.dindcheck-{run}"));
    let target = Path::new(ROOT).join(hierarchy.dir());
    let own = hierarchy.path.strip_prefix("/").unwrap_or(&hierarchy.path).to_owned();
    match log.create_dir(&target) {
        Err(error) if error.errno() != Errno::EEXIST => return Err(explained(error)),
        _ => {}
    }
    let machine = log.scaffold();
    machine.create_dir(&side).map_err(explained)?;
    let bound = mount_aside(machine, hierarchy, &side).and_then(|()| {
        let did = format!("bound this container's own part of {} to {}", hierarchy.dir(), target.display());
        let bound = log.bind(&side.join(own), &target, did);
        bound.and(machine.unmount(&side))
    });
    let removed = machine.remove_dir(&side);
    bound.and(removed).map_err(explained)
}

/// Mounts the whole hierarchy for a moment in another directory.
fn mount_aside(machine: &dyn SystemWriter, hierarchy: &Hierarchy, side: &Path) -> Result<(), HostError> {
    machine.mount(&MountCall {
        source: Some("cgroup".to_owned()),
        target: side.to_owned(),
        fstype: Some("cgroup".to_owned()),
        flags: KERNEL_FS.bits(),
        data: Some(hierarchy.mount_option()),
    })
}

/// `cpu` and `cpuacct` as links to `cpu,cpuacct`: programs look for either name.
fn link_each(hierarchy: &Hierarchy, log: &mut RepairLog<'_>) -> anyhow::Result<()> {
    if hierarchy.controllers.len() < 2 {
        return Ok(());
    }
    for controller in &hierarchy.controllers {
        match log.symlink(Path::new(&hierarchy.dir()), &Path::new(ROOT).join(controller)) {
            Err(error) if error.errno() != Errno::EEXIST => return Err(explained(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Adds what the error of the kernel means here.
fn explained(error: HostError) -> anyhow::Error {
    let meaning = match error.errno() {
        Errno::EPERM | Errno::EACCES => {
            "the kernel refuses the mount: start the outer container with --privileged"
        }
        Errno::EBUSY => "the hierarchy is in use with other options or another grouping of its controllers",
        Errno::EROFS => "the whole file system is read-only, which only the outer engine can change",
        Errno::ENODEV => "this kernel has no such cgroup file system",
        Errno::EINVAL => "this kernel cannot mount that controller, whatever /proc/cgroups says",
        Errno::ENOENT => "the mount point, or this container's own cgroup, does not exist",
        _ => return error.into(),
    };
    anyhow::Error::new(error).context(meaning)
}

//! Makes mounts writable and creates device nodes, for this container alone.

use std::path::Path;

use anyhow::Context;
use nix::mount::MsFlags;

use super::devices::{NODES, State, state};
use super::{PROC_SYS, SECURITYFS, lacks_securityfs};
use crate::facts::mounts::{Mount, Mounts};
use crate::facts::programs::{Place, find, path_dirs};
use crate::finding::{Undo, quoted};
use crate::host::{HostResult, MountCall};
use crate::repair_log::RepairLog;
use crate::step::Cx;

pub(super) fn apply(cx: &Cx<'_>, log: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let mounts = Mounts::read(cx.host)?;
    if let Some(mount) = mounts.holding(Path::new(PROC_SYS)).filter(|mount| mount.is_read_only()) {
        log.remount_writable(&mount.target, mount.kept_flags()).context("make /proc/sys writable")?;
    }
    if let Some(mount) =
        mounts.holding(Path::new("/dev/null")).filter(|mount| mount.options.contains("nodev"))
    {
        allow_devices(mount, log).context("allow device nodes below /dev")?;
    }
    for node in NODES {
        if state(cx.host, node)? == State::Absent {
            log.make_char_device(Path::new(node.path), node.mode, node.major, node.minor)?;
        }
    }
    // Without apparmor_parser dockerd must not see AppArmor: it would refuse every container.
    let parser = find(cx.host, "apparmor_parser", &path_dirs(cx.host))?;
    if matches!(parser, Place::At(_)) && lacks_securityfs(cx.host, &mounts)? {
        log.mount("securityfs", "none", Path::new(SECURITYFS), "")?;
    }
    Ok(())
}

/// A bind remount with every flag of the mount but `nodev`.
fn allow_devices(mount: &Mount, log: &mut RepairLog<'_>) -> HostResult<()> {
    let read_only = if mount.is_read_only() { MsFlags::MS_RDONLY } else { MsFlags::empty() };
    let flags = (mount.kept_flags() | read_only.bits()) & !MsFlags::MS_NODEV.bits();
    log.scaffold().mount(&MountCall {
        source: None,
        target: mount.target.clone(),
        fstype: None,
        flags: (MsFlags::MS_REMOUNT | MsFlags::MS_BIND).bits() | flags,
        data: None,
    })?;
    let target = mount.target.display();
    log.note(
        format!("allowed device nodes below {target}"),
        Undo::Manual(format!("mount -o remount,bind,nodev {}", quoted(&mount.target))),
    );
    Ok(())
}

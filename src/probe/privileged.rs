//! Does a privileged container have what the word promises? Every capability that the daemon holds, no system-call
//! filter, the host's devices, a mount of its own.
#![expect(clippy::disallowed_methods, reason = "inside the container that is looked at, there is no door")]

use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde::{Deserialize, Serialize};

use crate::host::{HostError, SystemReader};

/// Where a mount is tried: it is there in every container.
const TARGET: &str = "/dev/shm";

/// What it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privileged {
    /// Why a mount is refused.
    pub mount: Option<HostError>,
    /// How many entries /dev has: a plain container has about fifteen.
    pub devices: usize,
    /// /sys is mounted for writing.
    pub sys_writable: bool,
}

/// Looks, and mounts.
pub fn try_out(host: &dyn SystemReader) -> Privileged {
    let target = Path::new(TARGET);
    let mounted = mount(Some("none"), target, Some("tmpfs"), MsFlags::empty(), None::<&str>);
    if mounted.is_ok() {
        let _ = umount2(target, MntFlags::MNT_DETACH);
    }
    let mounts = crate::facts::mounts::Mounts::read(host).unwrap_or_default();
    Privileged {
        mount: mounted.err().map(|errno| HostError::new("mount a tmpfs on", target, errno)),
        devices: host.list(Path::new("/dev")).map_or(0, |names| names.len()),
        sys_writable: mounts.at(Path::new("/sys")).is_some_and(|mount| !mount.is_read_only()),
    }
}

//! Uses what a privileged container has: mounts a file system, counts devices, and checks that /sys is writable.
#![expect(clippy::disallowed_methods, reason = "the probe runs inside the container and changes only that")]

use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde::{Deserialize, Serialize};

use crate::host::{HostError, SystemReader};

/// The mount point of the attempt, which exists in every container.
const TARGET: &str = "/dev/shm";

/// The results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privileged {
    /// The error of the mount; `None` where it succeeded.
    pub mount: Option<HostError>,
    /// The number of entries in /dev; a plain container has about fifteen.
    pub devices: usize,
    /// Whether /sys is mounted read-write.
    pub sys_writable: bool,
}

/// Mounts a tmpfs, unmounts it, and reads the rest.
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

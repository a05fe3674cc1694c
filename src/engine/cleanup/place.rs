//! The boot and the namespaces to which the identities in a record belong.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::facts::process;
use crate::host::{HostError, HostResult, SystemReader};

/// A boot of the kernel, and namespaces in it. The number of a namespace is used again once it is gone, so the start time
/// of the first process of the process namespace belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// `/proc/sys/kernel/random/boot_id` (random(4)).
    boot: String,
    /// The process namespace: the target of `/proc/self/ns/pid` (namespaces(7)).
    processes: String,
    /// The start time of its first process, in clock ticks since the boot.
    first: u64,
    /// The mount namespace.
    mounts: String,
    /// The network namespace.
    network: String,
}

impl Place {
    /// Where this process is.
    ///
    /// # Errors
    ///
    /// Where one of the files in /proc cannot be read: then nothing can be compared with this place.
    pub fn here(host: &dyn SystemReader) -> HostResult<Self> {
        let namespace = |name: &str| {
            let link = host.read_link(Path::new(&format!("/proc/self/ns/{name}")))?;
            Ok(link.display().to_string())
        };
        let first = process::find(host, 1);
        let first = first.ok_or_else(|| HostError::new("read", "/proc/1/stat", nix::errno::Errno::ENOENT))?;
        Ok(Self {
            boot: host.read_line(Path::new("/proc/sys/kernel/random/boot_id"))?,
            processes: namespace("pid")?,
            first: first.id.start,
            mounts: namespace("mnt")?,
            network: namespace("net")?,
        })
    }

    /// Whether process IDs and start times mean the same in both.
    pub fn has_processes_of(&self, other: &Self) -> bool {
        self.boot == other.boot && self.processes == other.processes && self.first == other.first
    }

    /// Whether both see the same mounts.
    pub fn has_mounts_of(&self, other: &Self) -> bool {
        self.has_processes_of(other) && self.mounts == other.mounts
    }

    /// Whether both have the same interfaces and firewall rules.
    pub fn has_network_of(&self, other: &Self) -> bool {
        self.has_processes_of(other) && self.network == other.network
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::host::fake::Fake;

    /// A machine with what a place is read from.
    pub(crate) fn machine() -> Fake {
        Fake::new()
            .file("/proc/sys/kernel/random/boot_id", "b-1\n")
            .file("/proc/1/stat", "1 (init) S 0 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 77 0")
            .link("/proc/self/ns/pid", "pid:[1]")
            .link("/proc/self/ns/mnt", "mnt:[2]")
            .link("/proc/self/ns/net", "net:[3]")
    }

    #[test]
    fn a_restart_of_the_container_is_another_place_although_its_namespaces_have_the_same_numbers() {
        let (before, host) = (Place::here(&machine()).unwrap(), machine());
        assert!(before.has_mounts_of(&before) && before.has_network_of(&before));
        host.set("/proc/1/stat", "1 (init) S 0 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 78 0");
        let after = Place::here(&host).unwrap();
        assert!(!before.has_processes_of(&after) && !before.has_mounts_of(&after));
        assert!(!before.has_network_of(&after));
    }

    #[test]
    fn a_place_that_cannot_be_read_is_an_error() {
        let host =
            machine().fails("read", "/proc/sys/kernel/random/boot_id", nix::errno::Errno::EACCES, None);
        assert_eq!(Place::here(&host).unwrap_err().errno(), nix::errno::Errno::EACCES);
    }
}

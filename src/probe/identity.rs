//! The ids, namespaces, capabilities and seccomp mode of the process in the container.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::host::SystemReader;

/// The ids and privileges of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The process ID in its pid namespace.
    pub pid: i32,
    /// The effective user ID.
    pub uid: u32,
    /// The host name.
    pub hostname: String,
    /// The release of the kernel.
    pub kernel: String,
    /// The namespaces: `mnt` to `mnt:[4026532565]`.
    pub namespaces: BTreeMap<String, String>,
    /// The effective capabilities, as a hexadecimal mask.
    pub capabilities: String,
    /// The bounding set, as a hexadecimal mask.
    pub bounding: String,
    /// The seccomp mode: 0 none, 1 strict, 2 filter.
    pub seccomp: String,
    /// The `no_new_privs` bit: 0 or 1.
    pub no_new_privileges: String,
}

/// Reads them from /proc; what cannot be read is empty.
pub fn look(host: &dyn SystemReader) -> Identity {
    let me = host.identity();
    let status = host.read_text(Path::new("/proc/self/status")).unwrap_or_default();
    let field = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_default().trim().to_owned()
    };
    let line = |path: &str| host.read_line(Path::new(path)).unwrap_or_default();
    let dir = Path::new("/proc/self/ns");
    let names = host.list(dir).unwrap_or_default();
    let namespaces = names.into_iter().filter_map(|name| {
        let target = host.read_link(&dir.join(&name)).ok()?;
        Some((name.to_string_lossy().into_owned(), target.display().to_string()))
    });
    Identity {
        pid: me.pid,
        uid: me.euid,
        hostname: line("/proc/sys/kernel/hostname"),
        kernel: line("/proc/sys/kernel/osrelease"),
        namespaces: namespaces.collect(),
        capabilities: field("CapEff"),
        bounding: field("CapBnd"),
        seccomp: field("Seccomp"),
        no_new_privileges: field("NoNewPrivs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn status_field_is_found_by_its_whole_name() {
        let host = Fake::new()
            .file("/proc/self/status", "CapEff:\t00000000a80425fb\nSeccomp_filters:\t1\nSeccomp:\t2\n")
            .link("/proc/self/ns/mnt", "mnt:[1]");
        let identity = look(&host);
        assert_eq!(identity.capabilities, "00000000a80425fb");
        assert_eq!(identity.seccomp, "2");
        assert_eq!(identity.namespaces["mnt"], "mnt:[1]");
    }
}

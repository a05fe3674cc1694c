//! Who is the process in the container? Ids, namespaces, capabilities, seccomp.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::host::SystemReader;

/// Who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its process id in its own namespace.
    pub pid: i32,
    /// Its effective user.
    pub uid: u32,
    /// Its host name.
    pub hostname: String,
    /// The kernel's release.
    pub kernel: String,
    /// Its namespaces: `mnt` to `mnt:[4026532565]`.
    pub namespaces: BTreeMap<String, String>,
    /// Effective capabilities, as the kernel's mask.
    pub capabilities: String,
    /// Bounding capabilities.
    pub bounding: String,
    /// Seccomp: 0 none, 1 strict, 2 filter.
    pub seccomp: String,
    /// The `no_new_privs` bit.
    pub no_new_privileges: String,
}

/// Looks.
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
        Some((name, target.display().to_string()))
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
    fn fields_of_status_are_found_by_their_whole_name() {
        let host = Fake::new()
            .file("/proc/self/status", "CapEff:\t00000000a80425fb\nSeccomp_filters:\t1\nSeccomp:\t2\n")
            .link("/proc/self/ns/mnt", "mnt:[1]");
        let identity = look(&host);
        assert_eq!(identity.capabilities, "00000000a80425fb");
        assert_eq!(identity.seccomp, "2");
        assert_eq!(identity.namespaces["mnt"], "mnt:[1]");
    }
}

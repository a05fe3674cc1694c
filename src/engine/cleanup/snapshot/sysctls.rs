//! Sysctls that dockerd sets: forwarding, in its own network namespace.
//!
//! It also raises the host's key quota (`kernel.keys.root_maxkeys`), as every other daemon on the host does, which may rely
//! on it by now: that stays.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Restored;
use crate::host::{SystemReader, SystemWriter};

/// moby `libnetwork/drivers/bridge/setup_ip_forwarding.go` and `setup_ipv6_forwarding.go`.
const FILES: &[&str] = &[
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv6/conf/default/forwarding",
    "/proc/sys/net/ipv6/conf/all/forwarding",
];

/// Their values before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sysctls(BTreeMap<PathBuf, String>);

impl Sysctls {
    /// Takes the snapshot.
    pub(super) fn take(host: &dyn SystemReader) -> Self {
        let values = FILES
            .iter()
            .map(PathBuf::from)
            .filter_map(|file| Some((file.clone(), host.read_line(&file).ok()?)));
        Self(values.collect())
    }

    /// Resets those that changed.
    pub(super) fn restore(&self, host: &dyn SystemReader, machine: &dyn SystemWriter, done: &mut Restored) {
        for (file, before) in &self.0 {
            if host.read_line(file).is_ok_and(|now| now != *before) {
                done.note(
                    format!("{} is {before} again", file.display()),
                    machine.write(file, before.as_bytes()),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn only_a_sysctl_that_changed_is_reset() {
        let host = Fake::new().file(FILES[0], "0\n").file(FILES[1], "0\n");
        let sysctls = Sysctls::take(&host);
        host.set(FILES[0], "1\n");
        let mut done = Restored::default();
        sysctls.restore(&host, &host, &mut done);
        assert_eq!(host.changes(), [format!("write {} 0", FILES[0])]);
    }
}

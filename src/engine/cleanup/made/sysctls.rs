//! Kernel parameters that dockerd sets: forwarding, in its own network namespace.
//!
//! It also raises the host's key quota (`kernel.keys.root_maxkeys`), as every other daemon on the host does, which may rely
//! on it by now: that stays.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Removal, Thing};
use crate::host::{HostResult, SystemReader, SystemWriter};

/// moby `libnetwork/drivers/bridge/setup_ip_forwarding.go` and `setup_ipv6_forwarding.go`.
const FILES: &[&str] = &[
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv6/conf/default/forwarding",
    "/proc/sys/net/ipv6/conf/all/forwarding",
];

/// A kernel parameter and its value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sysctl {
    pub(super) file: PathBuf,
    pub(super) value: String,
}

/// The parameters that exist, with their values.
pub(super) fn look(host: &dyn SystemReader) -> HostResult<Vec<Thing>> {
    let mut found = Vec::new();
    for file in FILES {
        match host.read_line(Path::new(file)) {
            Ok(value) => found.push(Thing::Sysctl(Sysctl { file: file.into(), value })),
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Resets those that have the value that dockerd set.
pub(super) fn remove(
    ours: &[Thing],
    before: &BTreeSet<Thing>,
    machine: &dyn SystemWriter,
    done: &mut Removal,
) {
    let values = |things: &BTreeSet<Thing>, file: &Path| {
        things.iter().find_map(|thing| match thing {
            Thing::Sysctl(sysctl) if sysctl.file == file => Some(sysctl.value.clone()),
            _ => None,
        })
    };
    for thing in ours {
        let Thing::Sysctl(sysctl) = thing else { continue };
        let Some(value) = values(before, &sysctl.file) else { continue };
        let file = sysctl.file.display();
        let command = format!("echo {value} > {file}");
        done.note(
            format!("{file} is {value} again"),
            &command,
            machine.write(&sysctl.file, value.as_bytes()),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn a_parameter_that_dockerd_set_gets_its_old_value() {
        let host = Fake::new().file(FILES[0], "0\n").file(FILES[1], "0\n");
        let before = look(&host).unwrap().into_iter().collect();
        host.set(FILES[0], "1\n");
        let ours: Vec<Thing> =
            look(&host).unwrap().into_iter().filter(|thing| thing.to_string().ends_with('1')).collect();
        let mut done = Removal::default();
        remove(&ours, &before, &host, &mut done);
        assert_eq!(host.changes(), [format!("write {} 0", FILES[0])]);
        assert_eq!(done.removed, ["/proc/sys/net/ipv4/ip_forward is 0 again"]);
    }

    #[test]
    fn a_parameter_that_cannot_be_read_is_an_error() {
        let host = Fake::new().file(FILES[0], "0\n").fails("read", FILES[0], nix::errno::Errno::EACCES, None);
        assert!(look(&host).is_err());
        assert_eq!(look(&Fake::new()).unwrap(), []);
    }
}

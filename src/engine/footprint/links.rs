//! Which network interfaces does dockerd leave? Its bridge, and after SIGKILL the ends of containers on it.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Restored, netlink};
use crate::host::Host;

/// Where the kernel lists them.
const DIR: &str = "/sys/class/net";
/// The bridge that dockerd makes (moby `libnetwork/drivers/bridge/bridge_linux.go`, `DefaultBridgeName`).
const BRIDGE: &str = "docker0";

/// The interfaces that were there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Links(BTreeSet<String>);

impl Links {
    /// Looks.
    pub(super) fn take(host: &dyn Host) -> Self {
        Self(names(host))
    }

    /// Removes dockerd's own that came to be.
    pub(super) fn restore(&self, host: &dyn Host, done: &mut Restored) {
        for name in self.ours(host) {
            done.note(format!("interface {name}"), netlink::delete_link(&name));
        }
    }

    /// Those that are new and dockerd's: its bridge, and what is enslaved to it (first, since it would stay).
    fn ours(&self, host: &dyn Host) -> Vec<String> {
        let now = names(host);
        let is_new = |name: &&String| !self.0.contains(*name);
        if !now.contains(BRIDGE) || self.0.contains(BRIDGE) {
            return Vec::new();
        }
        let on_bridge = |name: &&String| {
            let master = host.read_link(&Path::new(DIR).join(name).join("master"));
            master.is_ok_and(|master| master.file_name().is_some_and(|master| master == BRIDGE))
        };
        let mut ours: Vec<String> = now.iter().filter(is_new).filter(on_bridge).cloned().collect();
        ours.push(BRIDGE.to_owned());
        ours
    }
}

/// The names of all interfaces.
fn names(host: &dyn Host) -> BTreeSet<String> {
    host.list(Path::new(DIR)).unwrap_or_default().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn the_bridge_and_its_ports_are_ours_where_they_are_new() {
        let host = Fake::new().dir("/sys/class/net/eth0");
        let links = Links::take(&host);
        let host = host
            .dir("/sys/class/net/docker0")
            .link("/sys/class/net/veth1/master", "../docker0")
            .link("/sys/class/net/veth2/master", "../br-theirs")
            .dir("/sys/class/net/tun0");
        assert_eq!(links.ours(&host), ["veth1", "docker0"]);
    }

    #[test]
    fn a_bridge_that_was_there_stays_with_its_ports() {
        let host = Fake::new().dir("/sys/class/net/docker0");
        let links = Links::take(&host);
        let host = host.link("/sys/class/net/veth1/master", "../docker0");
        assert!(links.ours(&host).is_empty());
    }
}

//! Network interfaces that dockerd leaves: its bridge, and after SIGKILL the ends of containers on it.
//!
//! A network that is being created is in no daemon's store yet: our own bridge is known by its name.

use std::collections::BTreeSet;
use std::path::Path;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::Restored;
use crate::engine::cleanup::objects;
use crate::host::{HostError, HostResult, SystemReader, SystemWriter};

/// The kernel's list of interfaces.
const DIR: &str = "/sys/class/net";
/// dockerd's default bridge (moby `libnetwork/drivers/bridge/bridge_linux.go`, `DefaultBridgeName`).
const BRIDGE: &str = "docker0";

/// The interfaces before, and the name of our network's bridge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Links {
    before: BTreeSet<String>,
    own: String,
}

impl Links {
    /// Takes the snapshot.
    pub(super) fn take(host: &dyn SystemReader, run: &str) -> Self {
        Self { before: names(host), own: objects::bridge(run) }
    }

    /// Removes dockerd's new interfaces.
    pub(super) fn restore(&self, host: &dyn SystemReader, machine: &dyn SystemWriter, done: &mut Restored) {
        for name in self.ours(host) {
            done.note(format!("interface {name}"), delete_link(host, machine, &name));
        }
    }

    /// dockerd's new interfaces: a bridge, and before it its ports, which its removal would leave.
    fn ours(&self, host: &dyn SystemReader) -> Vec<String> {
        let now = names(host);
        let mut ours = Vec::new();
        for bridge in [BRIDGE, &self.own] {
            if !now.contains(bridge) || self.before.contains(bridge) {
                continue;
            }
            ours.extend(now.difference(&self.before).filter(|name| is_on(host, bridge, name)).cloned());
            ours.push(bridge.to_owned());
        }
        ours
    }
}

/// Removes one bridge with its ports, and nothing else.
pub(super) fn remove(host: &dyn SystemReader, machine: &dyn SystemWriter, bridge: &str, done: &mut Restored) {
    for name in with_ports(host, bridge) {
        done.note(format!("interface {name}"), delete_link(host, machine, &name));
    }
}

/// Removes the interface of this name; one that is already gone is a success.
fn delete_link(host: &dyn SystemReader, machine: &dyn SystemWriter, name: &str) -> HostResult<()> {
    let index = Path::new(DIR).join(name).join("ifindex");
    let Some(text) = host.read_if_there(&index)? else { return Ok(()) };
    let index = text.trim().parse().map_err(|_| HostError::new("parse", index, Errno::EPROTO))?;
    machine.delete_link(name, index)
}

/// The ports of a bridge, then the bridge itself, as far as they exist.
fn with_ports(host: &dyn SystemReader, bridge: &str) -> Vec<String> {
    let mut found: Vec<_> = names(host).into_iter().filter(|name| is_on(host, bridge, name)).collect();
    found.extend(has(host, bridge).then(|| bridge.to_owned()));
    found
}

/// Whether an interface of that name exists.
pub(super) fn has(host: &dyn SystemReader, name: &str) -> bool {
    host.lstat(&Path::new(DIR).join(name)).is_ok()
}

/// Whether an interface is a port of that bridge.
fn is_on(host: &dyn SystemReader, bridge: &str, name: &str) -> bool {
    let master = host.read_link(&Path::new(DIR).join(name).join("master"));
    master.is_ok_and(|master| master.file_name().is_some_and(|master| master == bridge))
}

/// The names of all interfaces.
fn names(host: &dyn SystemReader) -> BTreeSet<String> {
    host.list(Path::new(DIR)).unwrap_or_default().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn a_new_bridge_is_ours_with_its_ports() {
        let host = Fake::new().dir("/sys/class/net/eth0");
        let links = Links::take(&host, "cafe");
        let host = host
            .dir("/sys/class/net/docker0")
            .link("/sys/class/net/veth1/master", "../docker0")
            .link("/sys/class/net/veth2/master", "../br-theirs")
            .dir("/sys/class/net/br-cafe00000000")
            .link("/sys/class/net/veth3/master", "../br-cafe00000000")
            .dir("/sys/class/net/br-beef00000000")
            .dir("/sys/class/net/tun0");
        assert_eq!(links.ours(&host), ["veth1", "docker0", "veth3", "br-cafe00000000"]);
    }

    #[test]
    fn only_the_bridge_and_ports_of_a_runs_network_are_its_own() {
        let host = Fake::new()
            .dir("/sys/class/net/docker0")
            .link("/sys/class/net/veth1/master", "../docker0")
            .dir("/sys/class/net/br-cafe00000000")
            .link("/sys/class/net/veth3/master", "../br-cafe00000000");
        assert_eq!(with_ports(&host, &objects::bridge("cafe")), ["veth3", "br-cafe00000000"]);
        assert!(with_ports(&host, &objects::bridge("beef")).is_empty());
    }

    #[test]
    fn a_bridge_that_existed_before_is_left_with_its_ports() {
        let host = Fake::new().dir("/sys/class/net/docker0");
        let links = Links::take(&host, "cafe");
        let host = host.link("/sys/class/net/veth1/master", "../docker0");
        assert!(links.ours(&host).is_empty());
    }
}

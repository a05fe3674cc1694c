//! Network interfaces that dockerd leaves: its bridge, and after SIGKILL the ends of containers on it.
//!
//! A network that is being created is in no daemon's store yet: the run's own bridge is known by its name.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Removal, Thing, names_in};
use crate::engine::cleanup::objects;
use crate::host::{HostError, HostResult, SystemReader, SystemWriter};

/// The kernel's list of interfaces.
const DIR: &str = "/sys/class/net";
/// dockerd's default bridge (moby `libnetwork/drivers/bridge/bridge_linux.go`, `DefaultBridgeName`).
const BRIDGE: &str = "docker0";
/// How dockerd names the end of a container that stays outside (moby `libnetwork/drivers/bridge/bridge_linux.go`).
const PORT: &str = "veth";

/// An interface: an index is not given twice as long as the namespace lives, and the address is random.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) address: String,
    /// The bridge whose port it is.
    pub(super) bridge: Option<String>,
}

/// The bridges of dockerd and of the run's network, before each its ports, which its removal would leave.
pub(super) fn look(host: &dyn SystemReader, run: &str) -> HostResult<Vec<Thing>> {
    let own = objects::bridge(run);
    let mut found = Vec::new();
    // dockerd's names are ASCII.
    for name in names_in(host, Path::new(DIR))?.iter().filter_map(|name| name.to_str()) {
        let is_bridge = name == BRIDGE || name == own;
        let bridge = bridge_of(host, name)?.filter(|bridge| *bridge == BRIDGE || *bridge == own);
        if is_bridge || (bridge.is_some() && name.starts_with(PORT)) {
            found.extend(read(host, name, bridge)?.map(Thing::Link));
        }
    }
    Ok(found)
}

/// Whether an interface of that name exists.
pub(super) fn exists(host: &dyn SystemReader, name: &str) -> HostResult<bool> {
    match host.lstat(&Path::new(DIR).join(name)) {
        Ok(_) => Ok(true),
        Err(error) if error.is_absent() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes interfaces, ports before bridges.
pub(super) fn remove(ours: &[Thing], machine: &dyn SystemWriter, done: &mut Removal) {
    let links = ours.iter().filter_map(|thing| if let Thing::Link(link) = thing { Some(link) } else { None });
    let (ports, bridges): (Vec<_>, Vec<_>) = links.partition(|link| link.bridge.is_some());
    for link in ports.into_iter().chain(bridges) {
        let command = format!("ip link delete {}", link.name);
        done.note(format!("interface {}", link.name), &command, machine.delete_link(&link.name, link.index));
    }
}

/// The bridge whose port an interface is.
fn bridge_of(host: &dyn SystemReader, name: &str) -> HostResult<Option<String>> {
    match host.read_link(&Path::new(DIR).join(name).join("master")) {
        Ok(master) => Ok(master.file_name().map(|master| master.to_string_lossy().into_owned())),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads an interface; `None` where it is gone.
fn read(host: &dyn SystemReader, name: &str, bridge: Option<String>) -> HostResult<Option<Link>> {
    let file = |what: &str| -> PathBuf { Path::new(DIR).join(name).join(what) };
    let line = |what: &str| match host.read_line(&file(what)) {
        Ok(line) => Ok(Some(line)),
        // sysfs answers EINVAL and ENODEV for an interface that is going away.
        Err(error)
            if error.is_absent()
                || matches!(error.errno(), nix::errno::Errno::ENODEV | nix::errno::Errno::EINVAL) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    };
    let (Some(index), Some(address)) = (line("ifindex")?, line("address")?) else { return Ok(None) };
    let index = index.parse();
    let index =
        index.map_err(|_| HostError::new("read the index in", file("ifindex"), nix::errno::Errno::EPROTO))?;
    Ok(Some(Link { name: name.to_owned(), index, address, bridge }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    fn put(host: Fake, name: &str, index: u32, bridge: Option<&str>) -> Fake {
        let dir = format!("{DIR}/{name}");
        let host = host
            .file(&format!("{dir}/ifindex"), &format!("{index}\n"))
            .file(&format!("{dir}/address"), "02:42:00:00:00:01\n");
        match bridge {
            Some(bridge) => host.link(&format!("{dir}/master"), &format!("../{bridge}")),
            None => host,
        }
    }

    fn machine() -> Fake {
        let mut host = Fake::new();
        for (name, index, bridge) in [
            ("docker0", 2, None),
            ("veth1", 3, Some("docker0")),
            ("veth2", 4, Some("br-theirs")),
            ("br-cafe00000000", 5, None),
            ("veth3", 6, Some("br-cafe00000000")),
            ("br-beef00000000", 7, None),
            ("tun0", 8, Some("docker0")),
        ] {
            host = put(host, name, index, bridge);
        }
        host
    }

    #[test]
    fn dockerds_bridge_and_that_of_the_run_are_found_with_the_ports_that_dockerd_names() {
        let found: Vec<_> = look(&machine(), "cafe").unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            ["interface br-cafe00000000", "interface docker0", "interface veth1", "interface veth3"]
        );
    }

    #[test]
    fn ports_are_removed_before_their_bridge_and_by_their_index() {
        let host = machine();
        let mut done = Removal::default();
        remove(&look(&host, "cafe").unwrap(), &host, &mut done);
        assert_eq!(
            done.removed,
            ["interface veth1", "interface veth3", "interface br-cafe00000000", "interface docker0"]
        );
    }

    #[test]
    fn interfaces_that_cannot_be_listed_are_an_error() {
        let host = machine().fails("list", DIR, nix::errno::Errno::EIO, None);
        assert!(look(&host, "cafe").is_err());
    }
}

//! The tables of dockerd's nftables backend, which stay when it stops: one for each address family.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::rules::{Family, TIMEOUT, succeeded};
use super::{Removal, Thing};
use crate::facts::daemon::Layout;
use crate::facts::programs::locate;
use crate::host::{HostError, HostResult, SystemReader, SystemWriter};

/// Its name (moby `daemon/libnetwork/drivers/bridge/internal/nftabler/nftabler.go`, `dockerTable`).
const NAME: &str = "docker-bridges";

/// A table: a handle is not given twice as long as the network namespace lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BridgeTable {
    pub(super) family: Family,
    handle: u64,
}

/// The tables of a daemon with that backend.
pub(super) fn look(host: &dyn SystemReader, layout: &Layout) -> HostResult<Vec<Thing>> {
    let nft = if layout.nftables { locate(host, "nft")? } else { None };
    let Some(nft) = nft else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for family in [Family::Ip, Family::Ip6] {
        let tables = list(host, &nft, &["list", "tables", family.nft_name()])?;
        if tables.lines().any(|line| line == format!("table {} {NAME}", family.nft_name())) {
            found.push(Thing::BridgeTable(BridgeTable { family, handle: handle(host, &nft, family)? }));
        }
    }
    Ok(found)
}

/// The handle, which only a listing of the table has: `table ip docker-bridges { # handle 7`.
fn handle(host: &dyn SystemReader, nft: &Path, family: Family) -> HostResult<u64> {
    let table = list(host, nft, &["-a", "-t", "list", "table", family.nft_name(), NAME])?;
    let number = table.lines().next().and_then(|line| line.rsplit_once("# handle ")?.1.trim().parse().ok());
    number.ok_or_else(|| {
        HostError::new("find the handle of a table in the output of", nft, nix::errno::Errno::EPROTO)
    })
}

fn list(host: &dyn SystemReader, nft: &Path, args: &[&str]) -> HostResult<String> {
    let ran = host.run(nft, args, TIMEOUT)?;
    let text = ran.whole_stdout(nft)?.to_owned();
    succeeded(nft, Ok(ran)).map(|()| text)
}

/// Removes them by their handles.
pub(super) fn remove(
    ours: &[Thing],
    host: &dyn SystemReader,
    machine: &dyn SystemWriter,
    done: &mut Removal,
) {
    for table in
        ours.iter().filter_map(|thing| if let Thing::BridgeTable(table) = thing { Some(table) } else { None })
    {
        let removed = locate(host, "nft").and_then(|nft| {
            let nft = nft.ok_or_else(|| HostError::new("find", "nft", nix::errno::Errno::ENOENT))?;
            let handle = table.handle.to_string();
            let args = ["delete", "table", table.family.nft_name(), "handle", &handle];
            succeeded(&nft, machine.execute(&nft, &args, TIMEOUT))
        });
        done.note(format!("nftables {table}"), &table.command(), removed);
    }
}

impl BridgeTable {
    /// The command that removes it.
    pub(super) fn command(&self) -> String {
        format!("nft delete table {} handle {}", self.family.nft_name(), self.handle)
    }
}

impl std::fmt::Display for BridgeTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "table {} {NAME}", self.family.nft_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    const NFT: &str = "/usr/sbin/nft";

    fn machine() -> Fake {
        Fake::new()
            .variable("PATH", "/usr/sbin")
            .program("/usr/sbin/nft list tables ip", 0, "table ip filter\ntable ip docker-bridges\n")
            .program("/usr/sbin/nft list tables ip6", 0, "table ip6 theirs-docker-bridges\n")
            .program(
                "/usr/sbin/nft -a -t list table ip docker-bridges",
                0,
                "table ip docker-bridges { # handle 7\n\tchain filter-FORWARD { # handle 1\n",
            )
            .program("/usr/sbin/nft delete table ip handle 7", 0, "")
    }

    fn found(host: &Fake, args: &[&str]) -> HostResult<Vec<Thing>> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        look(host, &Layout::read(host, &args))
    }

    #[test]
    fn the_table_is_known_by_its_handle_and_only_with_that_backend() {
        let host = machine();
        let all = found(&host, &["--firewall-backend=nftables"]).unwrap();
        assert_eq!(all, [Thing::BridgeTable(BridgeTable { family: Family::Ip, handle: 7 })]);
        assert_eq!(found(&host, &[]).unwrap(), []);
        let mut done = Removal::default();
        remove(&all, &host, &host, &mut done);
        assert_eq!(host.changes(), [format!("execute {NFT} delete table ip handle 7")]);
        assert_eq!(done.removed, ["nftables table ip docker-bridges"]);
    }

    #[test]
    fn a_listing_that_fails_is_an_error_and_not_an_absence() {
        let host = machine().program("/usr/sbin/nft list tables ip6", 1, "");
        assert!(found(&host, &["--firewall-backend=nftables"]).is_err());
    }
}

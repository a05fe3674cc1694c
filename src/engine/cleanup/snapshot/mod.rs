//! A snapshot of the machine before a dockerd is started, and the removal of what that dockerd left.
//!
//! dockerd cleans up little when it stops: its bridge, firewall rules, cgroup directories, exec root and the forwarding
//! sysctls stay. What exists afterwards, did not exist in the [`Snapshot`], and is of a kind that dockerd creates is
//! removed. Everything else is left alone, the content of the data root as well: that is the daemon's.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::engine::cleanup::objects;
use crate::facts::daemon::Layout;
use crate::facts::process;
use crate::host::{FileKind, HostError, HostResult, SystemReader, SystemWriter};

mod cgroups;
mod files;
mod links;
mod mounts;
mod rules;
mod survivors;
mod sysctls;

pub use survivors::{of_daemon, reap_and_kill};

/// How the machine was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    #[serde(rename = "world")]
    namespaces: String,
    files: files::Files,
    mounts: mounts::Targets,
    cgroups: cgroups::Parents,
    links: links::Links,
    rules: rules::Rules,
    #[serde(rename = "switches")]
    sysctls: sysctls::Sysctls,
}

/// The result of a removal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// What was removed, for people.
    pub removed: Vec<String>,
    /// What could not be removed, with the reason.
    pub left: Vec<String>,
}

impl Snapshot {
    /// Takes the snapshot before a run starts a dockerd of this layout.
    pub fn take(host: &dyn SystemReader, layout: &Layout, run: &str) -> Self {
        Self {
            namespaces: namespace_key(host),
            files: files::Files::take(host, layout),
            mounts: mounts::Targets::take(host),
            cgroups: cgroups::Parents::take(host, layout),
            links: links::Links::take(host, run),
            rules: rules::Rules::take(host),
            sysctls: sysctls::Sysctls::take(host),
        }
    }

    /// Removes what is new. The daemon and everything that ran under it must have ended. `scratch` is a directory of ours
    /// for a file that a program reads.
    pub fn restore(
        &self,
        host: &dyn SystemReader,
        machine: &dyn SystemWriter,
        layout: &Layout,
        scratch: &Path,
    ) -> Restored {
        let mut done = Restored::default();
        // A restart of the outer container makes new namespaces, and nothing in them is ours.
        if self.namespaces == namespace_key(host) {
            self.mounts.restore(host, machine, layout, &mut done);
            self.cgroups.restore(host, machine, &mut done);
            self.links.restore(host, machine, &mut done);
            self.rules.restore(host, machine, scratch, &mut done);
            self.sysctls.restore(host, machine, &mut done);
        }
        self.files.restore(host, machine, &mut done);
        done
    }
}

/// Whether the bridge of a run's network exists.
pub fn has_network(host: &dyn SystemReader, run: &str) -> bool {
    links::has(host, &objects::bridge(run))
}

/// Removes the remains of a run's network that no daemon knows any more: a bridge stays where the creation or the removal
/// of a network fails half-way, as with a firewall whose chains somebody flushed (moby
/// `libnetwork/drivers/bridge/bridge_linux.go`, `createNetwork`).
pub fn remove_network(
    host: &dyn SystemReader,
    machine: &dyn SystemWriter,
    run: &str,
    scratch: &Path,
) -> Restored {
    let mut done = Restored::default();
    let bridge = objects::bridge(run);
    links::remove(host, machine, &bridge, &mut done);
    rules::Rules::remove_of(&bridge, host, machine, scratch, &mut done);
    done
}

/// Identifies the namespaces that we are in: network, mount, and by the start time of its first process the process
/// namespace.
fn namespace_key(host: &dyn SystemReader) -> String {
    let namespace = |name: &str| {
        let link = host.read_link(Path::new(&format!("/proc/self/ns/{name}"))).ok();
        link.map(|link| link.display().to_string()).unwrap_or_default()
    };
    let first = process::find(host, 1).map_or(0, |process| process.id.start);
    format!("{} {} {first}", namespace("net"), namespace("mnt"))
}

impl Restored {
    /// Records the result of one removal; what is missing counts as removed.
    fn note(&mut self, what: impl Into<String>, result: HostResult<()>) {
        match result {
            Err(error) if !error.is_absent() => self.left.push(format!("{}: {error}", what.into())),
            _ => self.removed.push(what.into()),
        }
    }
}

/// A path with all links in it resolved: `/var/run` is mostly a link to `/run`.
fn real(host: &dyn SystemReader, path: &Path) -> PathBuf {
    let mut at = PathBuf::from("/");
    let mut left: Vec<_> = path.components().rev().map(|part| part.as_os_str().to_owned()).collect();
    let mut links = 0;
    while let Some(part) = left.pop() {
        if part == "/" {
            continue;
        }
        match host.read_link(&at.join(&part)) {
            Ok(target) if links < 16 => {
                links += 1;
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                left.extend(target.components().rev().map(|part| part.as_os_str().to_owned()));
            }
            _ if part == ".." => {
                at.pop();
            }
            _ if part == "." => {}
            _ => at.push(part),
        }
    }
    at
}

/// Removes a tree without following links. A failure is recorded, and the rest goes on.
fn remove_tree(
    host: &dyn SystemReader,
    machine: &dyn SystemWriter,
    path: &Path,
    failed: &mut Vec<HostError>,
) {
    let removed = match host.lstat(path) {
        Ok(stat) if stat.kind == FileKind::Dir => {
            for name in host.list(path).unwrap_or_default() {
                remove_tree(host, machine, &path.join(name), failed);
            }
            machine.remove_dir(path)
        }
        Ok(_) => machine.remove_file(path),
        Err(error) => Err(error),
    };
    failed.extend(removed.err().filter(|error| !error.is_absent()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn links_in_a_path_are_resolved() {
        let host = Fake::new().dir("/run/docker").link("/var/run", "../run").link("/a", "/var/run/docker");
        assert_eq!(real(&host, Path::new("/var/run/docker")), Path::new("/run/docker"));
        assert_eq!(real(&host, Path::new("/a/x")), Path::new("/run/docker/x"));
        assert_eq!(real(&host, Path::new("/none/x")), Path::new("/none/x"));
    }

    #[test]
    fn a_link_in_a_tree_is_removed_and_not_followed() {
        let host = Fake::new().file("/keep/file", "x").dir("/t").link("/t/link", "/keep").file("/t/d/f", "");
        let mut failed = Vec::new();
        remove_tree(&host, &host, Path::new("/t"), &mut failed);
        assert!(failed.is_empty(), "{failed:?}");
        assert!(host.exists(Path::new("/keep/file")).unwrap() && !host.exists(Path::new("/t")).unwrap());
    }
}

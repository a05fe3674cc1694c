//! What a dockerd makes on the machine and does not remove: the names that it is known to give, and the identities.
//!
//! dockerd cleans up little when it stops: its bridge, firewall rules, cgroup directories, exec root and the forwarding
//! sysctls stay. A [`Ledger`] holds what of these kinds existed before a dockerd was started and what was seen while it
//! ran; only the latter is removed, and only as long as it is the same thing. The content of the data root is the daemon's.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::engine::cleanup::objects;
use crate::facts::daemon::Layout;
use crate::host::{HostResult, SystemReader, SystemWriter};

mod cgroups;
mod files;
mod ledger;
mod links;
mod mounts;
mod removal;
mod rules;
mod sysctls;
mod tables;

pub use ledger::{Ledger, Standing};
pub use removal::Removal;
pub use rules::Family;

/// The kinds of things, in the order of removal: a mount keeps its directory and its network namespace busy, and a
/// cgroup the directory above it.
pub const KINDS: [Kind; 8] = [
    Kind::Mounts,
    Kind::Cgroups,
    Kind::Links,
    Kind::Rules,
    Kind::Rules6,
    Kind::Tables,
    Kind::Sysctls,
    Kind::Files,
];

/// A kind of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Mounts below the daemon's directories.
    Mounts,
    /// Cgroups below the parent of containers' cgroups.
    Cgroups,
    /// Network interfaces.
    Links,
    /// Firewall rules for IPv4.
    Rules,
    /// Firewall rules for IPv6.
    Rules6,
    /// The tables of the nftables backend.
    Tables,
    /// Kernel parameters.
    Sysctls,
    /// Files and directories outside the data root.
    Files,
}

/// Something that dockerd made, with its identity: a thing that equals a recorded one is the recorded one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Thing {
    /// A mount.
    Mount(mounts::MountPoint),
    /// A cgroup directory.
    Cgroup(Node),
    /// A controller that a v2 cgroup enables for its children.
    Controller(cgroups::Controller),
    /// A network interface.
    Link(links::Link),
    /// A firewall rule.
    Rule(rules::Rule),
    /// A chain of a firewall table.
    Chain(rules::Chain),
    /// The policy of a built-in chain.
    Policy(rules::Policy),
    /// A whole table of `nf_tables`.
    Table(rules::TableName),
    /// The table of the nftables backend.
    BridgeTable(tables::BridgeTable),
    /// A kernel parameter with its value.
    Sysctl(sysctls::Sysctl),
    /// A file, socket or directory.
    File(Node),
}

/// A file or directory by the identity of its inode. Inode numbers are used again, the time of birth is not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Node {
    /// Its path, without links.
    pub path: PathBuf,
    /// The device that holds it.
    pub dev: u64,
    /// The inode number on that device.
    pub ino: u64,
    /// The time of birth, in nanoseconds since 1970, where the file system keeps it.
    pub born: Option<i64>,
    /// Whether it is a directory.
    pub dir: bool,
}

/// Whose things are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'s> {
    /// Where the daemon keeps its files.
    pub layout: &'s Layout,
    /// The run's id.
    pub run: &'s str,
    /// The ids of the run's containers.
    pub containers: &'s BTreeSet<String>,
    /// The pids of the run's containerds.
    pub containerds: &'s BTreeSet<i32>,
}

impl Kind {
    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mounts => "mounts",
            Self::Cgroups => "cgroups",
            Self::Links => "network interfaces",
            Self::Rules => "firewall rules (ip)",
            Self::Rules6 => "firewall rules (ip6)",
            Self::Tables => "nftables tables",
            Self::Sysctls => "kernel parameters",
            Self::Files => "files",
        }
    }

    /// Every thing of this kind that has a name which dockerd is known to give.
    fn look(self, host: &dyn SystemReader, scope: &Scope<'_>) -> HostResult<Vec<Thing>> {
        match self {
            Self::Mounts => mounts::look(host, scope.layout),
            Self::Cgroups => cgroups::look(host, scope.layout),
            Self::Links => links::look(host, scope.run),
            Self::Rules => rules::look(host, Family::Ip),
            Self::Rules6 => rules::look(host, Family::Ip6),
            Self::Tables => tables::look(host, scope.layout),
            Self::Sysctls => sysctls::look(host),
            Self::Files => files::look(host, scope.layout),
        }
    }
}

impl Thing {
    /// Whether both are a file, cgroup, interface or table of the same name.
    fn has_name_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) | (Self::Cgroup(one), Self::Cgroup(other)) => {
                one.path == other.path
            }
            (Self::Link(one), Self::Link(other)) => one.name == other.name,
            (Self::BridgeTable(one), Self::BridgeTable(other)) => one.family == other.family,
            _ => false,
        }
    }

    /// For a file whose name any containerd gives: whether it is one of these that wrote it.
    fn is_written_by(&self, containerds: &BTreeSet<i32>) -> Option<bool> {
        let Self::File(node) = self else { return None };
        files::is_anybodys(&node.path)
            .then(|| files::writer(&node.path).is_some_and(|pid| containerds.contains(&pid)))
    }

    /// Whether its name is one that only this run gives: the name of its bridge, or the id of one of its containers.
    fn is_named_by(&self, run: &str, containers: &BTreeSet<String>) -> bool {
        let of_container = |path: &Path| {
            path.iter().any(|part| {
                let part = part.to_string_lossy();
                let id = part.strip_prefix("docker-").and_then(|part| part.strip_suffix(".scope"));
                containers.contains(id.unwrap_or(&part))
            })
        };
        let bridge = objects::bridge(run);
        match self {
            Self::Mount(mount) => of_container(&mount.target),
            Self::Cgroup(node) | Self::File(node) => of_container(&node.path),
            Self::Link(link) => link.name == bridge || link.bridge.as_ref() == Some(&bridge),
            Self::Rule(rule) => rule.text.split_whitespace().any(|field| field == bridge),
            Self::Controller(_)
            | Self::Chain(_)
            | Self::Policy(_)
            | Self::Table(_)
            | Self::BridgeTable(_)
            | Self::Sysctl(_) => false,
        }
    }
}

impl Node {
    /// The node at a path; `None` where there is none.
    fn at(host: &dyn SystemReader, path: &Path) -> HostResult<Option<Self>> {
        match host.lstat(path) {
            Ok(stat) => Ok(Some(Self {
                path: path.to_owned(),
                dev: stat.dev,
                ino: stat.ino,
                born: stat.born,
                dir: stat.kind == crate::host::FileKind::Dir,
            })),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether the bridge of a run's network exists. A look that fails counts as one that found it.
pub fn has_network(host: &dyn SystemReader, run: &str) -> bool {
    links::exists(host, &objects::bridge(run)).unwrap_or(true)
}

/// Removes the remains of a run's network that no daemon knows any more: a bridge stays where the creation or the removal
/// of a network fails half-way, as with a firewall whose chains somebody flushed (moby
/// `libnetwork/drivers/bridge/bridge_linux.go`, `createNetwork`). They are known by the name of the bridge.
pub fn remove_network(
    host: &dyn SystemReader,
    machine: &dyn SystemWriter,
    run: &str,
    scratch: &Path,
) -> Removal {
    let mut done = Removal::default();
    let nothing = BTreeSet::new();
    for (kind, now) in [
        (Kind::Links, links::look(host, run)),
        (Kind::Rules, rules::look(host, Family::Ip)),
        (Kind::Rules6, rules::look(host, Family::Ip6)),
    ] {
        match now {
            Ok(now) => {
                let ours: Vec<Thing> =
                    now.into_iter().filter(|thing| thing.is_named_by(run, &nothing)).collect();
                removal::remove(kind, &ours, &BTreeSet::new(), (host, machine), scratch, &mut done);
            }
            Err(error) => done.unknown(kind, &error.to_string()),
        }
    }
    done
}

/// The names in a directory; none where it is missing or was removed meanwhile.
fn names_in(host: &dyn SystemReader, dir: &Path) -> HostResult<Vec<OsString>> {
    match host.list(dir) {
        Err(error) if error.is_absent() => Ok(Vec::new()),
        names => names,
    }
}

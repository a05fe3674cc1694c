//! The cgroup setup of the machine, and the cgroups of this process.
//!
//! The kernel has two generations side by side. Cgroup v1 is a set of *hierarchies*, each with one or more
//! controllers (or only a name, as `name=systemd`); v2 is one tree. A controller belongs to one hierarchy at
//! a time. *Hybrid* is v1 with the v2 tree mounted beside it. /proc/self/cgroup lists every hierarchy that
//! exists, with this process's place in it, whether it is mounted here or not.

use std::path::{Path, PathBuf};

use anyhow::Context;
use procfs::{CGroupControllers, FromRead, ProcessCGroups};

use super::mounts::{Mount, Mounts};
use crate::host::{FsInfo, SystemReader};

/// The mount point of cgroups by convention.
pub const ROOT: &str = "/sys/fs/cgroup";
/// statfs magic of cgroup v2 (linux/magic.h, `CGROUP2_SUPER_MAGIC`).
pub const CGROUP2_MAGIC: i64 = 0x6367_7270;

/// Which cgroup versions are mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// v1 hierarchies only.
    V1,
    /// The v2 tree at /sys/fs/cgroup.
    V2,
    /// v1 hierarchies, and the v2 tree beside them.
    Hybrid,
    /// Nothing is mounted below /sys/fs/cgroup.
    None,
}

impl Mode {
    /// The word of the reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::Hybrid => "hybrid",
            Self::None => "none",
        }
    }
}

/// A v1 hierarchy that exists in this kernel, and this process's place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// The hierarchy ID of /proc/self/cgroup; never 0.
    pub id: u32,
    /// Its controllers, in the kernel's order; or one `name=...`.
    pub controllers: Vec<String>,
    /// The path of this process in it, as its cgroup namespace sees it.
    pub path: PathBuf,
}

impl Hierarchy {
    /// The name of its directory by convention: `cpu,cpuacct`, `systemd` for `name=systemd`.
    pub fn dir(&self) -> String {
        let joined = self.controllers.join(",");
        joined.strip_prefix("name=").map_or(joined.clone(), ToOwned::to_owned)
    }

    /// The mount option that selects it: `cpu,cpuacct`, or `none,name=systemd`.
    pub fn mount_option(&self) -> String {
        let joined = self.controllers.join(",");
        if self.is_named() { format!("none,{joined}") } else { joined }
    }

    /// Whether it has a name and no controllers.
    pub fn is_named(&self) -> bool {
        self.controllers.first().is_some_and(|first| first.starts_with("name="))
    }

    /// Whether a mount shows this hierarchy.
    pub fn is_shown_by(&self, mount: &Mount) -> bool {
        mount.fstype == "cgroup" && self.controllers.iter().all(|c| mount.super_options.contains(c))
    }
}

/// A row of /proc/cgroups. `enabled` alone does not mean that the controller
/// can be mounted: a kernel without `CONFIG_MEMCG_V1` still shows 1 for memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    /// Its name.
    pub name: String,
    /// The ID of the hierarchy that has it; 0 for none, or for the v2 tree.
    pub hierarchy: u32,
    /// Not disabled on the kernel command line (`cgroup_disable=`).
    pub enabled: bool,
}

/// Everything that the steps need to know about cgroups.
#[derive(Debug, Clone)]
pub struct Cgroups {
    /// Which versions are mounted.
    pub mode: Mode,
    /// The v1 hierarchies that exist, mounted here or not.
    pub hierarchies: Vec<Hierarchy>,
    /// This process's path in the v2 tree.
    pub v2_path: Option<PathBuf>,
    /// The controllers of /proc/cgroups.
    pub controllers: Vec<Controller>,
    /// Every mount.
    pub mounts: Mounts,
    /// Whether this process is in a cgroup namespace of its own, whose root is not the host's.
    pub private_namespace: bool,
}

impl Cgroups {
    /// Reads them from /proc. An error where a file cannot be read or parsed; a missing /proc/cgroups is an empty table.
    pub fn read(host: &dyn SystemReader) -> anyhow::Result<Self> {
        let mounts = Mounts::read(host)?;
        let own = host.read(Path::new("/proc/self/cgroup"))?;
        let table = host.read_if_there(Path::new("/proc/cgroups"))?.unwrap_or_default();
        let (hierarchies, v2_path) = parse_own(&own).context("/proc/self/cgroup is not as expected")?;
        let mode = mode(host, &mounts)?;
        let private_namespace = is_private(host)?;
        let controllers = parse_table(table.as_bytes()).context("/proc/cgroups is not as expected")?;
        Ok(Self { mode, hierarchies, v2_path, controllers, mounts, private_namespace })
    }

    /// The hierarchy that has a controller (or a name).
    pub fn hierarchy_of(&self, controller: &str) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|hierarchy| hierarchy.controllers.iter().any(|c| c == controller))
    }

    /// This container's own directory in the mounted v2 tree: its root in a cgroup namespace of its own (or
    /// where only its sub-tree is mounted), else its path below the host's.
    pub fn v2_dir(&self) -> PathBuf {
        let root = Path::new(ROOT);
        let shown = self.mounts.at(root).map(|mount| mount.root.as_path());
        match (&self.v2_path, shown) {
            (Some(own), Some(shown)) if self.sees_host_tree() => {
                root.join(own.strip_prefix(shown).unwrap_or(Path::new("")))
            }
            _ => root.to_owned(),
        }
    }

    /// The container's cgroup, by this process's: in a cgroup namespace of its own it is the root, wherever below
    /// it this process was moved (`/init`, say). What lies outside shows as `/..` (`cgroup_namespaces(7)`).
    pub fn of_container<'p>(&self, own: &'p Path) -> &'p Path {
        if self.private_namespace && !own.starts_with("/..") { Path::new("/") } else { own }
    }

    /// The container's cgroup in a v1 hierarchy: the root of its mount, where the outer engine mounted only the container's
    /// own, else as `of_container`. This process may be in a cgroup below it.
    pub fn container_root<'p>(&'p self, hierarchy: &'p Hierarchy) -> &'p Path {
        let mount = self.mounts.0.iter().find(|mount| hierarchy.is_shown_by(mount));
        let own = mount.map(|mount| mount.root.as_path()).filter(|root| *root != Path::new("/"));
        own.filter(|root| hierarchy.path.starts_with(root))
            .unwrap_or_else(|| self.of_container(&hierarchy.path))
    }

    /// v2: the mounted tree is not this container's own: the host's, with this container somewhere below it.
    /// Without a namespace of our own the paths say so; in one, a tree bound in from outside has a root above
    /// ours, which mountinfo shows as `/..` (kernel/cgroup/cgroup.c, `cgroup_show_path`).
    pub fn sees_host_tree(&self) -> bool {
        let slash = Path::new("/");
        let own = self.v2_path.as_deref().is_some_and(|path| path != slash);
        let shown = self.mounts.at(Path::new(ROOT)).map(|mount| mount.root.as_path());
        let above = shown.is_some_and(|root| root.starts_with("/.."));
        above || own && shown == Some(slash) && !self.private_namespace
    }

    /// Hierarchies in which the outer engine did not place this container: this process is at the root there
    /// while it is below it elsewhere. Mounting one would put inner containers into the host's own root.
    pub fn is_unmanaged(&self, hierarchy: &Hierarchy) -> bool {
        let at_root = |h: &Hierarchy| h.path == Path::new("/");
        at_root(hierarchy) && !self.private_namespace && self.hierarchies.iter().any(|h| !at_root(h))
    }
}

/// Reads the mode from what is mounted, not from which paths exist.
fn mode(host: &dyn SystemReader, mounts: &Mounts) -> anyhow::Result<Mode> {
    let root = Path::new(ROOT);
    let v2_at_root = match host.statfs(root) {
        Ok(FsInfo { magic, .. }) => magic == CGROUP2_MAGIC,
        Err(error) if error.is_absent() => false,
        Err(error) => return Err(error.into()),
    };
    let v1 = mounts.below(root).any(|mount| mount.fstype == "cgroup");
    let v2_beside = mounts.below(root).any(|mount| mount.fstype == "cgroup2");
    Ok(match (v2_at_root, v1, v2_beside) {
        (true, ..) => Mode::V2,
        (false, true, true) => Mode::Hybrid,
        (false, true, false) => Mode::V1,
        (false, false, _) => Mode::None,
    })
}

/// The hierarchies of /proc/self/cgroup, and the path in the v2 tree.
fn parse_own(bytes: &[u8]) -> anyhow::Result<(Vec<Hierarchy>, Option<PathBuf>)> {
    let own = ProcessCGroups::from_read(bytes)
        .map_err(|_| anyhow::anyhow!("a line has a form that is not known"))?;
    let v2 = own.0.iter().find(|group| group.hierarchy == 0).map(|group| PathBuf::from(&group.pathname));
    let v1 = own.0.into_iter().filter(|group| group.hierarchy != 0).map(|group| Hierarchy {
        id: group.hierarchy,
        controllers: group.controllers.into_iter().filter(|name| !name.is_empty()).collect(),
        path: PathBuf::from(group.pathname),
    });
    Ok((v1.collect(), v2))
}

/// The rows of /proc/cgroups.
fn parse_table(bytes: &[u8]) -> anyhow::Result<Vec<Controller>> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let table = CGroupControllers::from_read(bytes)
        .map_err(|_| anyhow::anyhow!("a line has a form that is not known"))?;
    let row =
        |c: procfs::CGroupController| Controller { name: c.name, hierarchy: c.hierarchy, enabled: c.enabled };
    Ok(table.0.into_iter().map(row).collect())
}

/// Whether this process is in a cgroup namespace of its own: its inode is not that of the initial one
/// (include/linux/proc_ns.h, `PROC_CGROUP_INIT_INO`). Kernels before 4.6 have none.
fn is_private(host: &dyn SystemReader) -> anyhow::Result<bool> {
    match host.read_link(Path::new("/proc/self/ns/cgroup")) {
        Ok(link) => Ok(link != Path::new("cgroup:[4026531835]")),
        Err(error) if error.is_absent() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

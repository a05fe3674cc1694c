//! The cgroups of a world: one of its own in every hierarchy of the machine, and nothing above.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;

const ROOT: &str = "/sys/fs/cgroup";

/// The world's cgroup in each hierarchy.
#[derive(Clone)]
pub(crate) struct Cgroups {
    name: String,
    /// Where each hierarchy is mounted on the machine, and its type.
    hierarchies: Vec<(PathBuf, String)>,
    /// `cgroup.procs` of each, held open: the machine's mounts are out of reach from inside the world.
    doors: Vec<Arc<File>>,
}

impl Cgroups {
    /// Makes them.
    pub(crate) fn make(name: &str) -> anyhow::Result<Self> {
        let cgroups = Self { name: name.to_owned(), hierarchies: hierarchies()?, doors: Vec::new() };
        for dir in cgroups.dirs() {
            std::fs::create_dir(&dir).with_context(|| format!("make {}", dir.display()))?;
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let above = dir.with_file_name(file);
                if above.exists() && !dir.join("cgroup.type").exists() {
                    std::fs::write(dir.join(file), std::fs::read(above)?).context("initialise the cpuset")?;
                }
            }
        }
        Ok(cgroups)
    }

    /// What Docker binds into a container, by the name below /sys/fs/cgroup: the v1 hierarchies where there are any.
    pub(crate) fn shown(&self) -> Vec<(PathBuf, PathBuf)> {
        let v1 = self.hierarchies.iter().filter(|(_, fstype)| fstype == "cgroup");
        v1.map(|(mount, _)| (mount.join(&self.name), mount.clone())).collect()
    }

    /// Opens the way in; to be done before the machine's mounts are left behind.
    pub(crate) fn open(&mut self) -> anyhow::Result<()> {
        let open = |dir: PathBuf| OpenOptions::new().write(true).open(dir.join("cgroup.procs")).map(Arc::new);
        self.doors =
            self.dirs().into_iter().map(open).collect::<Result<_, _>>().context("open cgroup.procs")?;
        Ok(())
    }

    /// Moves a process in.
    pub(crate) fn admit(&self, pid: u32) -> std::io::Result<()> {
        self.doors.iter().try_for_each(|door| (&**door).write_all(pid.to_string().as_bytes()))
    }

    /// Removes them; processes of a world that just ended may take a moment to leave.
    pub(crate) fn remove(&self) -> anyhow::Result<()> {
        self.dirs().iter().try_for_each(|dir| remove(dir))
    }

    fn dirs(&self) -> Vec<PathBuf> {
        self.hierarchies.iter().map(|(mount, _)| mount.join(&self.name)).collect()
    }
}

/// The cgroup mounts of the machine: v1 ones, and the v2 tree.
fn hierarchies() -> anyhow::Result<Vec<(PathBuf, String)>> {
    let table = std::fs::read_to_string("/proc/self/mounts").context("read the machine's mounts")?;
    let cgroups = table.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (target, fstype) = (words.next()?, words.next()?);
        (target.starts_with(ROOT) && fstype.starts_with("cgroup"))
            .then(|| (PathBuf::from(target), fstype.to_owned()))
    });
    Ok(cgroups.collect())
}

/// Removes a cgroup with all below it.
fn remove(dir: &Path) -> anyhow::Result<()> {
    let end = Instant::now() + Duration::from_secs(3);
    loop {
        for below in below(dir).iter().rev() {
            let _ = std::fs::remove_dir(below);
        }
        match std::fs::remove_dir(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) if Instant::now() > end => {
                return Err(error).with_context(|| dir.display().to_string());
            }
            Ok(()) => return Ok(()),
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Every directory below, parents first.
fn below(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        let dirs = std::fs::read_dir(&next).into_iter().flatten().flatten().filter(|e| e.path().is_dir());
        let dirs: Vec<_> = dirs.map(|entry| entry.path()).collect();
        open.extend(dirs.iter().cloned());
        all.extend(dirs);
    }
    all
}

/// Removes the cgroups of worlds that are gone.
pub(crate) fn sweep(prefix: &str, gone: &dyn Fn(&str) -> bool) {
    for (mount, _) in hierarchies().unwrap_or_default() {
        for entry in std::fs::read_dir(mount).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(prefix) && gone(&name) {
                let _ = remove(&entry.path());
            }
        }
    }
}

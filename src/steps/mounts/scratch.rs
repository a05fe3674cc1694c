//! Checks the directories for temporary files: /run, the one that programs of the engine use, and `DOCKER_TMPDIR`.
//!
//! Measured with 20.10, 26.1 and 28.5: `docker exec` and the containerd image store write below `XDG_RUNTIME_DIR`, else
//! `TMPDIR`, else /tmp (go-runc's `Exec`, containerd's mount package), and never make that directory. dockerd makes
//! `DOCKER_TMPDIR`, and does not start where it cannot.

use std::path::{Path, PathBuf};

use super::{NOT_WRITABLE, is_read_only, seen};
use crate::diagnosis::causes;
use crate::facts::daemon::{Containerd, Daemon, Store};
use crate::facts::directories::Obstacle;
use crate::facts::filesystem;
use crate::facts::mounts::{Mount, Mounts};
use crate::finding::{Finding, quoted};
use crate::host::{FsInfo, HostResult, SystemReader};

/// The description of a process that `docker exec` writes takes less than a page.
const PAGE: u64 = 4096;
/// The usual directory.
const TMP: &str = "/tmp";

/// The findings.
pub(super) fn judge(
    host: &dyn SystemReader,
    mounts: &Mounts,
    daemon: impl Fn() -> Option<Daemon>,
) -> HostResult<Vec<Finding>> {
    let mut findings: Vec<Finding> = run(mounts, &daemon).into_iter().collect();
    findings.extend(of_running(host, mounts, daemon)?);
    findings.extend(of_docker(host, mounts)?);
    Ok(findings)
}

/// The findings that matter to a daemon that runs already.
pub(super) fn of_running(
    host: &dyn SystemReader,
    mounts: &Mounts,
    daemon: impl Fn() -> Option<Daemon>,
) -> HostResult<Vec<Finding>> {
    let mut findings = Vec::new();
    let used = Place::used(host);
    if let Some(trouble) = Trouble::find(host, mounts, &used.dir)? {
        findings.push(used_by_engine(&used, &trouble, &daemon));
    } else if let Some(trouble) = Trouble::find(host, mounts, Path::new(TMP))? {
        let tmp = Place { dir: TMP.into(), variable: None };
        findings.push(trouble.finding(false, &tmp, "programs that dockerd starts may write there"));
    }
    Ok(findings)
}

/// dockerd's sockets and pid file are below /run.
fn run(mounts: &Mounts, daemon: &impl Fn() -> Option<Daemon>) -> Option<Finding> {
    let elsewhere = || daemon().is_some_and(|daemon| !daemon.settings.exec_root.starts_with("/var/run"));
    let mount = mounts.holding(Path::new("/run")).filter(|mount| is_read_only(mount) && !elsewhere())?;
    let what = "/run is read-only: dockerd cannot make its sockets and exits";
    let hint = "`mount -t tmpfs -o mode=755 tmpfs /run`, or start the outer container without --read-only, or with --tmpfs /run";
    Some(seen(Finding::fail(NOT_WRITABLE, what), mount).hint(hint))
}

/// The directory that the programs of the engine use. A containerd that dockerd does not start has variables of its own;
/// with the containerd image store dockerd itself writes there as well.
fn used_by_engine(place: &Place, trouble: &Trouble, daemon: &impl Fn() -> Option<Daemon>) -> Finding {
    let settings = daemon().map(|daemon| daemon.settings);
    let stored = settings.as_ref().is_some_and(|s| matches!(s.store, Store::Snapshotter { .. }));
    let managed = settings.as_ref().is_none_or(|s| s.containerd == Containerd::Managed);
    let why = match (stored, managed) {
        (true, _) => "the containerd image store mounts each new container there",
        (_, true) => "docker exec writes its process file there",
        _ => "programs that dockerd starts may write there",
    };
    trouble.finding(stored || managed, place, why)
}

/// The directory of dockerd's own temporary files, which it makes where it is missing.
fn of_docker(host: &dyn SystemReader, mounts: &Mounts) -> HostResult<Option<Finding>> {
    let Some(place) = Place::named(host, "DOCKER_TMPDIR") else { return Ok(None) };
    let trouble = match Trouble::find(host, mounts, &place.dir)? {
        None | Some(Trouble::Relative | Trouble::Missing) => return Ok(None),
        Some(trouble) => trouble,
    };
    let why = match trouble {
        Trouble::Full(_) | Trouble::NoInodes => "dockerd unpacks images there",
        _ => "dockerd does not start without it",
    };
    Ok(Some(trouble.finding(true, &place, why)))
}

/// A directory for temporary files.
#[derive(Debug)]
struct Place {
    dir: PathBuf,
    /// The variable that names it.
    variable: Option<&'static str>,
}

impl Place {
    /// The one of a variable, if it is set.
    fn named(host: &dyn SystemReader, variable: &'static str) -> Option<Self> {
        let dir = host.env_os(variable).filter(|dir| !dir.is_empty())?;
        Some(Self { dir: dir.into(), variable: Some(variable) })
    }

    /// The one that the programs of the engine use.
    fn used(host: &dyn SystemReader) -> Self {
        let named = Self::named(host, "XDG_RUNTIME_DIR").or_else(|| Self::named(host, "TMPDIR"));
        named.unwrap_or(Self { dir: TMP.into(), variable: None })
    }
}

/// Why no file can be written in a directory.
#[derive(Debug)]
enum Trouble {
    /// Programs that run in another directory do not find it.
    Relative,
    Missing,
    Blocked(Obstacle),
    ReadOnly(Mount),
    Full(FsInfo),
    NoInodes,
}

impl Trouble {
    fn find(host: &dyn SystemReader, mounts: &Mounts, dir: &Path) -> HostResult<Option<Self>> {
        if !dir.is_absolute() {
            return Ok(Some(Self::Relative));
        }
        if let Some(obstacle) = Obstacle::find(host, dir)? {
            return Ok(Some(Self::Blocked(obstacle)));
        }
        let (real, exists) = filesystem::nearest(host, dir)?;
        if let Some(mount) = mounts.holding(&real).filter(|mount| is_read_only(mount)) {
            return Ok(Some(Self::ReadOnly(mount.clone())));
        }
        if !exists {
            return Ok(Some(Self::Missing));
        }
        Ok(match host.statfs(&real)? {
            fs if fs.size > 0 && fs.free < PAGE => Some(Self::Full(fs)),
            fs if fs.inodes > 0 && fs.inodes_free == 0 => Some(Self::NoInodes),
            _ => None,
        })
    }

    /// What is wrong, as the middle of a sentence that begins with the directory.
    fn what(&self, place: &str) -> String {
        match self {
            Self::Relative => format!("{place} is not an absolute path"),
            Self::Missing => format!("{place} does not exist"),
            Self::Blocked(Obstacle::NotADirectory(_)) => format!("{place} is not a directory"),
            Self::Blocked(obstacle) => format!("{place} does not exist ({})", obstacle.why()),
            Self::ReadOnly(_) => format!("{place} is read-only"),
            Self::Full(fs) => format!("{place} is full ({} bytes are free)", fs.free),
            Self::NoInodes => format!("{place} has no free inodes"),
        }
    }

    fn finding(&self, fails: bool, place: &Place, why: &str) -> Finding {
        let named = place.variable.map(|variable| format!(" ({variable})")).unwrap_or_default();
        let what = format!("{}, and {why}", self.what(&format!("{}{named}", place.dir.display())));
        let cause = match self {
            Self::Full(_) | Self::NoInodes => causes::DISK_FULL,
            _ => NOT_WRITABLE,
        };
        let finding = if fails { Finding::fail(cause, what) } else { Finding::warn(cause, what) };
        let finding = match self {
            Self::ReadOnly(mount) => seen(finding, mount),
            Self::Full(fs) => finding.with("free_bytes", fs.free).with("errno", "ENOSPC"),
            Self::NoInodes => finding.with("free_inodes", 0).with("errno", "ENOSPC"),
            Self::Blocked(obstacle) => obstacle.add_to(finding),
            Self::Relative | Self::Missing => finding.with("errno", "ENOENT"),
        };
        let finding = finding.with("path", place.dir.display()).hint(self.remedy(place));
        place.variable.into_iter().fold(finding, |finding, name| finding.with("variable", name))
    }

    /// What mends it.
    fn remedy(&self, place: &Place) -> String {
        let dir = quoted(&place.dir);
        let elsewhere = |usual: &str| match place.variable {
            Some(variable) => format!("`unset {variable}` before dockerd is started"),
            None => usual.to_owned(),
        };
        let mount = format!("`mount -t tmpfs -o mode=1777 tmpfs {dir}`");
        match self {
            Self::Relative => elsewhere(""),
            Self::Missing if place.variable.is_none() => format!("`mkdir -m 1777 {dir}`"),
            Self::Missing => format!("`mkdir -p -m 1777 {dir}`, or {}", elsewhere("")),
            Self::Blocked(obstacle) => format!("`{}; chmod 1777 {dir}`", obstacle.remedy()),
            Self::ReadOnly(_) => {
                format!("{mount}, or {}", elsewhere("start the outer container with --tmpfs /tmp:exec"))
            }
            Self::Full(_) | Self::NoInodes => {
                format!("{mount}, or {}", elsewhere(&format!("remove files below {dir}")))
            }
        }
    }
}

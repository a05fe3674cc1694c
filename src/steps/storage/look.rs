//! What is to be known of the storage? The directory, its file system, and what a trial there came to.

use std::path::{Path, PathBuf};

use crate::facts::confinement::UserNamespace;
use crate::facts::daemon::store::{self, graphdrivers};
use crate::facts::daemon::{Containerd, Daemon, Store};
use crate::facts::filesystem;
use crate::facts::mounts::{Mount, Mounts};
use crate::facts::programs::{self, Place, Said};
use crate::facts::version::Version;
use crate::host::trial::{Trial, TrialReport};
use crate::host::{FileKind, FsInfo, SystemReader};
use crate::step::Cx;

/// All of it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// dockerd's version.
    pub(super) version: Version,
    /// How it stores.
    pub(super) store: Store,
    /// Whether the containerd is dockerd's own, with nothing but what is built in.
    pub(super) managed: bool,
    /// Its version, where that is dockerd's own and tells it.
    pub(super) containerd: Option<Version>,
    /// `--data-root`.
    pub(super) data_root: PathBuf,
    /// Where the layers will lie.
    pub(super) dir: PathBuf,
    /// The nearest directory of it that exists, links followed: here everything was looked at.
    pub(super) base: PathBuf,
    /// What `base` is.
    pub(super) kind: FileKind,
    /// Its file system.
    pub(super) fs: FsInfo,
    /// Its mount.
    pub(super) mount: Option<Mount>,
    /// Drivers whose data is in the data root, of those that this version has.
    pub(super) prior: Vec<&'static str>,
    /// Drivers whose data is there and which this version does not have any more.
    pub(super) forgotten: Vec<&'static str>,
    /// What the trial came to.
    pub(super) trial: TrialReport,
    /// In a user namespace other than the host's.
    pub(super) user_namespace: bool,
    /// What the driver's own programs and devices lack.
    pub(super) lacks: Vec<&'static str>,
    /// What the profile wants.
    pub(super) wanted: crate::profile::Storage,
}

/// Looks, and tries.
pub(super) fn look(cx: &Cx<'_>, daemon: &Daemon) -> anyhow::Result<Seen> {
    let mut seen = glance(cx, daemon)?;
    if let Some(trial) = wanted(cx, &seen)? {
        seen.trial = cx.host.trial(&trial)?;
    }
    Ok(seen)
}

/// Begins what will be tried, while the step before is still at work.
pub(in crate::steps) fn begin(cx: &Cx<'_>, daemon: &Daemon) -> anyhow::Result<()> {
    if let Some(trial) = wanted(cx, &glance(cx, daemon)?)? {
        cx.host.trial_ahead(&trial);
    }
    Ok(())
}

/// What is to be tried: nothing where there is no directory.
fn wanted(cx: &Cx<'_>, seen: &Seen) -> anyhow::Result<Option<Trial>> {
    if seen.kind != FileKind::Dir {
        return Ok(None);
    }
    let dir = trial_base(cx.host, seen, &seen.data_root)?.join(format!(".dindcheck-{}", cx.options.run));
    let overlay = super::driver::wants_overlay(seen);
    Ok(Some(Trial::Storage { dir, overlay, userxattr: seen.user_namespace }))
}

/// Everything but the trial.
fn glance(cx: &Cx<'_>, daemon: &Daemon) -> anyhow::Result<Seen> {
    let (host, settings) = (cx.host, &daemon.settings);
    let dir = store::layers_dir(host, daemon.version, settings);
    let (base, _) = filesystem::nearest(host, &dir)?;
    let managed = settings.containerd == Containerd::Managed;
    Ok(Seen {
        version: daemon.version,
        managed,
        containerd: if managed { containerd(host)? } else { None },
        data_root: settings.data_root.clone(),
        kind: host.stat(&base)?.kind,
        fs: host.statfs(&base)?,
        mount: Mounts::read(host)?.holding(&base).cloned(),
        prior: store::prior_drivers(host, daemon.version, &settings.data_root)?,
        forgotten: forgotten(host, daemon.version, &settings.data_root)?,
        trial: TrialReport::default(),
        user_namespace: UserNamespace::read(host)? != UserNamespace::Initial,
        lacks: lacks(host)?,
        wanted: cx.options.profile.storage.clone(),
        store: settings.store.clone(),
        dir,
        base,
    })
}

/// The version of containerd: its shim's, which was asked before and answers sooner.
fn containerd(host: &dyn SystemReader) -> anyhow::Result<Option<Version>> {
    let place = programs::find(host, "containerd-shim-runc-v2", &programs::path_dirs(host))?;
    let Place::At(path) = place else { return Ok(None) };
    Ok(match programs::ask(host, &path, programs::SHIM_VERSION, &[0, 2]) {
        Said::Answered(version, _) => version,
        _ => None,
    })
}

/// Where to try. dockerd tries in the driver's own directory; a trial that was killed there would leave data
/// behind that looks like the driver's, so that the data root beside it is taken if it is the same file system.
fn trial_base(host: &dyn SystemReader, seen: &Seen, data_root: &Path) -> anyhow::Result<PathBuf> {
    let (root, _) = filesystem::nearest(host, data_root)?;
    let below = seen.base.starts_with(&root) && host.stat(&root)?.dev == host.stat(&seen.base)?.dev;
    Ok(if below { root } else { seen.base.clone() })
}

/// Data of drivers that are gone: dockerd does not see it, and its images are missing without a word.
fn forgotten(
    host: &dyn SystemReader,
    version: Version,
    data_root: &Path,
) -> anyhow::Result<Vec<&'static str>> {
    let ever = graphdrivers(Version::new(20, 10, 0));
    let mut found = Vec::new();
    for driver in ever.iter().filter(|driver| !graphdrivers(version).contains(driver)) {
        match host.list(&data_root.join(driver)) {
            Ok(names) if !names.is_empty() => found.push(*driver),
            Ok(_) => {}
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// What drivers other than overlay need and is not here.
fn lacks(host: &dyn SystemReader) -> anyhow::Result<Vec<&'static str>> {
    let mut lacks = Vec::new();
    let dirs = programs::path_dirs(host);
    for name in ["fuse-overlayfs", "zfs"] {
        if !matches!(programs::find(host, name, &dirs)?, Place::At(_)) {
            lacks.push(name);
        }
    }
    for device in ["/dev/fuse", "/dev/zfs", "/dev/loop-control"] {
        if !host.exists(Path::new(device))? {
            lacks.push(device);
        }
    }
    Ok(lacks)
}

//! Reads the state of the storage: the directory, its file system, and the result of a trial there.

use std::path::{Path, PathBuf};

use crate::facts::confinement::UserNamespace;
use crate::facts::daemon::given::{given, given_member};
use crate::facts::daemon::store::{self, graphdrivers};
use crate::facts::daemon::{Containerd, Daemon, Store};
use crate::facts::filesystem;
use crate::facts::mounts::{Mount, Mounts};
use crate::facts::programs::{self, Place, Said};
use crate::facts::version::Version;
use crate::host::trial::{Trial, TrialReport};
use crate::host::{FileKind, FsInfo, SystemReader};
use crate::step::Cx;

/// The state of the storage.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// The version of dockerd.
    pub(super) version: Version,
    /// The image store.
    pub(super) store: Store,
    /// Whether dockerd starts containerd itself, with built-in snapshotters only.
    pub(super) managed: bool,
    /// The version of that containerd, if it is known.
    pub(super) containerd: Option<Version>,
    /// `--data-root`.
    pub(super) data_root: PathBuf,
    /// The directory of the layers.
    pub(super) dir: PathBuf,
    /// Its nearest existing parent, with links resolved: everything else here is about this directory.
    pub(super) base: PathBuf,
    /// The file type of `base`.
    pub(super) kind: FileKind,
    /// The file system of `base`.
    pub(super) fs: FsInfo,
    /// The mount of `base`.
    pub(super) mount: Option<Mount>,
    /// Drivers of this version whose data is in the data root.
    pub(super) prior: Vec<&'static str>,
    /// Removed drivers whose data is in the data root.
    pub(super) forgotten: Vec<&'static str>,
    /// The report of the trial.
    pub(super) trial: TrialReport,
    /// Whether this is a user namespace other than the host's.
    pub(super) user_namespace: bool,
    /// Missing programs and devices of drivers.
    pub(super) lacks: Vec<&'static str>,
    /// The options of the storage driver.
    pub(super) options: Vec<String>,
    /// How each of them is taken out of the configuration.
    pub(super) options_undo: Vec<(String, String)>,
    /// How a configured driver is taken out of the configuration.
    pub(super) undo: String,
    /// The profile's requirements.
    pub(super) wanted: crate::profile::Storage,
}

/// What to do to be without each option of the driver.
fn options_undo(daemon: &Daemon) -> Vec<(String, String)> {
    let options = daemon.settings.values.list("storage-opts").into_iter();
    options.map(|option| (option.to_owned(), given_member(daemon, "storage-opts", option).undo)).collect()
}

/// What to do to be without the configured driver. The variable is stronger than the option.
fn undo(host: &dyn SystemReader, daemon: &Daemon) -> String {
    match host.env("DOCKER_DRIVER").filter(|value| !value.is_empty()) {
        Some(_) => "`unset DOCKER_DRIVER`".to_owned(),
        None => given(daemon, "storage-driver").undo,
    }
}

/// Reads the state and runs the trial.
pub(super) fn look(cx: &Cx<'_>, daemon: &Daemon) -> anyhow::Result<Seen> {
    let mut seen = glance(cx, daemon)?;
    if let Some(trial) = trial(cx, &seen)? {
        seen.trial = cx.host.trial(&trial)?;
    }
    Ok(seen)
}

/// Starts the trial while the step before is still running.
pub(in crate::steps) fn begin(cx: &Cx<'_>, daemon: &Daemon) -> anyhow::Result<()> {
    if super::root::judge(cx.host, &daemon.settings)?.is_some() {
        return Ok(());
    }
    if let Some(trial) = trial(cx, &glance(cx, daemon)?)? {
        cx.host.trial_ahead(&trial);
    }
    Ok(())
}

/// The trial; none if `base` is not a directory.
fn trial(cx: &Cx<'_>, seen: &Seen) -> anyhow::Result<Option<Trial>> {
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
        options: settings.values.list("storage-opts").into_iter().map(ToOwned::to_owned).collect(),
        options_undo: options_undo(daemon),
        undo: undo(cx.host, daemon),
        wanted: cx.options.profile.storage.clone(),
        store: settings.store.clone(),
        dir,
        base,
    })
}

/// The version of containerd, from its shim, which `binaries` has already asked.
fn containerd(host: &dyn SystemReader) -> anyhow::Result<Option<Version>> {
    let place = programs::find(host, "containerd-shim-runc-v2", &programs::path_dirs(host))?;
    let Place::At(path) = place else { return Ok(None) };
    Ok(match programs::ask(host, &path, programs::SHIM_VERSION, &[0, 2]) {
        Said::Answered(version, _) => version,
        _ => None,
    })
}

/// The directory of the trial. A trial that is killed in the driver's own directory would leave data that looks like the
/// driver's, so the data root is used if it is on the same file system.
fn trial_base(host: &dyn SystemReader, seen: &Seen, data_root: &Path) -> anyhow::Result<PathBuf> {
    let (root, _) = filesystem::nearest(host, data_root)?;
    let below = seen.base.starts_with(&root) && host.stat(&root)?.dev == host.stat(&seen.base)?.dev;
    Ok(if below { root } else { seen.base.clone() })
}

/// Data of removed drivers: dockerd ignores it without a message.
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

/// Missing programs and devices that drivers other than overlay need.
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

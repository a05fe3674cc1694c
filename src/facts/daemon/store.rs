//! The image store that dockerd will choose: a graphdriver, or a snapshotter of containerd.

use std::path::{Path, PathBuf};

use super::settings::{Containerd, Settings};
use super::values::Values;
use crate::facts::version::Version;
use crate::host::SystemReader;

/// The first version whose default is the containerd image store.
const CONTAINERD_BY_DEFAULT: Version = Version::new(29, 0, 0);
/// The first version that has the containerd image store, behind a feature flag.
const CONTAINERD_AT_ALL: Version = Version::new(24, 0, 0);
/// The first version that reads `DOCKER_CONTAINERD_ROOT`.
const CONTAINERD_ROOT_VARIABLE: Version = Version::new(29, 7, 0);

/// The image store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// A graphdriver; with `None` dockerd takes the first of its list that works.
    Graph(Option<String>),
    /// A snapshotter of containerd.
    Snapshotter {
        /// Its name.
        name: String,
        /// It was chosen by name or by the feature flag; otherwise it is the default.
        explicit: bool,
    },
}

/// The graphdrivers that a version has, in the order in which it tries them (`priority` in
/// daemon/graphdriver/driver_linux.go). A distribution may build dockerd without some of them.
pub const fn graphdrivers(version: Version) -> &'static [&'static str] {
    match version.major {
        0..=20 => &["btrfs", "zfs", "overlay2", "fuse-overlayfs", "aufs", "overlay", "devicemapper", "vfs"],
        21..=23 => &["overlay2", "fuse-overlayfs", "btrfs", "zfs", "aufs", "overlay", "devicemapper", "vfs"],
        24 => &["overlay2", "fuse-overlayfs", "btrfs", "zfs", "devicemapper", "vfs"],
        _ => &["overlay2", "fuse-overlayfs", "btrfs", "zfs", "vfs"],
    }
}

/// The drivers whose directory in the data root is not empty (`scanPriorDrivers`: vfs does not count).
pub fn prior_drivers(
    host: &dyn SystemReader,
    version: Version,
    data_root: &Path,
) -> anyhow::Result<Vec<&'static str>> {
    let mut prior = Vec::new();
    for driver in graphdrivers(version).iter().filter(|driver| **driver != "vfs") {
        match host.list(&data_root.join(driver)) {
            Ok(names) if names.is_empty() => {}
            Ok(_) => prior.push(*driver),
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(prior)
}

/// Chooses as daemon/image_store_choice.go of 29.7.2 does, and daemon.go of the versions before.
pub(super) fn choose(
    host: &dyn SystemReader,
    version: Version,
    values: &Values,
    driver: Option<&str>,
    data_root: &Path,
) -> anyhow::Result<Store> {
    let feature = values.feature("containerd-snapshotter");
    let named = driver.map(ToOwned::to_owned);
    let graph = Ok(Store::Graph(named.clone()));
    let is_graphdriver = driver.is_some_and(|driver| graphdrivers(version).contains(&driver));
    let snapshotter = |explicit| {
        Ok(Store::Snapshotter { name: named.clone().unwrap_or_else(|| "overlayfs".to_owned()), explicit })
    };
    if version < CONTAINERD_AT_ALL {
        return graph;
    }
    match feature {
        Some(true) => snapshotter(true),
        Some(false) => graph,
        None if version < CONTAINERD_BY_DEFAULT || is_graphdriver => graph,
        None if !prior_drivers(host, version, data_root)?.is_empty() => graph,
        None => snapshotter(driver.is_some()),
    }
}

impl Store {
    /// The name of the driver in `docker info`, where it is known before the start.
    pub fn driver(&self) -> Option<&str> {
        match self {
            Self::Graph(driver) => driver.as_deref(),
            Self::Snapshotter { name, .. } => Some(name),
        }
    }
}

/// The directory of the layers.
pub fn layers_dir(host: &dyn SystemReader, version: Version, settings: &Settings) -> PathBuf {
    match &settings.store {
        Store::Graph(driver) => settings.data_root.join(driver.as_deref().unwrap_or("overlay2")),
        Store::Snapshotter { name, .. } => {
            containerd_root(host, version, settings).join(format!("io.containerd.snapshotter.v1.{name}"))
        }
    }
}

/// The root directory of the containerd that dockerd will use.
pub fn containerd_root(host: &dyn SystemReader, version: Version, settings: &Settings) -> PathBuf {
    if settings.containerd != Containerd::Managed {
        return system_root(host);
    }
    let named = host.env_os("DOCKER_CONTAINERD_ROOT").filter(|root| !root.is_empty());
    match named {
        Some(root) if version >= CONTAINERD_ROOT_VARIABLE => root.into(),
        _ => settings.data_root.join("containerd/daemon"),
    }
}

/// `root` of /etc/containerd/config.toml, else containerd's default.
fn system_root(host: &dyn SystemReader) -> PathBuf {
    let config = host.read_text(Path::new("/etc/containerd/config.toml")).unwrap_or_default();
    // Top-level keys come before the first table.
    let own = config.lines().map(str::trim).take_while(|line| !line.starts_with('['));
    let mut roots = own.filter_map(|line| line.strip_prefix("root")?.trim_start().strip_prefix('='));
    let root = roots.next().map(|value| value.trim().trim_matches(['"', '\'']).to_owned());
    root.filter(|root| !root.is_empty()).unwrap_or_else(|| "/var/lib/containerd".to_owned()).into()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{daemon, machine};
    use super::*;
    use crate::host::FileKind;
    use crate::host::fake::Fake;

    fn store(host: &Fake, args: &[&str]) -> Store {
        daemon(host, args).settings.store
    }

    fn snapshotter(name: &str, explicit: bool) -> Store {
        Store::Snapshotter { name: name.to_owned(), explicit }
    }

    #[test]
    fn default_store_is_containerd_since_29() {
        assert_eq!(store(&machine("28.5.2"), &[]), Store::Graph(None));
        assert_eq!(store(&machine("29.7.2"), &[]), snapshotter("overlayfs", false));
        assert_eq!(store(&machine("29.7.2"), &["-s", "native"]), snapshotter("native", true));
        assert_eq!(store(&machine("29.7.2"), &["-s", "vfs"]), Store::Graph(Some("vfs".into())));
    }

    #[test]
    fn existing_graphdriver_data_keeps_the_graphdriver() {
        let host = machine("29.7.2").dir("/var/lib/docker/overlay2/l");
        assert_eq!(store(&host, &[]), Store::Graph(None));
        assert_eq!(
            store(&machine("29.7.2").dir("/var/lib/docker/vfs/dir"), &[]),
            snapshotter("overlayfs", false)
        );
    }

    #[test]
    fn feature_flag_decides_since_24() {
        let json = r#"{"features": {"containerd-snapshotter": true}}"#;
        let with = |version| machine(version).file("/etc/docker/daemon.json", json);
        assert_eq!(store(&with("20.10.24"), &[]), Store::Graph(None));
        assert_eq!(store(&with("28.5.2"), &[]), snapshotter("overlayfs", true));
        let driver = with("28.5.2").variable("DOCKER_DRIVER", "overlay2");
        assert_eq!(store(&driver, &[]), snapshotter("overlay2", true));
    }

    #[test]
    fn layers_directory_follows_from_store_and_containerd() {
        let dir = |host: &Fake, args: &[&str]| {
            let daemon = daemon(host, args);
            layers_dir(host, daemon.version, &daemon.settings).display().to_string()
        };
        assert_eq!(dir(&machine("28.5.2"), &[]), "/var/lib/docker/overlay2");
        let managed = "/d/containerd/daemon/io.containerd.snapshotter.v1.overlayfs";
        assert_eq!(dir(&machine("29.7.2"), &["--data-root=/d"]), managed);
        let host = machine("29.7.2").node("/run/containerd/containerd.sock", FileKind::Socket);
        assert_eq!(dir(&host, &[]), "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs");
        let host =
            host.file("/etc/containerd/config.toml", "version = 3\nroot = '/c'\n[grpc]\nroot = 'no'\n");
        assert_eq!(dir(&host, &[]), "/c/io.containerd.snapshotter.v1.overlayfs");
    }
}

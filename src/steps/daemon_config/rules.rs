//! Finds options that contradict each other (`verifyDaemonSettings` of daemon/daemon_unix.go) and unknown options of storage
//! drivers.

use crate::diagnosis::{CauseId, causes};
use crate::facts::daemon::given::{given, given_member};
use crate::facts::daemon::{Daemon, Store};
use crate::facts::version::Version;
use crate::finding::Finding;
use crate::redact;

/// Options that exclude each other.
const CONTRADICTION: CauseId = causes::CONTRADICTORY_DAEMON_FLAGS;

/// Checks what dockerd checks.
pub(super) fn judge(daemon: &Daemon) -> Vec<Finding> {
    let rules =
        [bridge_and_address(daemon), icc_without_iptables(daemon), ip6tables(daemon), namespaces(daemon)];
    rules.into_iter().flatten().chain(storage_options(daemon)).collect()
}

/// A user-made bridge has its own address.
fn bridge_and_address(daemon: &Daemon) -> Option<Finding> {
    let values = &daemon.settings.values;
    let bridge = values.text("bridge")?;
    let address = ["bip", "bip6"].into_iter().find(|key| values.text(key).is_some())?;
    let what = format!("bridge is `{bridge}` and {address} is set: dockerd accepts only one of them");
    Some(Finding::fail(CONTRADICTION, what).hint(format!(
        "{}; or do without the bridge of another name: {}",
        given(daemon, address).undo,
        given(daemon, "bridge").undo
    )))
}

/// Firewall rules isolate containers from each other.
fn icc_without_iptables(daemon: &Daemon) -> Option<Finding> {
    let settings = &daemon.settings;
    let since_28 = daemon.version >= Version::new(28, 0, 0);
    let missing = match settings {
        s if s.icc => None,
        s if !s.iptables => Some("iptables"),
        s if since_28 && s.ipv6 && !s.ip6tables => Some("ip6tables"),
        _ => None,
    }?;
    let what =
        format!("icc and {missing} are off: those rules are needed to isolate containers from each other");
    Some(Finding::fail(CONTRADICTION, what).hint(format!(
        "{}; or {}",
        given(daemon, missing).undo,
        given(daemon, "icc").undo
    )))
}

/// Up to 26 ip6tables is experimental.
fn ip6tables(daemon: &Daemon) -> Option<Finding> {
    let values = &daemon.settings.values;
    let asked = values.switch("ip6tables") == Some(true) && values.switch("experimental") != Some(true);
    (asked && daemon.version < Version::new(27, 0, 0)).then(|| {
        let what = format!(
            "ip6tables is on, but dockerd {} accepts it only with experimental features",
            daemon.version
        );
        Finding::fail(CONTRADICTION, what).hint("set \"experimental\": true, or remove ip6tables")
    })
}

/// Containers and plugins must not share a namespace of containerd.
fn namespaces(daemon: &Daemon) -> Option<Finding> {
    let name = |key, default| daemon.settings.values.text(key).unwrap_or(default).to_owned();
    let containers = name("containerd-namespace", "moby");
    // daemon.json accepts this name, but dockerd reads it only as a flag.
    let plugins = daemon.flags.values.get("containerd-plugins-namespace").and_then(|value| value.as_str());
    (containers == plugins.unwrap_or("plugins.moby")).then(|| {
        let what = format!("containers and plugins have the same containerd namespace `{containers}`");
        Finding::fail(CONTRADICTION, what)
    })
}

/// Options of the storage driver. A graphdriver refuses unknown options; with the containerd store dockerd ignores all of
/// them.
fn storage_options(daemon: &Daemon) -> Vec<Finding> {
    let options = daemon.settings.values.list("storage-opts");
    let Store::Graph(driver) = &daemon.settings.store else {
        return options.first().map(|option| without_effect(daemon, option)).into_iter().collect();
    };
    // The first driver that dockerd tries on an ordinary file system reads the options before it tries.
    let driver = driver.as_deref().unwrap_or("overlay2");
    let invalid = options.iter().filter_map(|option| misvalued(daemon, driver, option)).collect::<Vec<_>>();
    let wrong = options.into_iter().filter(|option| !is_known(driver, option, daemon.version));
    let refuse = |option: &str| {
        let option = redact::option_text("storage-opts", option);
        let what =
            format!("storage-opt `{option}` is not an option of the driver {driver}, which refuses it");
        Finding::fail(causes::STORAGE_OPTION_UNKNOWN_TO_DRIVER, what).with("driver", driver).hint(format!(
            "{}, or set the driver that it belongs to",
            given_member(daemon, "storage-opts", &option).undo
        ))
    };
    wrong.map(refuse).chain(invalid).collect()
}

/// A value that the driver cannot parse.
fn misvalued(daemon: &Daemon, driver: &str, option: &str) -> Option<Finding> {
    let (key, value) = option.split_once('=')?;
    let key = key.trim().to_lowercase();
    let (good, wanted) = match (driver, key.as_str()) {
        ("overlay2", "overlay2.size") | ("vfs", "size") | ("btrfs", "btrfs.min_space") => {
            (super::logging::is_size(value.trim()), "a size such as 10G")
        }
        ("overlay2", "overlay2.override_kernel_check") => {
            (super::values::go_bool(value.trim()).is_some(), "true or false")
        }
        _ => return None,
    };
    let shown = redact::option_text("storage-opts", option);
    let what = format!("storage-opt `{shown}`: {key} must be {wanted}; dockerd does not start");
    let hint = format!("{}, or set it to {wanted}", given_member(daemon, "storage-opts", option).undo);
    (!good).then(|| {
        Finding::fail(causes::STORAGE_OPTION_UNKNOWN_TO_DRIVER, what).with("driver", driver).hint(hint)
    })
}

/// The options that each driver's `parseOptions` knows.
fn is_known(driver: &str, option: &str, version: Version) -> bool {
    let Some((key, _)) = option.split_once('=') else { return driver == "fuse-overlayfs" };
    let key = key.trim().to_lowercase();
    match driver {
        "overlay2" if version >= Version::new(24, 0, 0) => key == "overlay2.size",
        "overlay2" => ["overlay2.size", "overlay2.override_kernel_check"].contains(&key.as_str()),
        "overlay" => key == "overlay.override_kernel_check",
        "btrfs" => key == "btrfs.min_space",
        "zfs" => key == "zfs.fsname",
        "vfs" => ["size", "vfs.xattrs"].contains(&key.as_str()),
        "devicemapper" => key.starts_with("dm."),
        // These have no options, or are not graphdrivers: then dockerd refuses the driver itself.
        _ => true,
    }
}

/// An option that has no effect.
fn without_effect(daemon: &Daemon, option: &str) -> Finding {
    let option = redact::option_text("storage-opts", option);
    let name = daemon.settings.store.driver().unwrap_or("overlayfs");
    let what = format!(
        "storage-opt `{option}` has no effect: the containerd snapshotter {name} does not read dockerd's options"
    );
    Finding::warn(causes::STORAGE_OPTION_UNKNOWN_TO_DRIVER, what).with("driver", name)
}

//! Finds the storage driver that the engine will use, and checks that it works.
//!
//! If no graphdriver is configured, dockerd uses the first of a list that works. The last one is vfs, which always works:
//! dockerd then copies every layer and only logs that. A driver that is configured, or whose data exists, must work. The
//! containerd store does not try its snapshotter before the first container.

use nix::errno::Errno;

use super::directory::{about, volume};
use super::look::Seen;
use crate::diagnosis::{CauseId, causes};
use crate::facts::daemon::Store;
use crate::facts::daemon::store::graphdrivers;
use crate::facts::filesystem::{self, BTRFS, FUSE, OVERLAY, XFS, ZFS};
use crate::facts::version::Version;
use crate::finding::{Finding, quoted};
use crate::host::HostError;

const CAUSE_PRIOR: CauseId = causes::PRIOR_STORAGE_DRIVER_UNAVAILABLE;

/// The first containerd whose erofs snapshotter fails on a file system without `d_type`, instead of being skipped; then
/// everything that needs a snapshotter fails, leases included.
const FAILS_WITHOUT_D_TYPE: Version = Version::new(2, 1, 0);

/// Snapshotters that are part of containerd.
const BUILT_IN: &[&str] = &["overlayfs", "native", "btrfs", "zfs", "devmapper", "blockfile", "erofs"];
/// Drivers that were removed from dockerd.
const REMOVED: &[&str] = &["aufs", "devicemapper", "overlay"];

/// Whether the engine will use overlay, as far as is known without a trial.
pub(super) fn wants_overlay(seen: &Seen) -> bool {
    match &seen.store {
        Store::Graph(Some(driver)) => driver == "overlay2" || driver == "overlay",
        Store::Graph(None) => matches!(first(seen), "overlay2" | "overlay"),
        Store::Snapshotter { name, .. } => name == "overlayfs",
    }
}

/// The driver that a daemon without a configured one tries first: that of existing data, else the first of its list for
/// this file system.
fn first(seen: &Seen) -> &'static str {
    let own = |driver: &str| match driver {
        "btrfs" => seen.fs.magic & 0xffff_ffff == BTRFS,
        "zfs" => seen.fs.magic & 0xffff_ffff == ZFS,
        _ => true,
    };
    let list = graphdrivers(seen.version);
    let prior = list.iter().find(|driver| seen.prior.contains(driver));
    prior.or_else(|| list.iter().find(|driver| own(driver))).copied().unwrap_or("overlay2")
}

/// The driver that `docker info` will show.
pub(super) fn expected(seen: &Seen) -> &str {
    match &seen.store {
        Store::Graph(Some(driver)) => driver,
        Store::Graph(None) if !wants_overlay(seen) || overlay_error(seen).is_none() => first(seen),
        Store::Graph(None) => fallback(seen),
        Store::Snapshotter { name, .. } => name,
    }
}

/// The next driver that works, if overlay does not and none is configured.
fn fallback(seen: &Seen) -> &'static str {
    let has = |names: &[&str]| names.iter().all(|name| !seen.lacks.contains(name));
    let works = |driver: &&&str| match **driver {
        "overlay2" | "overlay" | "aufs" | "devicemapper" => false,
        "fuse-overlayfs" => has(&["fuse-overlayfs"]),
        "btrfs" => seen.fs.magic & 0xffff_ffff == BTRFS,
        "zfs" => seen.fs.magic & 0xffff_ffff == ZFS && has(&["zfs", "/dev/zfs"]),
        _ => true,
    };
    graphdrivers(seen.version).iter().find(works).copied().unwrap_or("vfs")
}

/// Whether a container's root file system will be a copy, bind-mounted from the data root.
pub(super) fn copies_layers(seen: &Seen) -> bool {
    matches!(expected(seen), "vfs" | "native")
}

/// The findings on the driver.
pub(super) fn judge(seen: &Seen) -> Vec<Finding> {
    if let Some(finding) = named(seen).or_else(|| several(seen)) {
        return vec![finding];
    }
    let overlay = wants_overlay(seen).then(|| overlay(seen)).flatten();
    overlay.into_iter().chain(invisible(seen)).chain(needs(seen)).collect()
}

/// A driver that this version does not have.
fn named(seen: &Seen) -> Option<Finding> {
    let driver = seen.store.driver()?;
    let version = seen.version;
    let fail = |cause, what| Some(Finding::fail(cause, what).with("driver", driver));
    let known = graphdrivers(version).contains(&driver);
    match &seen.store {
        Store::Graph(_) if known => None,
        _ if REMOVED.contains(&driver) && !known => fail(
            causes::DAEMON_REMOVED_STORAGE_DRIVER,
            format!("dockerd {version} does not have the storage driver {driver} any more"),
        )
        .map(|finding| {
            finding.hint(format!(
                "{}; images of {driver} are saved with the old version (docker save)",
                seen.undo
            ))
        }),
        Store::Graph(_) => fail(
            causes::STORAGE_DRIVER_NOT_SUPPORTED,
            format!("dockerd {version} does not have a storage driver {driver}"),
        )
        .map(|finding| finding.hint(&seen.undo)),
        Store::Snapshotter { name, .. } if !seen.managed || BUILT_IN.contains(&name.as_str()) => None,
        Store::Snapshotter { name, .. } => {
            let what = format!(
                "the containerd image store is on, but containerd does not have a snapshotter {name}"
            );
            let why = if known { " (this is the name of a graphdriver)" } else { "" };
            let hint = format!("{}, or make it overlayfs or native", seen.undo);
            fail(causes::CONTAINERD_SNAPSHOTTER_NOT_AVAILABLE, format!("{what}{why}"))
                .map(|finding| finding.hint(hint))
        }
    }
}

/// Data of more than one driver: dockerd does not start.
fn several(seen: &Seen) -> Option<Finding> {
    (seen.store == Store::Graph(None) && seen.prior.len() > 1).then(|| {
        let drivers = seen.prior.join(" and ");
        let what = format!(
            "{} has data of {drivers}, and dockerd does not start with data of several drivers",
            seen.data_root.display()
        );
        Finding::fail(causes::SEVERAL_GRAPHDRIVERS_IN_DATA_ROOT, what)
            .with("path", seen.data_root.display())
            .hint(format!(
                "start dockerd with `--storage-driver={}` (or \"storage-driver\" in daemon.json), or remove the directories of the others",
                seen.prior[0]
            ))
    })
}

/// Data that the engine ignores.
fn invisible(seen: &Seen) -> Option<Finding> {
    let drivers = seen.forgotten.join(" and ");
    (!seen.forgotten.is_empty()).then(|| {
        let what = format!(
            "{} has data of {drivers}, which dockerd {} ignores",
            seen.data_root.display(),
            seen.version
        );
        let directories = seen.forgotten.iter().map(|driver| quoted(&seen.data_root.join(driver)));
        let directories = directories.collect::<Vec<_>>().join(" ");
        Finding::warn(CAUSE_PRIOR, what).with("path", seen.data_root.display()).hint(format!(
            "if nothing of it is needed: `rm -r {directories}`; else save its images with the old version (docker save)"
        ))
    })
}

/// The requirements of drivers other than overlay: a file system, a device.
fn needs(seen: &Seen) -> Option<Finding> {
    let prior = seen.store == Store::Graph(None) && !seen.prior.is_empty();
    let driver = if prior { first(seen) } else { seen.store.driver()? };
    let magic = seen.fs.magic & 0xffff_ffff;
    let kind = filesystem::name(seen.fs.magic);
    let missing = |names: &[&'static str]| names.iter().find(|name| seen.lacks.contains(name)).copied();
    let (cause, what) = match driver {
        "btrfs" if magic != BTRFS => (
            causes::DATA_ROOT_FILESYSTEM_UNSUPPORTED,
            format!("the driver btrfs needs btrfs, but {} is on {kind}", seen.base.display()),
        ),
        "zfs" if magic != ZFS => (
            causes::DATA_ROOT_FILESYSTEM_UNSUPPORTED,
            format!("the driver zfs needs zfs, but {} is on {kind}", seen.base.display()),
        ),
        "zfs" => (
            causes::STORAGE_DRIVER_NOT_SUPPORTED,
            format!("the driver zfs needs {}, which is missing", missing(&["zfs", "/dev/zfs"])?),
        ),
        "fuse-overlayfs" => (
            causes::STORAGE_DRIVER_NOT_SUPPORTED,
            format!("the driver fuse-overlayfs needs {}, which is missing", missing(&["/dev/fuse"])?),
        ),
        "devicemapper" => (
            causes::LOOP_DEVICES_UNAVAILABLE,
            format!("the driver devicemapper needs {}, which is missing", missing(&["/dev/loop-control"])?),
        ),
        _ => return None,
    };
    let finding = if prior {
        let base = seen.data_root.display();
        Finding::fail(
            CAUSE_PRIOR,
            format!("{base} has data of {driver}, so dockerd must use that driver: {what}"),
        )
        .with("path", &base)
        .hint("mount the file system of that driver again; or start dockerd with `--storage-driver=overlay2`, which does not see that data")
    } else {
        Finding::fail(cause, what).hint(format!("{}, or give the driver what it needs", seen.undo))
    };
    Some(about(seen, finding))
}

/// The error of the kernel for overlay.
fn overlay_error(seen: &Seen) -> Option<(&str, &HostError)> {
    let failed = seen.trial.first_failed()?;
    Some((failed.name.as_str(), failed.error.as_ref()?))
}

/// Overlay, if it will be used and does not work.
fn overlay(seen: &Seen) -> Option<Finding> {
    let (attempt, error) = overlay_error(seen)?;
    let (cause, why) = explain(seen, attempt, error);
    let must = match &seen.store {
        Store::Graph(None) if attempt == "d-type" && seen.containerd >= Some(FAILS_WITHOUT_D_TYPE) => {
            Some("containerd 2.1 and later starts no container there with any driver".to_owned())
        }
        Store::Graph(None) if seen.prior.is_empty() => None,
        Store::Graph(None) => Some(format!("the existing data is of {}", first(seen))),
        Store::Graph(Some(driver)) => Some(format!("{driver} is configured")),
        Store::Snapshotter { .. } if seen.version >= Version::new(29, 0, 0) => {
            Some("Docker starts but fails at the first container".to_owned())
        }
        Store::Snapshotter { .. } => {
            Some("the containerd image store is on and fails at the first container".to_owned())
        }
    };
    let finding = match must {
        Some(must) => with_volume(seen, Finding::fail(cause, format!("{why}: {must}"))),
        None => with_fallback(seen, cause, &why),
    };
    let finding = about(seen, finding).with("attempt", attempt).with("errno", format!("{:?}", error.errno()));
    Some(match (&seen.store, seen.dir.parent()) {
        (Store::Snapshotter { .. }, Some(root))
            if cause == causes::DATA_ROOT_CONTAINERD_SNAPSHOTTER_ON_OVERLAY =>
        {
            let at = if seen.managed { &seen.data_root } else { root };
            finding.hint(format!(
                "start the outer container with a volume there: `-v dind-images:{}`",
                quoted(at)
            ))
        }
        _ => finding,
    })
}

/// The finding if dockerd uses another driver instead.
fn with_fallback(seen: &Seen, cause: CauseId, why: &str) -> Finding {
    match fallback(seen) {
        "vfs" => Finding::warn(
            if cause == causes::OVERLAY_ON_OVERLAY_DATA_ROOT { cause } else { causes::VFS_STORAGE_DRIVER },
            format!("{why}: dockerd falls back to vfs, which is slow and copies every layer"),
        )
        .hint(volume(seen)),
        other => Finding::warn(cause, format!("{why}: dockerd uses {other} instead")),
    }
}

/// Adds what helps where overlay must work: another file system, which a volume has in most places.
fn with_volume(seen: &Seen, finding: Finding) -> Finding {
    let is_of_the_place = !matches!(
        finding.cause,
        Some(
            causes::OVERLAY_IN_USER_NAMESPACE_UNSUPPORTED
                | causes::OUTER_CONTAINER_NOT_PRIVILEGED
                | causes::KERNEL_LACKS_OVERLAYFS
        )
    );
    if is_of_the_place { finding.hint(volume(seen)) } else { finding }
}

/// The cause and the first part of the text.
fn explain(seen: &Seen, attempt: &str, error: &HostError) -> (CauseId, String) {
    let (base, kind) = (seen.base.display(), filesystem::name(seen.fs.magic));
    let magic = seen.fs.magic & 0xffff_ffff;
    let on_overlay = match seen.store {
        Store::Graph(_) => causes::OVERLAY_ON_OVERLAY_DATA_ROOT,
        Store::Snapshotter { .. } => causes::DATA_ROOT_CONTAINERD_SNAPSHOTTER_ON_OVERLAY,
    };
    match (attempt, error.errno()) {
        ("d-type", Errno::EOPNOTSUPP) => {
            let how = if magic == XFS { "xfs without ftype=1" } else { &kind };
            (causes::XFS_WITHOUT_D_TYPE, format!("{base} is on {how}, which does not support d_type"))
        }
        ("mount" | "mount-namespace", Errno::EPERM | Errno::EACCES) if seen.user_namespace => (
            causes::OVERLAY_IN_USER_NAMESPACE_UNSUPPORTED,
            format!("overlay cannot be mounted in this user namespace ({})", error.errno()),
        ),
        ("mount" | "mount-namespace", Errno::EPERM | Errno::EACCES) => (
            causes::OUTER_CONTAINER_NOT_PRIVILEGED,
            format!("overlay cannot be mounted here ({})", error.errno()),
        ),
        ("mount", Errno::ENODEV) => (causes::KERNEL_LACKS_OVERLAYFS, "the kernel has no overlay".to_owned()),
        (_, _) if magic == OVERLAY => {
            (on_overlay, format!("{base} is on overlay, and overlay cannot be stacked on overlay"))
        }
        ("mount", _) if seen.user_namespace => (
            causes::OVERLAY_IN_USER_NAMESPACE_UNSUPPORTED,
            format!("overlay does not work on {kind} in this user namespace ({error})"),
        ),
        ("mount", _) if magic == FUSE => (
            causes::DATA_ROOT_FILESYSTEM_UNSUPPORTED,
            format!("{base} is on a FUSE file system, which overlay does not support ({error})"),
        ),
        ("mount", _) => (
            causes::DATA_ROOT_FILESYSTEM_UNSUPPORTED,
            format!("{base} is on {kind}, which overlay does not support ({error})"),
        ),
        (attempt, Errno::EPERM | Errno::EACCES | Errno::EOPNOTSUPP) => (
            causes::DATA_ROOT_REFUSES_METADATA_CHANGES,
            format!("overlay on {kind} in {base} fails at {attempt} ({error})"),
        ),
        (attempt, _) => (
            causes::DATA_ROOT_FILESYSTEM_UNSUPPORTED,
            format!("overlay on {kind} in {base} fails at {attempt} ({error})"),
        ),
    }
}

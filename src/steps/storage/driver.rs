//! Which driver will be used there, and does it work?
//!
//! A graphdriver that was not named is the first of a list that works, and the last of that list is vfs, which
//! always works: dockerd then copies every layer and says so only in its log. A driver that was named, or whose
//! data is there already, must work. The containerd store does not try before the first container.

use nix::errno::Errno;

use super::look::Seen;
use super::place::about;
use crate::diagnosis::{CauseId, causes};
use crate::facts::daemon::Store;
use crate::facts::daemon::store::graphdrivers;
use crate::facts::filesystem::{self, BTRFS, FUSE, OVERLAY, XFS, ZFS};
use crate::facts::version::Version;
use crate::finding::Finding;
use crate::host::HostError;

const CAUSE_PRIOR: CauseId = causes::PRIOR_STORAGE_DRIVER_UNAVAILABLE;

/// The first whose erofs snapshotter fails, instead of being left out, on a file system that does not tell the types of
/// entries; with it fails all that needs a snapshotter, leases among them.
const FAILS_WITHOUT_D_TYPE: Version = Version::new(2, 1, 0);

/// Snapshotters that are part of containerd.
const BUILT_IN: &[&str] = &["overlayfs", "native", "btrfs", "zfs", "devmapper", "blockfile", "erofs"];
/// What dockerd had once.
const REMOVED: &[&str] = &["aufs", "devicemapper", "overlay"];

/// Whether what will be used is overlay, as far as that is known before it is tried.
pub(super) fn wants_overlay(seen: &Seen) -> bool {
    match &seen.store {
        Store::Graph(Some(driver)) => driver == "overlay2" || driver == "overlay",
        Store::Graph(None) => matches!(first(seen), "overlay2" | "overlay"),
        Store::Snapshotter { name, .. } => name == "overlayfs",
    }
}

/// The driver that a daemon with no named one will try first and keep: that of the data which is there, else
/// the first of its list that belongs to this file system.
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

/// What `docker info` will say.
pub(super) fn expected(seen: &Seen) -> &str {
    match &seen.store {
        Store::Graph(Some(driver)) => driver,
        Store::Graph(None) if !wants_overlay(seen) || overlay_error(seen).is_none() => first(seen),
        Store::Graph(None) => fallback(seen),
        Store::Snapshotter { name, .. } => name,
    }
}

/// Where overlay does not work and nothing was named: the next that does.
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

/// Whether a container's root file system will be a plain copy, bound from the data root.
pub(super) fn copies_layers(seen: &Seen) -> bool {
    matches!(expected(seen), "vfs" | "native")
}

/// What is wrong with the driver.
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
            format!("dockerd {version} has no storage driver {driver} any more"),
        ),
        Store::Graph(_) => fail(
            causes::STORAGE_DRIVER_NOT_SUPPORTED,
            format!("dockerd {version} has no storage driver {driver}"),
        ),
        Store::Snapshotter { name, .. } if !seen.managed || BUILT_IN.contains(&name.as_str()) => None,
        Store::Snapshotter { name, .. } => {
            let what = format!("the containerd image store is on, and containerd has no snapshotter {name}");
            let why = if known { " (it is the name of a graphdriver)" } else { "" };
            let hint = "remove the storage driver (option storage-driver, variable DOCKER_DRIVER), or name overlayfs or native";
            fail(causes::CONTAINERD_SNAPSHOTTER_NOT_AVAILABLE, format!("{what}{why}"))
                .map(|finding| finding.hint(hint))
        }
    }
}

/// Data of more than one driver: dockerd refuses to choose.
fn several(seen: &Seen) -> Option<Finding> {
    (seen.store == Store::Graph(None) && seen.prior.len() > 1).then(|| {
        let drivers = seen.prior.join(" and ");
        let what = format!(
            "{} has data of {drivers}, and dockerd does not choose between them",
            seen.data_root.display()
        );
        Finding::fail(causes::SEVERAL_GRAPHDRIVERS_IN_DATA_ROOT, what)
            .with("path", seen.data_root.display())
            .hint(format!("set \"storage-driver\": \"{}\", or remove the others' directories", seen.prior[0]))
    })
}

/// Data that the engine will not show.
fn invisible(seen: &Seen) -> Option<Finding> {
    let drivers = seen.forgotten.join(" and ");
    (!seen.forgotten.is_empty()).then(|| {
        let what = format!(
            "{} has data of {drivers}, which dockerd {} does not see",
            seen.data_root.display(),
            seen.version
        );
        Finding::warn(CAUSE_PRIOR, what).with("path", seen.data_root.display())
    })
}

/// What drivers other than overlay need: a file system of their own, a device.
fn needs(seen: &Seen) -> Option<Finding> {
    let prior = seen.store == Store::Graph(None) && !seen.prior.is_empty();
    let driver = if prior { first(seen) } else { seen.store.driver()? };
    let magic = seen.fs.magic & 0xffff_ffff;
    let kind = filesystem::name(seen.fs.magic);
    let missing = |names: &[&'static str]| names.iter().find(|name| seen.lacks.contains(name)).copied();
    let (cause, what) = match driver {
        "btrfs" if magic != BTRFS => (
            causes::DATA_ROOT_FILESYSTEM_UNSUPPORTED,
            format!("the driver btrfs needs btrfs, and {} is on {kind}", seen.base.display()),
        ),
        "zfs" if magic != ZFS => (
            causes::DATA_ROOT_FILESYSTEM_UNSUPPORTED,
            format!("the driver zfs needs zfs, and {} is on {kind}", seen.base.display()),
        ),
        "zfs" => (
            causes::STORAGE_DRIVER_NOT_SUPPORTED,
            format!("the driver zfs needs {}, which is not here", missing(&["zfs", "/dev/zfs"])?),
        ),
        "fuse-overlayfs" => (
            causes::STORAGE_DRIVER_NOT_SUPPORTED,
            format!("the driver fuse-overlayfs needs {}, which is not here", missing(&["/dev/fuse"])?),
        ),
        "devicemapper" => (
            causes::LOOP_DEVICES_UNAVAILABLE,
            format!("the driver devicemapper needs {}, which is not here", missing(&["/dev/loop-control"])?),
        ),
        _ => return None,
    };
    let finding = if prior {
        let base = seen.data_root.display();
        Finding::fail(
            CAUSE_PRIOR,
            format!("{base} has data of {driver}, which dockerd then must use: {what}"),
        )
        .with("path", &base)
        .hint(format!("give it the file system of that driver again, or remove {base}/{driver}"))
    } else {
        Finding::fail(cause, what)
    };
    Some(about(seen, finding))
}

/// What the kernel said against overlay.
fn overlay_error(seen: &Seen) -> Option<(&str, &HostError)> {
    let failed = seen.trial.first_failed()?;
    Some((failed.name.as_str(), failed.error.as_ref()?))
}

/// Overlay, where it is wanted and does not work.
fn overlay(seen: &Seen) -> Option<Finding> {
    let (attempt, error) = overlay_error(seen)?;
    let (cause, why) = explain(seen, attempt, error);
    let must = match &seen.store {
        Store::Graph(None) if attempt == "d-type" && seen.containerd >= Some(FAILS_WITHOUT_D_TYPE) => {
            Some("containerd 2.1 and later starts no container there, whatever the driver".to_owned())
        }
        Store::Graph(None) if seen.prior.is_empty() => None,
        Store::Graph(None) => Some(format!("the data that is there is of {}", first(seen))),
        Store::Graph(Some(driver)) => Some(format!("{driver} is asked for")),
        Store::Snapshotter { .. } if seen.version >= Version::new(29, 0, 0) => {
            Some("Docker starts all the same, and fails at the first container".to_owned())
        }
        Store::Snapshotter { .. } => {
            Some("the containerd image store is on, and fails at the first container".to_owned())
        }
    };
    let finding = match must {
        Some(must) => Finding::fail(cause, format!("{why}: {must}")),
        None => softened(seen, cause, &why),
    };
    Some(about(seen, finding).with("attempt", attempt).with("errno", format!("{:?}", error.errno())))
}

/// Where dockerd takes another driver instead.
fn softened(seen: &Seen, cause: CauseId, why: &str) -> Finding {
    match fallback(seen) {
        "vfs" => Finding::warn(
            if cause == causes::OVERLAY_ON_OVERLAY_DATA_ROOT { cause } else { causes::VFS_STORAGE_DRIVER },
            format!("{why}: dockerd falls back to vfs, slow, copies every layer"),
        )
        .hint(format!(
            "mount a volume at {} (docker run -v {} ...)",
            seen.data_root.display(),
            seen.data_root.display()
        )),
        other => Finding::warn(cause, format!("{why}: dockerd takes {other} instead")),
    }
}

/// The cause, and the sentence so far.
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
            (
                causes::XFS_WITHOUT_D_TYPE,
                format!("{base} is on {how}, which does not tell the types of entries"),
            )
        }
        ("mount" | "mount-namespace", Errno::EPERM | Errno::EACCES) if seen.user_namespace => (
            causes::OVERLAY_IN_USER_NAMESPACE_UNSUPPORTED,
            format!("overlay may not be mounted in this user namespace ({})", error.errno()),
        ),
        ("mount" | "mount-namespace", Errno::EPERM | Errno::EACCES) => (
            causes::OUTER_CONTAINER_NOT_PRIVILEGED,
            format!("overlay may not be mounted here ({})", error.errno()),
        ),
        ("mount", Errno::ENODEV) => (causes::KERNEL_LACKS_OVERLAYFS, "the kernel has no overlay".to_owned()),
        (_, _) if magic == OVERLAY => {
            (on_overlay, format!("{base} is itself on overlay, and overlay cannot be stacked on it"))
        }
        ("mount", _) if seen.user_namespace => (
            causes::OVERLAY_IN_USER_NAMESPACE_UNSUPPORTED,
            format!("overlay does not work on {kind} in this user namespace ({error})"),
        ),
        ("mount", _) if magic == FUSE => (
            causes::DATA_ROOT_FILESYSTEM_UNSUPPORTED,
            format!("{base} is on a FUSE file system, which overlay does not take ({error})"),
        ),
        ("mount", _) => (
            causes::DATA_ROOT_FILESYSTEM_UNSUPPORTED,
            format!("{base} is on {kind}, which overlay does not take ({error})"),
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

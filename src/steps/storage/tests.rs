use nix::errno::Errno;

use super::look::Seen;
use super::*;
use crate::facts::daemon::Store;
use crate::facts::daemon::tests::machine;
use crate::facts::filesystem::{BTRFS, OVERLAY, TMPFS, XFS};
use crate::facts::mounts::Mounts;
use crate::facts::version::Version;
use crate::host::fake::Fake;
use crate::host::trial::TrialReport;
use crate::host::{FileKind, FsInfo, HostError};
use crate::testing::{check_with, learn, problems};

const EXT4: i64 = 0xef53;

/// A file system with free space.
fn fs(magic: i64) -> FsInfo {
    FsInfo { magic, size: 100 << 30, free: 50 << 30, inodes: 1 << 20, inodes_free: 1 << 19, flags: 0 }
}

/// A mount at the data root.
fn mount(options: &str, fstype: &str) -> Option<crate::facts::mounts::Mount> {
    let line = format!("9 1 8:1 / /var/lib/docker {options} - {fstype} /dev/vdb rw\n");
    Mounts::parse(line.as_bytes()).unwrap().0.pop()
}

/// A trial that failed at `attempt`.
fn fails_at(attempt: &str, errno: Errno) -> TrialReport {
    let all = [
        "directory",
        "write",
        "d-type",
        "mount-namespace",
        "mount",
        "read",
        "copy-up",
        "whiteout",
        "rename",
        "opaque",
    ];
    let mut report = TrialReport::default();
    for name in all {
        let result = if name == attempt { Err(HostError::new(name, "/x", errno)) } else { Ok(()) };
        if !report.attempt(name, result) {
            break;
        }
    }
    report
}

/// A sound storage of 28.5.2.
fn sound() -> Seen {
    Seen {
        version: Version::new(28, 5, 2),
        store: Store::Graph(None),
        managed: true,
        containerd: None,
        data_root: "/var/lib/docker".into(),
        dir: "/var/lib/docker/overlay2".into(),
        base: "/var/lib/docker".into(),
        kind: FileKind::Dir,
        fs: fs(EXT4),
        mount: mount("rw,relatime", "ext4"),
        prior: Vec::new(),
        forgotten: Vec::new(),
        trial: fails_at("nothing", Errno::EIO),
        user_namespace: false,
        lacks: vec!["fuse-overlayfs", "zfs", "/dev/zfs"],
        options: Vec::new(),
        options_undo: Vec::new(),
        undo: String::new(),
        wanted: crate::profile::Storage { min_free_mib: 256, min_free_inodes: 4096 },
    }
}

fn snapshotter(name: &str) -> Store {
    Store::Snapshotter { name: name.into(), explicit: false }
}

fn judged(change: impl FnOnce(&mut Seen)) -> Vec<(Level, &'static str)> {
    let mut seen = sound();
    change(&mut seen);
    problems(&judge(&seen))
}

fn fail(cause: &'static str) -> Vec<(Level, &'static str)> {
    vec![(Level::Fail, cause)]
}

fn warn(cause: &'static str) -> Vec<(Level, &'static str)> {
    vec![(Level::Warn, cause)]
}

#[test]
fn sound_storage_gives_one_finding() {
    let found = judge(&sound());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].what, "/var/lib/docker/overlay2 is on ext4 with 50 GiB free: overlay2 works there");
    assert_eq!(judged(|seen| seen.fs = fs(TMPFS)), []);
}

#[test]
fn overlay_on_overlay_counts_by_fallback() {
    let on_overlay = |store: Store, version: Version, prior: Vec<&'static str>| {
        judged(|seen| {
            (seen.fs, seen.trial) = (fs(OVERLAY), fails_at("mount", Errno::EINVAL));
            (seen.store, seen.version, seen.prior) = (store, version, prior);
        })
    };
    let (old, new) = (Version::new(28, 5, 2), Version::new(29, 7, 2));
    assert_eq!(on_overlay(Store::Graph(None), old, vec![]), warn("overlay-on-overlay-data-root"));
    assert_eq!(on_overlay(Store::Graph(None), old, vec!["overlay2"]), fail("overlay-on-overlay-data-root"));
    let named = Store::Graph(Some("overlay2".into()));
    assert_eq!(on_overlay(named, old, vec![]), fail("overlay-on-overlay-data-root"));
    let cause = "data-root-containerd-snapshotter-on-overlay";
    assert_eq!(on_overlay(snapshotter("overlayfs"), new, vec![]), fail(cause));
    assert_eq!(on_overlay(snapshotter("native"), new, vec![]), []);
    assert_eq!(on_overlay(Store::Graph(Some("vfs".into())), old, vec![]), []);
}

#[test]
fn fallback_is_named() {
    let mut seen = sound();
    (seen.fs, seen.trial) = (fs(OVERLAY), fails_at("mount", Errno::EINVAL));
    assert!(
        judge(&seen).iter().any(|finding| finding.what.contains("vfs, which is slow and copies every layer"))
    );
    assert_eq!(driver::expected(&seen), "vfs");
    seen.lacks.clear();
    assert_eq!(driver::expected(&seen), "fuse-overlayfs");
}

#[test]
fn missing_d_type_counts_by_containerd_version() {
    let without = |containerd| {
        judged(|seen| {
            (seen.fs, seen.trial) = (fs(XFS), fails_at("d-type", Errno::EOPNOTSUPP));
            seen.containerd = containerd;
        })
    };
    assert_eq!(without(Some(Version::new(1, 7, 24))), warn("vfs-storage-driver"));
    assert_eq!(without(Some(Version::new(2, 1, 9))), fail("xfs-without-d-type"));
    assert_eq!(without(None), warn("vfs-storage-driver"));
}

#[test]
fn data_of_a_driver_for_another_file_system_fails() {
    assert_eq!(judged(|seen| seen.prior = vec!["btrfs"]), fail("prior-storage-driver-unavailable"));
    let on_btrfs = judged(|seen| (seen.prior, seen.fs) = (vec!["btrfs"], fs(BTRFS)));
    assert_eq!(on_btrfs, []);
}

#[test]
fn each_error_of_overlay_has_its_cause() {
    let refused = |attempt, errno, magic, user_namespace| {
        judged(|seen| {
            seen.store = Store::Graph(Some("overlay2".into()));
            (seen.fs, seen.trial, seen.user_namespace) =
                (fs(magic), fails_at(attempt, errno), user_namespace);
        })
    };
    assert_eq!(refused("mount", Errno::ENODEV, EXT4, false), fail("kernel-lacks-overlayfs"));
    assert_eq!(refused("mount", Errno::EPERM, EXT4, false), fail("outer-container-not-privileged"));
    assert_eq!(refused("mount", Errno::EPERM, EXT4, true), fail("overlay-in-user-namespace-unsupported"));
    assert_eq!(refused("mount", Errno::EINVAL, 0x6969, false), fail("data-root-filesystem-unsupported"));
    assert_eq!(refused("d-type", Errno::EOPNOTSUPP, XFS, false), fail("xfs-without-d-type"));
    assert_eq!(refused("whiteout", Errno::EPERM, EXT4, false), fail("data-root-refuses-metadata-changes"));
    assert_eq!(refused("copy-up", Errno::EIO, EXT4, false), fail("data-root-filesystem-unsupported"));
}

#[test]
fn each_write_error_has_its_cause() {
    let refused = |attempt, errno| judged(|seen| seen.trial = fails_at(attempt, errno));
    assert_eq!(refused("directory", Errno::EROFS), fail("data-root-read-only"));
    assert_eq!(refused("write", Errno::ENOSPC), fail("disk-full"));
    assert_eq!(refused("write", Errno::EDQUOT), fail("disk-full"));
    assert_eq!(refused("directory", Errno::EACCES), fail("data-root-not-writable"));
    assert_eq!(judged(|seen| seen.kind = FileKind::File), fail("data-root-not-writable"));
    let mut seen = sound();
    (seen.trial, seen.mount) = (fails_at("directory", Errno::EROFS), mount("ro", "ext4"));
    assert_eq!(judge(&seen)[0].hint.as_deref(), Some("`mount -o remount,bind,rw /var/lib/docker`"));
}

#[test]
fn space_and_inodes_are_compared_with_the_profile() {
    assert_eq!(judged(|seen| seen.fs.free = 200 << 20), warn("low-disk-space"));
    assert_eq!(judged(|seen| seen.fs.free = 256 << 20), []);
    assert_eq!(judged(|seen| seen.fs.free = 1 << 20), fail("disk-full"));
    assert_eq!(judged(|seen| seen.fs.inodes_free = 10), warn("low-inodes"));
    assert_eq!(judged(|seen| (seen.fs.inodes, seen.fs.inodes_free) = (0, 0)), []);
}

#[test]
fn mount_flags_count_by_driver() {
    let flagged = |options: &str, driver: &str| {
        judged(|seen| {
            seen.mount = mount(options, "ext4");
            seen.store = Store::Graph(Some(driver.into()));
        })
    };
    assert_eq!(flagged("rw,nosuid,nodev", "overlay2"), []);
    assert_eq!(flagged("rw,noexec", "overlay2"), warn("data-root-noexec"));
    assert_eq!(flagged("rw,noexec", "vfs"), fail("data-root-noexec"));
    let both = [(Level::Warn, "data-root-nodev"), (Level::Warn, "data-root-nosuid")];
    assert_eq!(flagged("rw,nosuid,nodev", "vfs"), both);
}

#[test]
fn unknown_and_removed_drivers_are_named() {
    let asked = |driver: &str, major| {
        judged(|seen| {
            seen.version = Version::new(major, 0, 0);
            seen.store = Store::Graph(Some(driver.into()));
        })
    };
    assert_eq!(asked("aufs", 28), fail("daemon-removed-storage-driver"));
    assert_eq!(asked("devicemapper", 24), []);
    assert_eq!(asked("nonsense", 28), fail("storage-driver-not-supported"));
    assert_eq!(asked("btrfs", 28), fail("data-root-filesystem-unsupported"));
    assert_eq!(asked("fuse-overlayfs", 28), []);
    let store =
        |name: &str, managed| judged(|seen| (seen.store, seen.managed) = (snapshotter(name), managed));
    assert_eq!(store("overlay2", true), fail("containerd-snapshotter-not-available"));
    assert_eq!(store("aufs", true), fail("daemon-removed-storage-driver"));
    assert_eq!(store("stargz", true), fail("containerd-snapshotter-not-available"));
    assert_eq!(store("stargz", false), []);
}

#[test]
fn data_of_other_drivers_is_found() {
    let prior = |prior: &[&'static str]| judged(|seen| seen.prior = prior.to_vec());
    assert_eq!(prior(&["overlay2"]), []);
    assert_eq!(prior(&["overlay2", "btrfs"]), fail("several-graphdrivers-in-data-root"));
    assert_eq!(judged(|seen| seen.forgotten = vec!["aufs"]), warn("prior-storage-driver-unavailable"));
}

#[test]
fn btrfs_and_zfs_use_their_own_driver() {
    let mut seen = sound();
    (seen.version, seen.fs) = (Version::new(20, 10, 24), fs(BTRFS));
    assert_eq!(driver::expected(&seen), "btrfs");
    seen.version = Version::new(28, 5, 2);
    assert_eq!(driver::expected(&seen), "overlay2");
}

/// A machine whose data root does not exist yet.
fn world() -> Fake {
    machine("28.5.2")
        .dir("/var/lib")
        .filesystem("/var/lib", fs(EXT4))
        .file("/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/vda rw\n")
}

#[test]
fn nearest_existing_directory_is_checked_and_the_driver_reported() {
    let (found, learned) = learn(&STEP, &world().answers_trial(fails_at("nothing", Errno::EIO)));
    let found = found.unwrap();
    assert_eq!(problems(&found), []);
    assert!(found[0].evidence.contains(&("tried", "/var/lib".to_owned())), "{found:?}");
    assert_eq!(learned.storage_driver.as_deref(), Some("overlay2"));
}

#[test]
fn failed_trial_is_an_error() {
    assert!(check_with(&STEP, &world(), &[]).is_err());
}

/// The findings with these options of the driver on that file system.
fn with_quota(magic: i64, super_options: &str, options: &[&str], store: Store) -> Vec<(Level, &'static str)> {
    judged(|seen| {
        seen.fs = fs(magic);
        let line = format!("9 1 8:1 / /var/lib/docker rw - x /dev/vdb {super_options}\n");
        seen.mount = Mounts::parse(line.as_bytes()).unwrap().0.pop();
        seen.options = options.iter().map(ToString::to_string).collect();
        seen.store = store;
    })
}

#[test]
fn size_limit_needs_xfs_with_project_quotas() {
    let overlay2 = || Store::Graph(Some("overlay2".into()));
    let size = &["overlay2.size=1G"];
    assert_eq!(with_quota(EXT4, "rw", size, overlay2()), fail("storage-quota-unsupported"));
    assert_eq!(with_quota(EXT4, "rw", size, Store::Graph(None)), fail("storage-quota-unsupported"));
    assert_eq!(with_quota(XFS, "rw,noquota", size, overlay2()), fail("storage-quota-unsupported"));
    assert_eq!(with_quota(XFS, "rw,prjquota", size, overlay2()), []);
    assert_eq!(with_quota(EXT4, "rw", &["overlay2.size=0"], overlay2()), []);
    assert_eq!(
        with_quota(EXT4, "rw", size, snapshotter("overlayfs")),
        [],
        "the snapshotter does not read it"
    );
    let vfs = Store::Graph(Some("vfs".into()));
    assert_eq!(with_quota(EXT4, "rw", &["size=1G"], vfs), fail("storage-quota-unsupported"));
}

#[test]
fn data_root_that_cannot_be_made_is_the_only_finding() {
    let host = || machine("28.5.2").link("/d", "/none").link("/l", "/l");
    for root in ["/d", "/d/docker", "/l", "rel"] {
        let found = check_with(&STEP, &host(), &[&format!("--data-root={root}")]).unwrap();
        assert_eq!(problems(&found), fail("data-root-not-writable"), "{root}");
        assert!(found[0].hint.is_some(), "{root}");
    }
}

#[test]
fn storage_of_a_daemon_that_is_not_visible_here_is_not_checked() {
    let found = crate::testing::check_attached(&STEP, &machine("28.5.2"), "unix:///x.sock").unwrap();
    assert_eq!(problems(&found), []);
    assert!(found[0].what.starts_with("not checked: the daemon at unix:///x.sock"), "{found:?}");
}

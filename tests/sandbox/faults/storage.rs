//! Faults of `storage`: where the data root is, and what is in it.

use crate::fault::{EVERY_ENGINE, FAULT, Fault, IMPATIENT, WARNING};
use crate::world::Suite;

const STORAGE: Fault = Fault { step: "storage", ..FAULT };
const WARNED: Fault = Fault { step: "storage", ..WARNING };
const VFS: &[&str] = &["--storage-driver=vfs"];
const NOT_A_VOLUME: &str = "umount /var/lib/docker";
const CONTAINERD_STORE: &str = "mkdir -p /etc/docker; echo '{\"features\": {\"containerd-snapshotter\": true}}' >/etc/docker/daemon.json; umount /var/lib/docker";

/// An ext4 image of that many MiB, made with these options, at the data root.
macro_rules! image {
    ($mib:literal, $options:literal, $more:literal) => {
        concat!(
            "umount /var/lib/docker; truncate -s ",
            $mib,
            "M /opt/image; mkfs.ext4 -q ",
            $options,
            " /opt/image; mount -o loop /opt/image /var/lib/docker",
            $more
        )
    };
}

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "data-root-on-overlay",
        breaks: NOT_A_VOLUME,
        cause: "overlay-on-overlay-data-root",
        suites: EVERY_ENGINE,
        ..WARNED
    },
    Fault {
        name: "overlay2-on-overlay",
        breaks: NOT_A_VOLUME,
        dockerd: &["--storage-driver=overlay2"],
        cause: "overlay-on-overlay-data-root",
        suites: EVERY_ENGINE,
        ..STORAGE
    },
    Fault {
        name: "containerd-store-on-overlay",
        breaks: CONTAINERD_STORE,
        cause: "data-root-containerd-snapshotter-on-overlay",
        suites: &[Suite::Trixie, Suite::Forky],
        ..STORAGE
    },
    Fault {
        name: "data-root-read-only",
        breaks: "mount -o remount,bind,ro /var/lib/docker",
        cause: "data-root-read-only",
        ..STORAGE
    },
    Fault {
        name: "data-root-noexec",
        breaks: "mount -o remount,bind,noexec /var/lib/docker",
        cause: "data-root-noexec",
        ..WARNED
    },
    Fault {
        name: "data-root-noexec-with-vfs",
        breaks: "mount -o remount,bind,noexec /var/lib/docker",
        dockerd: VFS,
        cause: "data-root-noexec",
        ..STORAGE
    },
    Fault {
        name: "data-root-nodev",
        breaks: "mount -o remount,bind,nodev /var/lib/docker",
        dockerd: VFS,
        cause: "data-root-nodev",
        ..WARNED
    },
    Fault {
        name: "data-root-nosuid",
        breaks: "mount -o remount,bind,nosuid /var/lib/docker",
        dockerd: VFS,
        cause: "data-root-nosuid",
        ..WARNED
    },
    Fault {
        name: "data-root-is-a-file",
        breaks: "umount /var/lib/docker; rmdir /var/lib/docker; : >/var/lib/docker",
        cause: "data-root-not-writable",
        ..STORAGE
    },
    Fault {
        name: "data-root-with-little-space",
        breaks: "mount -t tmpfs -o size=2g none /var/lib/docker",
        profile: "storage: {min_free_mib: 4096}",
        cause: "low-disk-space",
        ..WARNED
    },
    Fault {
        name: "data-root-with-few-inodes",
        breaks: "mount -t tmpfs -o size=1g,nr_inodes=3000 none /var/lib/docker",
        cause: "low-inodes",
        ..WARNED
    },
    Fault {
        name: "data-root-full",
        breaks: "mount -t tmpfs -o size=1m none /var/lib/docker; dd if=/dev/zero of=/var/lib/docker/ballast bs=1k 2>&1 || true",
        cause: "disk-full",
        ..STORAGE
    },
    Fault {
        name: "data-root-without-inodes",
        breaks: "mount -t tmpfs -o size=64m,nr_inodes=3 none /var/lib/docker; : >/var/lib/docker/a; : >/var/lib/docker/b || true",
        profile: IMPATIENT,
        cause: "disk-full",
        ..STORAGE
    },
    Fault {
        name: "data-root-immutable",
        breaks: image!("1000", "", "; chattr +i /var/lib/docker"),
        cause: "data-root-not-writable",
        ..STORAGE
    },
    Fault {
        name: "data-root-without-d-type",
        breaks: image!("1000", "-O ^filetype,^has_journal", ""),
        cause: "xfs-without-d-type",
        ..STORAGE
    },
    Fault {
        name: "data-root-without-d-type-for-an-older-containerd",
        breaks: image!("1000", "-O ^filetype,^has_journal", ""),
        cause: "vfs-storage-driver",
        suites: &[Suite::Bookworm, Suite::Trixie],
        ..WARNED
    },
    Fault {
        name: "overlay2-without-d-type",
        breaks: image!("64", "-O ^filetype,^has_journal", ""),
        dockerd: &["--storage-driver=overlay2"],
        cause: "xfs-without-d-type",
        ..STORAGE
    },
    Fault {
        name: "devicemapper-without-loop-devices",
        breaks: "rm /dev/loop*",
        dockerd: &["--storage-driver=devicemapper"],
        cause: "loop-devices-unavailable",
        suites: &[Suite::Bookworm],
        ..STORAGE
    },
    Fault {
        name: "a-driver-that-was-removed",
        dockerd: &["--storage-driver=aufs"],
        cause: "daemon-removed-storage-driver",
        suites: &[Suite::Trixie, Suite::Forky],
        ..STORAGE
    },
    Fault {
        name: "devicemapper-after-25",
        dockerd: &["--storage-driver=devicemapper"],
        cause: "daemon-removed-storage-driver",
        suites: &[Suite::Trixie, Suite::Forky],
        ..STORAGE
    },
    Fault {
        name: "a-graphdriver-for-the-containerd-store",
        breaks: "mkdir -p /etc/docker; echo '{\"features\": {\"containerd-snapshotter\": true}}' >/etc/docker/daemon.json",
        env: &[("DOCKER_DRIVER", "overlay2")],
        cause: "containerd-snapshotter-not-available",
        suites: &[Suite::Forky],
        ..STORAGE
    },
    Fault {
        name: "aufs-used-before",
        breaks: "mkdir -p /var/lib/docker/aufs/x",
        cause: "prior-storage-driver-unavailable",
        suites: &[Suite::Trixie, Suite::Forky],
        ..WARNED
    },
    Fault {
        name: "several-drivers-used-before",
        breaks: "mkdir -p /var/lib/docker/overlay2/x /var/lib/docker/btrfs/x",
        cause: "several-graphdrivers-in-data-root",
        ..STORAGE
    },
    Fault {
        name: "btrfs-used-before",
        breaks: "mkdir -p /var/lib/docker/btrfs/x",
        cause: "prior-storage-driver-unavailable",
        suites: EVERY_ENGINE,
        ..STORAGE
    },
    Fault {
        name: "overlay2-used-before-on-overlay",
        breaks: "umount /var/lib/docker; mkdir -p /var/lib/docker/overlay2/x",
        cause: "overlay-on-overlay-data-root",
        ..STORAGE
    },
    Fault {
        name: "btrfs-on-ext4",
        dockerd: &["--storage-driver=btrfs"],
        cause: "data-root-filesystem-unsupported",
        ..STORAGE
    },
    Fault {
        name: "zfs-without-zfs",
        dockerd: &["--storage-driver=zfs"],
        cause: "data-root-filesystem-unsupported",
        ..STORAGE
    },
    Fault {
        name: "fuse-overlayfs-without-its-program",
        dockerd: &["--storage-driver=fuse-overlayfs"],
        cause: "fuse-overlayfs-program-missing",
        step: "binaries",
        ..FAULT
    },
    Fault {
        name: "an-unknown-driver",
        dockerd: &["--storage-driver=nosuch"],
        cause: "storage-driver-not-supported",
        ..STORAGE
    },
    Fault {
        name: "data-root-is-a-dangling-link",
        breaks: "umount /var/lib/docker; rmdir /var/lib/docker; ln -s /opt/nowhere /var/lib/docker",
        cause: "data-root-not-writable",
        suites: EVERY_ENGINE,
        ..STORAGE
    },
    Fault {
        name: "data-root-is-a-link-to-itself",
        breaks: "umount /var/lib/docker; rmdir /var/lib/docker; ln -s docker /var/lib/docker",
        cause: "data-root-not-writable",
        ..STORAGE
    },
    Fault {
        name: "data-root-relative",
        dockerd: &["--data-root=opt/data"],
        profile: IMPATIENT,
        cause: "data-root-not-writable",
        ..STORAGE
    },
    Fault {
        name: "data-root-with-temporary-files-read-only",
        breaks: "mkdir -p /var/lib/docker/tmp; mount -t tmpfs -o ro none /var/lib/docker/tmp",
        cause: "data-root-read-only",
        ..STORAGE
    },
    Fault {
        name: "size-limit-without-quotas",
        dockerd: &["--storage-opt=overlay2.size=1G"],
        cause: "storage-quota-unsupported",
        suites: EVERY_ENGINE,
        ..STORAGE
    },
    Fault {
        name: "size-limit-of-vfs-without-quotas",
        dockerd: &["--storage-driver=vfs", "--storage-opt=size=1G"],
        cause: "storage-quota-unsupported",
        ..STORAGE
    },
];

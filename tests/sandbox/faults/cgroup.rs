//! Faults of `cgroup-mounts` and `cgroup-delegation`.

use crate::fault::{EVERY_ENGINE, FAULT, Fault, Real, Repair, WARNING};

const MOUNTS: Fault = Fault { step: "cgroup-mounts", ..FAULT };
const MOUNTS_WARNING: Fault = Fault { step: "cgroup-mounts", ..WARNING };
const DELEGATION: Fault = Fault { step: "cgroup-delegation", ..FAULT };

const NOT_MOUNTED: &str = "cgroup-v1-devices-not-mounted";
const CONTROLLER: &str = "cgroup-limit-controller-unavailable";
const V1_CONTROLLER: &str = "cgroup-v1-controller-missing";
const READ_ONLY: &str = "cgroup-mounted-read-only";
const HOST_ROOT: &str = "its inner containers' cgroups would be made in the machine's own root";

pub(crate) const FAULTS: &[Fault] = &[
    // Docker 1.7 mounted no cgroups into containers.
    Fault {
        name: "cgroups-not-mounted",
        breaks: "umount -R /sys/fs/cgroup",
        cause: NOT_MOUNTED,
        repair: Repair::Repaired,
        suites: EVERY_ENGINE,
        ..MOUNTS
    },
    Fault {
        name: "cgroup-tmpfs-empty",
        breaks: "for d in /sys/fs/cgroup/*; do umount $d; rmdir $d; done",
        cause: NOT_MOUNTED,
        repair: Repair::Repaired,
        ..MOUNTS
    },
    Fault {
        name: "devices-not-mounted",
        breaks: "umount /sys/fs/cgroup/devices",
        cause: NOT_MOUNTED,
        repair: Repair::Repaired,
        suites: EVERY_ENGINE,
        ..MOUNTS
    },
    Fault {
        name: "devices-hidden-by-tmpfs",
        breaks: "mount -t tmpfs none /sys/fs/cgroup",
        cause: NOT_MOUNTED,
        repair: Repair::Repaired,
        ..MOUNTS
    },
    Fault {
        name: "all-hierarchies-read-only",
        breaks: "for d in /sys/fs/cgroup/*; do mount -o remount,bind,ro $d; done",
        cause: READ_ONLY,
        repair: Repair::Repaired,
        ..MOUNTS
    },
    Fault {
        name: "devices-read-only",
        breaks: "mount -o remount,bind,ro /sys/fs/cgroup/devices",
        cause: READ_ONLY,
        repair: Repair::Repaired,
        ..MOUNTS
    },
    Fault {
        name: "pids-read-only",
        breaks: "mount -o remount,bind,ro /sys/fs/cgroup/pids",
        cause: READ_ONLY,
        repair: Repair::Repaired,
        ..MOUNTS
    },
    Fault {
        name: "cgroup-tmpfs-and-hierarchies-read-only",
        breaks: "for d in /sys/fs/cgroup/* /sys/fs/cgroup; do mount -o remount,bind,ro $d; done",
        cause: READ_ONLY,
        repair: Repair::Repaired,
        ..MOUNTS
    },
    Fault {
        name: "memory-required-and-not-mounted",
        breaks: "umount /sys/fs/cgroup/memory",
        profile: "controllers: {required: [devices, memory]}",
        cause: V1_CONTROLLER,
        repair: Repair::Repaired,
        ..MOUNTS
    },
    Fault {
        name: "pids-required-and-not-mounted",
        breaks: "umount /sys/fs/cgroup/pids",
        profile: "controllers: {required: [devices, pids]}",
        cause: V1_CONTROLLER,
        repair: Repair::Repaired,
        ..MOUNTS
    },
    Fault {
        name: "memory-not-mounted",
        breaks: "umount /sys/fs/cgroup/memory",
        cause: V1_CONTROLLER,
        ..MOUNTS_WARNING
    },
    Fault {
        name: "cpu-not-mounted",
        breaks: "umount /sys/fs/cgroup/cpu",
        cause: V1_CONTROLLER,
        ..MOUNTS_WARNING
    },
    Fault {
        name: "freezer-not-mounted",
        breaks: "umount /sys/fs/cgroup/freezer",
        cause: V1_CONTROLLER,
        ..MOUNTS_WARNING
    },
    Fault {
        name: "systemd-hierarchy-not-mounted",
        breaks: "umount /sys/fs/cgroup/systemd",
        cause: "cgroup-v1-systemd-hierarchy-not-mounted",
        suites: EVERY_ENGINE,
        ..MOUNTS_WARNING
    },
    Fault {
        name: "net-prio-required-and-without-hierarchy",
        breaks: "",
        profile: "controllers: {required: [devices, net_prio]}",
        cause: CONTROLLER,
        real: Real::NotTried("no container of the ladder asks for that controller"),
        ..MOUNTS
    },
    Fault {
        name: "hierarchies-show-the-host-root",
        breaks: "for d in cpu memory devices; do umount /sys/fs/cgroup/$d; mount -t cgroup -o $d cgroup /sys/fs/cgroup/$d; done",
        cause: "cgroup-v1-foreign-root",
        real: Real::NotTried(HOST_ROOT),
        ..MOUNTS_WARNING
    },
    Fault {
        name: "pids-shows-another-sub-tree",
        breaks: "mkdir /sys/fs/cgroup/pids/other; mount --bind /sys/fs/cgroup/pids/other /mnt; umount /sys/fs/cgroup/pids; mount --move /mnt /sys/fs/cgroup/pids",
        cause: "cgroup-root-miscomputed",
        ..MOUNTS_WARNING
    },
    Fault {
        name: "v2-view-without-controllers",
        breaks: V2_VIEW,
        under: &["unshare", "--cgroup"],
        profile: "controllers: {required: [memory, pids]}",
        cause: "cgroup-controllers-missing",
        ..MOUNTS
    },
    Fault {
        name: "v2-view-read-only",
        breaks: V2_VIEW_READ_ONLY,
        under: &["unshare", "--cgroup"],
        profile: "controllers: {wanted: []}",
        cause: READ_ONLY,
        repair: Repair::Repaired,
        ..MOUNTS
    },
    Fault {
        name: "v2-root-threaded",
        breaks: V2_VIEW_THREADED,
        under: &["unshare", "--cgroup"],
        profile: "controllers: {wanted: []}",
        cause: "cgroup-root-threaded",
        repair: Repair::Repaired,
        real: Real::NotTried(
            "this machine's v2 tree has no controllers that a threaded root would keep back",
        ),
        ..DELEGATION
    },
    Fault {
        name: "cpuset-of-another-sub-tree-is-empty",
        breaks: "mkdir /sys/fs/cgroup/cpuset/other; mount --bind /sys/fs/cgroup/cpuset/other /mnt; umount /sys/fs/cgroup/cpuset; mount --move /mnt /sys/fs/cgroup/cpuset",
        cause: "cgroup-v1-cpuset-not-initialised",
        ..DELEGATION
    },
    Fault {
        name: "devices-of-the-outer-container-denied",
        breaks: "cd /sys/fs/cgroup/devices; echo a >devices.deny; for d in 'c *:* m' 'b *:* m' 'c 1:3 rwm' 'c 1:5 rwm' 'c 1:7 rwm' 'c 1:8 rwm' 'c 1:9 rwm' 'c 5:0 rwm' 'c 5:2 rwm' 'c 136:* rwm'; do echo \"$d\" >devices.allow; done",
        cause: "outer-device-cgroup-denies-device",
        ..DELEGATION
    },
    Fault {
        name: "v2-view-of-the-host",
        breaks: "umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup /sys/fs/cgroup",
        profile: "controllers: {wanted: []}",
        cause: "cgroup-host-namespace",
        step: "cgroup-delegation",
        real: Real::NotTried(HOST_ROOT),
        ..WARNING
    },
];

/// What the kernel still has in its v2 tree, as a container with a private cgroup namespace sees it.
const V2_VIEW: &str = "umount -R /sys/fs/cgroup; unshare --cgroup mount -t cgroup2 cgroup /sys/fs/cgroup";
const V2_VIEW_READ_ONLY: &str = "umount -R /sys/fs/cgroup; unshare --cgroup mount -t cgroup2 cgroup /sys/fs/cgroup; mount -o remount,bind,ro /sys/fs/cgroup";
const V2_VIEW_THREADED: &str = "umount -R /sys/fs/cgroup; unshare --cgroup mount -t cgroup2 cgroup /sys/fs/cgroup; mkdir /sys/fs/cgroup/left; echo threaded >/sys/fs/cgroup/left/cgroup.type";

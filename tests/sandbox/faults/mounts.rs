//! Faults of `mounts`: what Docker leaves read-only, masked or out of a container that is not privileged.

use crate::fault::{EVERY_ENGINE, FAULT, Fault, Real, Repair, WARNING};

const MOUNTS: Fault = Fault { step: "mounts", ..FAULT };
const WARNED: Fault = Fault { step: "mounts", ..WARNING };
const NODE: Fault = Fault { cause: "dev-node-missing", repair: Repair::Repaired, ..MOUNTS };

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "proc-sys-read-only",
        breaks: "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys",
        cause: "proc-sys-read-only",
        repair: Repair::Repaired,
        ..MOUNTS
    },
    Fault {
        name: "proc-read-only",
        breaks: "mount -o remount,bind,ro /proc",
        cause: "proc-sys-read-only",
        repair: Repair::Repaired,
        ..MOUNTS
    },
    Fault {
        name: "sys-read-only",
        breaks: "mount -o remount,bind,ro /sys",
        cause: "sys-read-only",
        ..WARNED
    },
    Fault {
        name: "proc-masked",
        breaks: "for f in keys timer_list interrupts; do mount --bind /dev/null /proc/$f; done; mount -t tmpfs -o ro none /proc/acpi",
        cause: "proc-masked",
        ..WARNED
    },
    Fault { name: "no-dev-null", breaks: "rm /dev/null", ..NODE },
    Fault {
        name: "dev-null-is-a-file",
        breaks: "rm /dev/null; : >/dev/null",
        repair: Repair::None,
        real: Real::Survives,
        level: WARNING.level,
        ..NODE
    },
    Fault {
        name: "no-dev-zero",
        breaks: "rm /dev/zero",
        ..Fault { level: WARNING.level, real: Real::Survives, repair: Repair::None, ..NODE }
    },
    Fault {
        name: "no-dev-urandom",
        breaks: "rm /dev/urandom",
        ..Fault { level: WARNING.level, real: Real::Survives, repair: Repair::None, ..NODE }
    },
    Fault {
        name: "no-dev-fuse",
        breaks: "rm /dev/fuse",
        ..Fault { level: WARNING.level, real: Real::Survives, repair: Repair::None, ..NODE }
    },
    Fault { name: "dev-nodev", breaks: "mount -o remount,nodev /dev", ..NODE },
    Fault {
        name: "no-dev-shm",
        breaks: "umount /dev/shm; rmdir /dev/shm",
        ..Fault { level: WARNING.level, real: Real::Survives, repair: Repair::None, ..NODE }
    },
    Fault {
        name: "no-dev-pts",
        breaks: "umount /dev/pts",
        ..Fault { level: WARNING.level, real: Real::Survives, repair: Repair::None, ..NODE }
    },
    Fault {
        name: "tmp-read-only",
        breaks: "mount -t tmpfs -o ro none /tmp",
        cause: "tmp-not-writable",
        suites: EVERY_ENGINE,
        ..MOUNTS
    },
    Fault {
        name: "root-read-only",
        breaks: "mount -o remount,bind,ro /",
        cause: "tmp-not-writable",
        ..MOUNTS
    },
    Fault {
        name: "tmp-missing",
        breaks: "rm -rf /tmp",
        cause: "tmp-not-writable",
        suites: EVERY_ENGINE,
        ..MOUNTS
    },
    Fault { name: "tmp-is-a-file", breaks: "rm -rf /tmp; : >/tmp", cause: "tmp-not-writable", ..MOUNTS },
    Fault {
        name: "tmp-is-a-dangling-link",
        breaks: "rm -rf /tmp; ln -s /nowhere /tmp",
        cause: "tmp-not-writable",
        ..MOUNTS
    },
    Fault {
        name: "tmp-full",
        breaks: "mount -t tmpfs -o size=4k none /tmp; dd if=/dev/zero of=/tmp/ballast bs=1k 2>&1 || true",
        cause: "disk-full",
        suites: EVERY_ENGINE,
        ..MOUNTS
    },
    Fault {
        name: "tmp-without-inodes",
        breaks: "mount -t tmpfs -o nr_inodes=1 none /tmp",
        cause: "disk-full",
        ..MOUNTS
    },
    Fault {
        name: "tmpdir-missing",
        env: &[("TMPDIR", "/nowhere")],
        cause: "tmp-not-writable",
        suites: EVERY_ENGINE,
        ..MOUNTS
    },
    Fault { name: "tmpdir-relative", env: &[("TMPDIR", "tmp")], cause: "tmp-not-writable", ..MOUNTS },
    Fault {
        name: "runtime-dir-missing",
        env: &[("XDG_RUNTIME_DIR", "/nowhere")],
        cause: "tmp-not-writable",
        ..MOUNTS
    },
    Fault {
        name: "tmp-missing-beside-a-tmpdir",
        breaks: "mkdir /opt/tmp; rm -rf /tmp",
        env: &[("TMPDIR", "/opt/tmp")],
        cause: "tmp-not-writable",
        ..WARNED
    },
    Fault {
        name: "docker-tmpdir-is-a-file",
        breaks: ": >/opt/file",
        env: &[("DOCKER_TMPDIR", "/opt/file")],
        cause: "tmp-not-writable",
        suites: EVERY_ENGINE,
        ..MOUNTS
    },
];

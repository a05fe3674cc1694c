//! Faults of `privileges`: capabilities, users, system calls that are refused.

use nix::libc::{EPERM, SYS_acct, SYS_clone3, SYS_keyctl, SYS_mount, SYS_pivot_root, SYS_unshare};

use crate::fault::{EVERY_ENGINE, FAULT, Fault, IMPATIENT, WARNING};
use crate::seccomp::Refusal;
use crate::world::Suite;

const PRIVILEGES: Fault = Fault { step: "privileges", ..FAULT };
const LACKS_ONE: Fault = Fault { cause: "engine-lacks-capability", ..PRIVILEGES };

/// `setpriv` without one capability.
macro_rules! without {
    ($cap:literal) => {
        &["setpriv", "--bounding-set", concat!("-", $cap)]
    };
}

/// What Docker gives a container that is not privileged (moby oci/caps/defaults.go).
const DOCKER_DEFAULT: &str = "-all,+chown,+dac_override,+fsetid,+fowner,+mknod,+net_raw,+setgid,+setuid,+setfcap,+setpcap,+net_bind_service,+sys_chroot,+kill,+audit_write";

/// A refusal with EPERM, as container engines' profiles answer.
const fn refused(call: i64) -> Refusal {
    Refusal { call, with: &[], errno: EPERM }
}

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "not-privileged",
        under: &["setpriv", "--bounding-set", DOCKER_DEFAULT],
        cause: "outer-container-not-privileged",
        suites: EVERY_ENGINE,
        ..PRIVILEGES
    },
    Fault {
        name: "no-capability-at-all",
        under: &["setpriv", "--bounding-set", "-all"],
        cause: "outer-container-not-privileged",
        ..PRIVILEGES
    },
    Fault {
        name: "without-sys-admin",
        under: without!("sys_admin"),
        cause: "cap-sys-admin-missing",
        ..PRIVILEGES
    },
    Fault {
        name: "without-net-admin",
        under: without!("net_admin"),
        cause: "net-admin-capability-missing",
        ..PRIVILEGES
    },
    Fault { name: "without-chown", under: without!("chown"), ..LACKS_ONE },
    Fault { name: "without-dac-override", under: without!("dac_override"), ..LACKS_ONE },
    Fault { name: "without-fowner", under: without!("fowner"), ..LACKS_ONE },
    Fault { name: "without-fsetid", under: without!("fsetid"), ..LACKS_ONE },
    Fault { name: "without-kill", under: without!("kill"), ..LACKS_ONE },
    Fault { name: "without-setgid", under: without!("setgid"), ..LACKS_ONE },
    Fault { name: "without-setuid", under: without!("setuid"), ..LACKS_ONE },
    Fault { name: "without-setpcap", under: without!("setpcap"), ..LACKS_ONE },
    Fault { name: "without-net-bind-service", under: without!("net_bind_service"), ..LACKS_ONE },
    Fault { name: "without-net-raw", under: without!("net_raw"), ..LACKS_ONE },
    Fault { name: "without-sys-chroot", under: without!("sys_chroot"), ..LACKS_ONE },
    Fault { name: "without-mknod", under: without!("mknod"), ..LACKS_ONE },
    Fault { name: "without-audit-write", under: without!("audit_write"), ..LACKS_ONE },
    Fault { name: "without-setfcap", under: without!("setfcap"), ..LACKS_ONE },
    Fault {
        name: "not-root",
        under: &["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"],
        cause: "not-root",
        ..PRIVILEGES
    },
    Fault {
        name: "a-user-namespace-of-one-id",
        under: &["unshare", "--user", "--map-root-user"],
        cause: "image-uid-outside-mapped-range",
        ..PRIVILEGES
    },
    Fault {
        name: "without-sys-time",
        under: without!("sys_time"),
        cause: "capability-not-effective",
        step: "privileges",
        ..WARNING
    },
    Fault {
        name: "filter-refuses-nothing-needed",
        refuses: &[refused(SYS_acct)],
        cause: "seccomp-filter-active",
        step: "privileges",
        ..WARNING
    },
    Fault {
        name: "without-sys-resource",
        under: without!("sys_resource"),
        cause: "cap-sys-resource-missing",
        step: "privileges",
        ..WARNING
    },
    Fault {
        name: "no-new-privileges",
        under: &["setpriv", "--no-new-privs"],
        cause: "no-new-privileges",
        step: "privileges",
        ..WARNING
    },
    Fault {
        name: "filter-refuses-mount",
        refuses: &[refused(SYS_mount)],
        cause: "seccomp-filter-active",
        ..PRIVILEGES
    },
    Fault {
        name: "filter-refuses-unshare",
        refuses: &[refused(SYS_unshare)],
        cause: "seccomp-filter-active",
        ..PRIVILEGES
    },
    Fault {
        name: "filter-refuses-pivot-root",
        refuses: &[refused(SYS_pivot_root)],
        cause: "seccomp-filter-active",
        ..PRIVILEGES
    },
    Fault {
        name: "filter-refuses-keyctl",
        refuses: &[refused(SYS_keyctl)],
        cause: "seccomp-blocks-keyctl",
        ..PRIVILEGES
    },
    Fault {
        name: "filter-refuses-clone3",
        refuses: &[refused(SYS_clone3)],
        cause: "seccomp-blocks-clone3",
        ..PRIVILEGES
    },
    Fault {
        name: "few-open-files",
        under: &["prlimit", "--nofile=32:32"],
        cause: "open-files-limit-reached",
        profile: IMPATIENT,
        suites: &[Suite::Bookworm, Suite::Forky],
        ..PRIVILEGES
    },
    Fault {
        name: "rather-few-open-files",
        under: &["prlimit", "--nofile=256:256"],
        cause: "open-files-limit-reached",
        step: "privileges",
        ..WARNING
    },
    Fault {
        name: "few-processes",
        breaks: "echo 24 >/sys/fs/cgroup/pids/pids.max",
        cause: "pids-limit-reached",
        profile: IMPATIENT,
        ..PRIVILEGES
    },
    Fault {
        name: "little-memory",
        breaks: "echo 24M >/sys/fs/cgroup/memory/memory.limit_in_bytes; echo 24M >/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes || true",
        cause: "memory-limit-low",
        profile: IMPATIENT,
        ..PRIVILEGES
    },
];

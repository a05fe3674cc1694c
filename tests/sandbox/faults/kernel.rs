//! Faults of `kernel`. A kernel that lacks something is shown by a filter that answers as that kernel would.

use nix::libc::{AF_NETLINK, EPROTONOSUPPORT, NETLINK_ROUTE, SYS_socket};

use crate::fault::{FAULT, Fault, Real, WARNING};
use crate::seccomp::Refusal;

const WARNED: Fault = Fault { step: "kernel", ..WARNING };

/// No socket to configure interfaces by.
const NO_ROUTE_NETLINK: &[Refusal] = &[Refusal {
    call: SYS_socket,
    with: &[(0, AF_NETLINK as u32), (2, NETLINK_ROUTE as u32)],
    errno: EPROTONOSUPPORT,
}];

/// A user namespace with every id, in which namespaces of that kind are used up: their number is limited in each user
/// namespace by itself (namespaces(7), /proc/sys/user).
macro_rules! none_of {
    ($kind:literal) => {
        &[
            "unshare",
            "--user",
            "--map-users=0:0:4294967295",
            "--map-groups=0:0:4294967295",
            "--setuid=0",
            "--setgid=0",
            "sh",
            "-c",
            concat!("echo 0 >/proc/sys/user/max_", $kind, "_namespaces; exec \"$@\""),
            "sh",
        ]
    };
}

const NO_NAMESPACES: Fault = Fault {
    step: "kernel",
    cause: "kernel-lacks-namespaces",
    real: Real::NotTried("in a user namespace of its own dockerd fails for other reasons, too"),
    ..FAULT
};

pub(crate) const FAULTS: &[Fault] = &[
    Fault { name: "no-more-uts-namespaces", under: none_of!("uts"), ..NO_NAMESPACES },
    Fault { name: "no-more-ipc-namespaces", under: none_of!("ipc"), ..NO_NAMESPACES },
    Fault { name: "no-more-pid-namespaces", under: none_of!("pid"), ..NO_NAMESPACES },
    Fault { name: "no-more-network-namespaces", under: none_of!("net"), ..NO_NAMESPACES },
    Fault { name: "no-more-mount-namespaces", under: none_of!("mnt"), ..NO_NAMESPACES },
    // uname(2) says so by a personality, /proc/sys does not (kernel/sys.c, override_release).
    Fault {
        name: "a-kernel-of-2-6",
        breaks: "setarch --uname-2.6 uname -r >/opt/release; mount --bind /opt/release /proc/sys/kernel/osrelease",
        under: &["setarch", "--uname-2.6"],
        cause: "kernel-too-old",
        step: "kernel",
        real: Real::NotTried("only its name is old here, and it has all that an old one lacks"),
        ..FAULT
    },
    Fault {
        name: "a-user-namespace-with-every-id",
        under: &[
            "unshare",
            "--user",
            "--map-users=0:0:4294967295",
            "--map-groups=0:0:4294967295",
            "--setuid=0",
            "--setgid=0",
        ],
        cause: "net-admin-capability-missing",
        step: "network",
        ..FAULT
    },
    Fault {
        name: "no-route-netlink",
        refuses: NO_ROUTE_NETLINK,
        cause: "netlink-handle-unavailable",
        step: "network",
        ..FAULT
    },
    Fault {
        name: "root-may-have-few-keys",
        breaks: "echo 200 >/opt/few; mount --bind /opt/few /proc/sys/kernel/keys/root_maxkeys",
        cause: "keyring-quota-low",
        ..WARNED
    },
    Fault {
        name: "few-inotify-instances",
        breaks: "echo 16 >/opt/few; mount --bind /opt/few /proc/sys/fs/inotify/max_user_instances",
        cause: "inotify-limit-low",
        ..WARNED
    },
    Fault {
        name: "no-bridge-netfilter-and-icc-off",
        breaks: "rm /.dockerenv; mount -t tmpfs none /proc/sys/net/bridge",
        dockerd: &["--icc=false"],
        cause: "br-netfilter-unavailable",
        step: "network",
        ..FAULT
    },
];

//! Faults of `kernel`. A kernel that lacks something is shown by a filter that answers as that kernel would.

use nix::libc::{AF_NETLINK, EPROTONOSUPPORT, NETLINK_ROUTE, SYS_socket};

use crate::fault::{FAULT, Fault, WARNING};
use crate::seccomp::Refusal;

const WARNED: Fault = Fault { step: "kernel", ..WARNING };

/// No socket to configure interfaces by.
const NO_ROUTE_NETLINK: &[Refusal] = &[Refusal {
    call: SYS_socket,
    with: &[(0, AF_NETLINK as u32), (2, NETLINK_ROUTE as u32)],
    errno: EPROTONOSUPPORT,
}];

pub const FAULTS: &[Fault] = &[
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

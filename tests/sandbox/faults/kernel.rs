//! Faults of `kernel`. A kernel that lacks something is shown by a filter that answers as that kernel would.

use nix::libc::{AF_NETLINK, EPROTONOSUPPORT, NETLINK_ROUTE, SYS_socket};

use crate::fault::{FAULT, Fault, Real, WARNING};
use crate::seccomp::Refusal;

const KERNEL: Fault = Fault { step: "kernel", ..FAULT };
const WARNED: Fault = Fault { step: "kernel", ..WARNING };

/// No socket of that netlink family.
const fn without_netlink(family: i32) -> Refusal {
    match family {
        NETLINK_ROUTE => {
            Refusal { call: SYS_socket, with: &[(0, AF_NETLINK as u32), (2, 0)], errno: EPROTONOSUPPORT }
        }
        _ => Refusal { call: SYS_socket, with: &[(0, AF_NETLINK as u32), (2, 12)], errno: EPROTONOSUPPORT },
    }
}

pub const FAULTS: &[Fault] = &[
    Fault { name: "kernel-says-2.6", under: &["setarch", "--uname-2.6"], cause: "kernel-too-old", ..KERNEL },
    Fault {
        name: "no-route-netlink",
        refuses: &[without_netlink(NETLINK_ROUTE)],
        cause: "netlink-handle-unavailable",
        ..KERNEL
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
        real: Real::Breaks,
        ..KERNEL
    },
];

//! Can interfaces be made: a bridge, a veth pair, the one attached to the other?

use nix::errno::Errno;

use crate::diagnosis::{CauseId, causes};
use crate::facts::daemon::Settings;
use crate::finding::{Finding, Level};
use crate::host::HostError;
use crate::host::trial::TrialReport;
use crate::kernel_modules;

const NO_NETLINK: CauseId = causes::NETLINK_HANDLE_UNAVAILABLE;
const NO_NET_ADMIN: CauseId = causes::NET_ADMIN_CAPABILITY_MISSING;
const NOT_PRIVILEGED: CauseId = causes::OUTER_CONTAINER_NOT_PRIVILEGED;
const NO_NAMESPACES: CauseId = causes::KERNEL_LACKS_NAMESPACES;
const NO_BRIDGE: CauseId = causes::KERNEL_LACKS_BRIDGE;
const NO_VETH: CauseId = causes::KERNEL_LACKS_VETH;

/// One finding where all is well, else one for each lack.
pub(super) fn judge(tried: &TrialReport, settings: &Settings) -> Vec<Finding> {
    let mut findings: Vec<Finding> = tried
        .attempts
        .iter()
        .filter_map(|attempt| {
            let error = attempt.error.as_ref()?;
            refused(&attempt.name, error, settings).map(|finding| finding.with("tried", error))
        })
        .collect();
    if findings.iter().all(|finding| finding.level < Level::Fail) {
        findings.insert(0, Finding::pass("a bridge and a veth pair can be made in a network namespace"));
    }
    findings
}

/// What a refused attempt means; those of the firewall are judged elsewhere.
fn refused(attempt: &str, error: &HostError, settings: &Settings) -> Option<Finding> {
    Some(match (attempt, error.errno()) {
        ("netlink", _) => Finding::fail(NO_NETLINK, "there is no netlink socket to configure interfaces by"),
        ("net-admin" | "bridge" | "veth" | "enslave", Errno::EPERM) => Finding::fail(
            NO_NET_ADMIN,
            "interfaces of this network namespace may not be configured: CAP_NET_ADMIN does not count here",
        ),
        ("net-admin", _) => Finding::fail(NO_NETLINK, "the kernel does not answer on netlink as it should"),
        ("conntrack-netlink", _) => Finding::warn(
            NO_NETLINK,
            "there is no netlink socket for connection tracking: dockerd cannot drop the UDP connections of a container that ends",
        ),
        ("network-namespace", Errno::EPERM) => {
            Finding::fail(NOT_PRIVILEGED, "no network namespace can be made, so no container gets one")
        }
        ("network-namespace", Errno::ENOSPC) => Finding::fail(
            NO_NAMESPACES,
            "no further network namespace can be made: the limit of this user namespace is reached",
        )
        .hint("on the host: sysctl -w user.max_net_namespaces=15000"),
        ("network-namespace", _) => Finding::fail(NO_NAMESPACES, "the kernel makes no network namespace"),
        ("bridge", _) => without_bridge(settings, "the kernel makes no bridge"),
        ("enslave", _) => without_bridge(settings, "the kernel attaches no interface to a bridge"),
        ("veth", _) => {
            Finding::fail(NO_VETH, "the kernel makes no veth pair, so no container gets an interface")
                .hint(kernel_modules::hint(NO_VETH))
        }
        _ => return None,
    })
}

/// With `--bridge=none` only networks that a user makes need one.
fn without_bridge(settings: &Settings, what: &str) -> Finding {
    let finding = if settings.bridge == "none" {
        Finding::warn(
            NO_BRIDGE,
            format!("{what}: with --bridge=none dockerd starts, and has no network of containers"),
        )
    } else {
        Finding::fail(NO_BRIDGE, format!("{what}, and dockerd ends without {}", settings.bridge))
    };
    finding.hint(kernel_modules::hint(NO_BRIDGE))
}

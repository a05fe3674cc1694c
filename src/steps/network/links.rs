//! Checks that a bridge and a veth pair can be created and connected.

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

/// One finding if everything works, else one for each problem.
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
        findings.insert(0, Finding::pass("a bridge and a veth pair can be created in a network namespace"));
    }
    findings
}

/// The finding on a refused attempt; `firewall` covers those of the firewall.
fn refused(attempt: &str, error: &HostError, settings: &Settings) -> Option<Finding> {
    Some(match (attempt, error.errno()) {
        ("netlink", _) => {
            Finding::fail(NO_NETLINK, "the kernel gives no netlink socket to configure interfaces with")
        }
        ("net-admin" | "bridge" | "veth" | "enslave", Errno::EPERM) => Finding::fail(
            NO_NET_ADMIN,
            "interfaces of this network namespace cannot be configured: CAP_NET_ADMIN has no effect here",
        )
        .hint("start the outer container with `--privileged`, and in the host's user namespace (`--userns=host`): in one of its own the capability counts for its own network only"),
        ("net-admin", _) => Finding::fail(NO_NETLINK, "the kernel gives an invalid answer on netlink"),
        ("conntrack-netlink", _) => Finding::warn(
            NO_NETLINK,
            "the kernel gives no netlink socket for connection tracking: dockerd cannot drop the UDP connections of a container that ends",
        ),
        ("network-namespace", Errno::EPERM) => {
            Finding::fail(NOT_PRIVILEGED, "network namespaces cannot be created, so no container gets one")
        }
        ("network-namespace", Errno::ENOSPC) => Finding::fail(
            NO_NAMESPACES,
            "network namespaces cannot be created: the limit of this user namespace is reached",
        )
        .hint("on the host: sysctl -w user.max_net_namespaces=15000"),
        ("network-namespace", _) => {
            Finding::fail(NO_NAMESPACES, "the kernel cannot create network namespaces")
        }
        ("bridge", _) => without_bridge(settings, "the kernel cannot create a bridge"),
        ("enslave", _) => without_bridge(settings, "the kernel cannot attach an interface to a bridge"),
        ("veth", _) => {
            Finding::fail(NO_VETH, "the kernel cannot create a veth pair, so no container gets an interface")
                .hint(kernel_modules::hint(NO_VETH))
        }
        _ => return None,
    })
}

/// With `--bridge=none` only user-defined networks need one.
fn without_bridge(settings: &Settings, what: &str) -> Finding {
    let finding = if settings.bridge == "none" {
        Finding::warn(
            NO_BRIDGE,
            format!("{what}: with --bridge=none dockerd starts, but has no container network"),
        )
    } else {
        Finding::fail(NO_BRIDGE, format!("{what}: dockerd does not start without {}", settings.bridge))
    };
    finding.hint(kernel_modules::hint(NO_BRIDGE))
}

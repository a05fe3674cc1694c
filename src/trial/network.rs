//! Creates the interfaces and the firewall rules of a Docker network.
//!
//! It does so in a network namespace and with a /run of its own, so that no interface, rule or lock file of iptables is
//! visible outside. The kernel may load modules, as it does for dockerd; so only the backend that dockerd will use is
//! tried, and another one only where that fails.

use crate::host::trial::Firewall;
use crate::host::trial::NetworkRequest;
use crate::host::trial::TrialReport;
use std::path::Path;

use nix::mount::MsFlags;
use nix::sys::socket::SockProtocol;

use super::{firewall, own_mounts, own_network};
use crate::host::live::Live;
use crate::host::netlink::{Route, supports};
use crate::host::{HostError, HostResult, SystemReader};

/// The directory of the lock of iptables, and of the rules that are loaded.
pub(super) const RUN: &str = "/run";
const BRIDGE: &str = "dindcheck0";
const VETH: &str = "dindcheck1";
const PEER: &str = "dindcheck2";

/// Attempts `netlink`, `net-admin`, `conntrack-netlink`, `network-namespace`, `bridge`, `veth`, `enslave`, and those
/// of the firewall.
pub(super) fn perform(request: &NetworkRequest) -> TrialReport {
    let mut report = TrialReport::default();
    let admin = match Route::open() {
        Ok(outer) => {
            report.attempt("netlink", Ok(()));
            outer.may_configure()
        }
        Err(error) => {
            report.attempt("netlink", Err(error));
            return report;
        }
    };
    if !report.attempt("net-admin", admin) {
        return report;
    }
    report.attempt("conntrack-netlink", supports(SockProtocol::NetlinkNetFilter, "netfilter"));
    if request.br_netfilter {
        report.attempt("br-netfilter", br_netfilter());
    }
    if let Some(Firewall::Iptables { program, others, .. }) = &request.firewall {
        firewall::count_nft_rules(program, others, &mut report);
        firewall::test_lock(program, &mut report);
    }
    if report.attempt("network-namespace", own_network()) {
        links(&mut report);
        if let Some(firewall) = &request.firewall {
            // Where no mount is permitted, the lock file in the real /run is used.
            let own_run = own_mounts().and_then(|()| own_run()).is_ok();
            firewall::perform(firewall, own_run, &mut report);
        }
    }
    report
}

/// Creates a bridge and a veth pair, and attaches one end to the bridge.
fn links(report: &mut TrialReport) {
    let route = match Route::open() {
        Ok(route) => route,
        Err(error) => {
            report.attempt("netlink", Err(error));
            return;
        }
    };
    let bridge = report.attempt("bridge", route.add_bridge(BRIDGE));
    let veth = report.attempt("veth", route.add_veth(VETH, PEER));
    if bridge && veth {
        report.attempt("enslave", route.enslave(VETH, BRIDGE));
    }
}

/// Requests the module as dockerd does, and checks for the sysctl that it provides.
fn br_netfilter() -> HostResult<()> {
    let _ = nix::net::if_::if_nametoindex("br_netfilter");
    let sysctl = Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables");
    Live::default().stat(sysctl).map(drop)
}

/// Mounts a tmpfs on /run in the mount namespace of this child.
fn own_run() -> HostResult<()> {
    let run = Path::new(RUN);
    #[expect(clippy::disallowed_methods, reason = "in a child process that exists for the trial")]
    nix::mount::mount(Some("dindcheck"), run, Some("tmpfs"), MsFlags::empty(), None::<&str>)
        .map_err(|errno| HostError::new("mount tmpfs on", run, errno))
}

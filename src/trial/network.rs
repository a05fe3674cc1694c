//! Can this process make the interfaces and the firewall rules of a Docker network?
//!
//! In a network namespace of its own, with a /run of its own, so that neither an interface nor a rule nor
//! iptables' lock file is seen by anyone else. The kernel may load modules for it, as it would for dockerd, which
//! asks for the same: so only the back end that dockerd will use is tried, and another only where that fails.

use crate::host::trial::Firewall;
use crate::host::trial::NetworkRequest;
use crate::host::trial::TrialReport;
use std::path::Path;

use nix::mount::MsFlags;
use nix::sys::socket::SockProtocol;

use super::{firewall, own_mounts, own_network};
use crate::host::live::Live;
use crate::host::netlink::{Route, supports};
use crate::host::{HostError, SystemReader};

/// Where iptables keeps its lock, and we the rules to load.
pub(super) const RUN: &str = "/run";
const BRIDGE: &str = "dindcheck0";
const VETH: &str = "dindcheck1";
const PEER: &str = "dindcheck2";

/// Attempts `netlink`, `net-admin`, `conntrack-netlink`, `network-namespace`, `bridge`, `veth`, `enslave`, and those
/// of the firewall.
pub(super) fn perform(wanted: &NetworkRequest) -> TrialReport {
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
    if wanted.br_netfilter {
        report.attempt("br-netfilter", br_netfilter());
    }
    if let Some(Firewall::Iptables { program, others, .. }) = &wanted.firewall {
        firewall::read_rules_of_other_kind(program, others, &mut report);
        firewall::look_at_lock(program, &mut report);
    }
    if report.attempt("network-namespace", own_network()) {
        links(&mut report);
        if let Some(firewall) = &wanted.firewall {
            // Where no mount is allowed, the lock file in the real /run is the lesser evil.
            let own_run = own_mounts().and_then(|()| own_run()).is_ok();
            firewall::perform(firewall, own_run, &mut report);
        }
    }
    report
}

/// Bridge, veth pair, and the one as a port of the other.
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

/// Asks the kernel for the module as dockerd does, and looks for what it brings.
fn br_netfilter() -> Result<(), HostError> {
    let _ = nix::net::if_::if_nametoindex("br_netfilter");
    let sysctl = Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables");
    Live::default().stat(sysctl).map(drop)
}

/// A tmpfs over /run, in this child's mount namespace.
fn own_run() -> Result<(), HostError> {
    let run = Path::new(RUN);
    #[expect(clippy::disallowed_methods, reason = "the child is the place to try it")]
    nix::mount::mount(Some("dindcheck"), run, Some("tmpfs"), MsFlags::empty(), None::<&str>)
        .map_err(|errno| HostError::new("mount tmpfs on", run, errno))
}

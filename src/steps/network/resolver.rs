//! Which name servers do inner containers get?

use std::net::IpAddr;
use std::path::Path;

use super::Facts;
use crate::diagnosis::CauseId;
use crate::facts::routes::nameservers;
use crate::host::{Host, HostResult};
use crate::step::Finding;

const UNUSABLE: CauseId = CauseId::new("resolv-conf-unusable");

const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Where dockerd looks instead where systemd-resolved is the only server (moby resolvconf/path.go).
const BEHIND_RESOLVED: &str = "/run/systemd/resolve/resolv.conf";
const RESOLVED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 53));

/// The servers that dockerd hands on, loopback ones included.
pub(super) fn servers(host: &dyn Host) -> HostResult<Vec<IpAddr>> {
    let read = |path: &str| -> HostResult<Option<Vec<IpAddr>>> {
        Ok(host.read_if_there(Path::new(path))?.map(|text| nameservers(&text)))
    };
    let given = read(RESOLV_CONF)?.unwrap_or_default();
    if given == [RESOLVED] {
        return Ok(read(BEHIND_RESOLVED)?.unwrap_or(given));
    }
    Ok(given)
}

/// Loopback addresses are taken out for containers on the default bridge, and public servers take their place
/// where none is left. That is only said where there is a way out at all.
pub(super) fn judge(host: &dyn Host, facts: &Facts) -> HostResult<Option<Finding>> {
    let given = facts.settings.values.list("dns");
    if !given.is_empty() {
        return Ok(Some(Finding::pass(format!(
            "containers get the name servers of --dns: {}",
            given.join(", ")
        ))));
    }
    let servers = servers(host)?;
    let names: Vec<String> = servers.iter().map(ToString::to_string).collect();
    let reachable = servers.iter().any(|server| !server.is_loopback());
    let finding = if reachable {
        Finding::pass(format!("containers get the name servers {}", names.join(", ")))
    } else if servers.is_empty() || facts.routes.defaults().is_empty() {
        return Ok(None);
    } else {
        Finding::warn(
            UNUSABLE,
            format!("the only name server is {}, which inner containers do not reach: on the default bridge they get 8.8.8.8 and 8.8.4.4 instead", names.join(", ")),
        )
        .hint("start dockerd with --dns and an address that containers reach")
    };
    Ok(Some(finding.with("path", RESOLV_CONF)))
}

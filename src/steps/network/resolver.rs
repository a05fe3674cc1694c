//! Checks the name servers that inner containers get.

use std::net::IpAddr;
use std::path::Path;

use super::Facts;
use crate::diagnosis::{CauseId, causes};
use crate::facts::routes::nameservers;
use crate::finding::Finding;
use crate::host::{HostResult, SystemReader};

const UNUSABLE: CauseId = causes::RESOLV_CONF_UNUSABLE;
const EMBEDDED_DNS: CauseId = causes::EMBEDDED_DNS_UNREACHABLE;
const PROXY: CauseId = causes::PROXY_REQUIRED;

const EMBEDDED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 11));
/// The servers that libnetwork uses instead (resolvconf, `defaultIPv4NSs`).
const INSTEAD: &str = "on the default bridge inner containers get 8.8.8.8 and 8.8.4.4 instead";
const HINT: &str = "start dockerd with --dns ADDRESS, where containers can reach ADDRESS";

const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The file that dockerd reads if systemd-resolved is the only server (moby resolvconf/path.go).
const BEHIND_RESOLVED: &str = "/run/systemd/resolve/resolv.conf";
const RESOLVED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 53));

/// The servers that dockerd passes on, including loopback ones.
pub(super) fn servers(host: &dyn SystemReader) -> HostResult<Vec<IpAddr>> {
    let read = |path: &str| -> HostResult<Option<Vec<IpAddr>>> {
        Ok(host.read_if_there(Path::new(path))?.map(|text| nameservers(&text)))
    };
    let given = read(RESOLV_CONF)?.unwrap_or_default();
    if given == [RESOLVED] {
        return Ok(read(BEHIND_RESOLVED)?.unwrap_or(given));
    }
    Ok(given)
}

/// dockerd removes loopback addresses for containers on the default bridge, and uses public servers if none is left. This
/// is reported only if there is a default route.
pub(super) fn judge(host: &dyn SystemReader, facts: &Facts) -> HostResult<Vec<Finding>> {
    let given = facts.settings.values.list("dns");
    if !given.is_empty() {
        return Ok(vec![Finding::pass(format!(
            "containers get the name servers of --dns: {}",
            given.join(", ")
        ))]);
    }
    let servers = servers(host)?;
    let names: Vec<String> = servers.iter().map(ToString::to_string).collect();
    let finding = match servers.as_slice() {
        some if some.iter().any(|server| !server.is_loopback()) => {
            Finding::pass(format!("containers get the name servers {}", names.join(", ")))
        }
        _ if facts.routes.defaults().is_empty() => return Ok(Vec::new()),
        [] => Finding::warn(UNUSABLE, format!("no name server is configured here: {INSTEAD}")).hint(HINT),
        [EMBEDDED] => Finding::warn(
            EMBEDDED_DNS,
            format!("the only name server is Docker's embedded one, 127.0.0.11, which answers only in this container: {INSTEAD}"),
        )
        .hint(HINT),
        _ => Finding::warn(
            UNUSABLE,
            format!("every name server is a loopback address ({}), which an inner container cannot use: {INSTEAD}", names.join(", ")),
        )
        .hint(HINT),
    };
    Ok(vec![finding.with("path", RESOLV_CONF)])
}

/// dockerd inherits the variables of dindcheck; containers do not.
pub(super) fn proxy(host: &dyn SystemReader) -> Option<Finding> {
    let set = |name: &&&str| host.env(name).is_some_and(|value| !value.is_empty());
    let name = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"].iter().find(set)?;
    Some(
        Finding::warn(
            PROXY,
            format!(
                "{name} is set: dockerd pulls images through that proxy, but its containers do not get it"
            ),
        )
        .with("variable", name)
        .hint("set \"proxies\" in ~/.docker/config.json, or use -e"),
    )
}

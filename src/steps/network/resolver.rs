//! Which name servers do inner containers get?

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
/// What libnetwork puts in (resolvconf, `defaultIPv4NSs`).
const INSTEAD: &str = "on the default bridge inner containers get 8.8.8.8 and 8.8.4.4 instead";
const HINT: &str = "start dockerd with --dns and an address that containers reach";

const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Where dockerd looks instead where systemd-resolved is the only server (moby resolvconf/path.go).
const BEHIND_RESOLVED: &str = "/run/systemd/resolve/resolv.conf";
const RESOLVED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 53));

/// The servers that dockerd hands on, loopback ones included.
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

/// Loopback addresses are taken out for containers on the default bridge, and public servers take their place
/// where none is left. That is only said where there is a way out at all.
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
        [] => Finding::warn(UNUSABLE, format!("there is no name server here: {INSTEAD}")).hint(HINT),
        [EMBEDDED] => Finding::warn(
            EMBEDDED_DNS,
            format!("the only name server is Docker's embedded one, 127.0.0.11, which answers in this container alone: {INSTEAD}"),
        )
        .hint(HINT),
        _ => Finding::warn(
            UNUSABLE,
            format!("every name server is an address of the loopback ({}), which means nothing in a container: {INSTEAD}", names.join(", ")),
        )
        .hint(HINT),
    };
    Ok(vec![finding.with("path", RESOLV_CONF)])
}

/// dockerd itself has the variables of dindcheck; containers get none of them.
pub(super) fn proxy(host: &dyn SystemReader) -> Option<Finding> {
    let set = |name: &&&str| host.env(name).is_some_and(|value| !value.is_empty());
    let name = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"].iter().find(set)?;
    Some(
        Finding::warn(
            PROXY,
            format!(
                "{name} is set: dockerd pulls images by that proxy, and its containers are not told of it"
            ),
        )
        .with("variable", name)
        .hint("tell containers by \"proxies\" in ~/.docker/config.json, or by -e"),
    )
}

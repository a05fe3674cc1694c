//! Checks addresses: free subnets, MTU, routes, reverse path filters, and open listeners.

use std::net::IpAddr;
use std::path::Path;

use super::Facts;
use super::resolver::servers;
use crate::diagnosis::{CauseId, causes};
use crate::facts::ipv4::Net;
use crate::facts::routes::Route;
use crate::facts::version::Version;
use crate::finding::{Finding, quoted_text};
use crate::host::{HostResult, SystemReader};

const NO_POOL: CauseId = causes::NO_FREE_ADDRESS_POOL;
const OVERLAP: CauseId = causes::BRIDGE_SUBNET_OVERLAPS;
const NO_BRIDGE: CauseId = causes::DOCKER0_BRIDGE_MISSING;
const NO_IPV6_SUBNET: CauseId = causes::IPV6_SUBNET_NOT_CONFIGURED;
const NO_WAY_OUT: CauseId = causes::CONTAINER_OUTBOUND_NETWORK_UNREACHABLE;
const MTU: CauseId = causes::MTU_MISMATCH;
const RP_FILTER: CauseId = causes::RP_FILTER_ASYMMETRIC_ROUTE;
const HOST_NAMESPACE: CauseId = causes::NETWORK_NAMESPACE_IS_HOST;
const OPEN: CauseId = causes::OPEN_TCP_LISTENER_WITHOUT_TLS;

/// The address pools of dockerd, and the size of a subnet (moby libnetwork/ipamutils, `localScopeDefaultNetworks`).
const POOLS: &[(&str, u8)] = &[
    ("172.17.0.0/16", 16),
    ("172.18.0.0/16", 16),
    ("172.19.0.0/16", 16),
    ("172.20.0.0/14", 16),
    ("172.24.0.0/14", 16),
    ("172.28.0.0/14", 16),
    ("192.168.0.0/16", 20),
];

pub(super) fn judge(host: &dyn SystemReader, facts: &Facts) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    findings.extend(missing_bridge(host, facts)?);
    findings.extend(subnet(host, facts)?);
    findings.extend(ipv6_subnet(facts));
    findings.extend(default_route(facts));
    findings.extend(mtu(host, facts)?);
    findings.extend(reverse_path(host, facts)?);
    findings.extend(shared_bridge(host, facts)?);
    findings.extend(open_listener(facts));
    Ok(findings)
}

/// dockerd creates only docker0; a bridge of another name must exist (libnetwork bridge/setup_device.go).
fn missing_bridge(host: &dyn SystemReader, facts: &Facts) -> HostResult<Option<Finding>> {
    let Some(name) = facts.settings.values.text("bridge").filter(|name| !["none", "docker0"].contains(name))
    else {
        return Ok(None);
    };
    let path = Path::new("/sys/class/net").join(name);
    Ok((!host.exists(&path)?).then(|| {
        Finding::fail(
            NO_BRIDGE,
            format!(
                "dockerd is configured to use the bridge {name}, which does not exist and which it does not create"
            ),
        )
        .with("path", path.display())
        .hint(format!(
            "`ip link add {0} type bridge; ip link set {0} up`, or start dockerd without --bridge",
            quoted_text(name)
        ))
    }))
}

/// Before 27.0 dockerd has no IPv6 pools.
fn ipv6_subnet(facts: &Facts) -> Option<Finding> {
    let lacks = facts.settings.ipv6
        && facts.version < Version::new(27, 0, 0)
        && !facts.settings.values.has("fixed-cidr-v6")
        && facts.settings.bridge != "none";
    lacks.then(|| {
        Finding::fail(
            NO_IPV6_SUBNET,
            format!(
                "IPv6 is on for the default bridge, but Docker {} has no IPv6 subnet of its own",
                facts.version
            ),
        )
        .hint("give it one: `--fixed-cidr-v6 fd00:dead:beef::/64`, or remove --ipv6")
    })
}

/// The default route. It may be missing if there is no interface at all (`--network none`).
fn default_route(facts: &Facts) -> Option<Finding> {
    let connected = facts.routes.0.iter().any(|route| route.device != facts.settings.bridge);
    (connected && facts.routes.defaults().is_empty()).then(|| {
        Finding::warn(
            NO_WAY_OUT,
            "the default route is missing: dockerd and its containers reach only the outer network's subnet",
        )
        .with("path", "/proc/net/route")
    })
}

/// The subnet of the default bridge: the configured one, or the first free one of the pools.
fn subnet(host: &dyn SystemReader, facts: &Facts) -> HostResult<Option<Finding>> {
    let settings = &facts.settings;
    if settings.bridge == "none" || settings.values.text("bridge").is_some() {
        return Ok(None);
    }
    let own =
        |route: &&Route| route.gateway.is_none() && route.to.bits() > 0 && route.device != settings.bridge;
    let mut taken: Vec<(Net, String)> = facts
        .routes
        .0
        .iter()
        .filter(own)
        .map(|route| (route.to, format!("on the link {}", route.device)))
        .collect();
    if let Some(bip) = settings.values.text("bip") {
        return Ok(bip_overlap(bip, &taken));
    }
    // An existing bridge keeps its address.
    if facts.routes.0.iter().any(|route| route.device == settings.bridge) {
        return Ok(None);
    }
    for server in servers(host)? {
        if let IpAddr::V4(address) = server {
            taken.push((Net::new(address, 32), "a name server".to_owned()));
        }
    }
    let pools = pools(facts);
    let free = pools.iter().flat_map(|(base, size)| base.subnets(*size)).find(|net| is_free(*net, &taken));
    Ok(Some(match free {
        Some(net) => Finding::pass(format!("{} gets the subnet {net}", settings.bridge)),
        None => Finding::fail(
            NO_POOL,
            "every address pool of dockerd overlaps with a route or name server of this container",
        )
        .with("taken", taken.iter().map(|(net, by)| format!("{net} {by}")).collect::<Vec<_>>().join(", "))
        .hint(if facts.settings.values.has("default-address-pools") {
            "give dockerd a free one: `\"default-address-pools\": [{\"base\": \"10.201.0.0/16\", \"size\": 24}]` in daemon.json, or the flag in its place"
        } else {
            "give dockerd a free one: `--bip=10.200.0.1/24 --default-address-pool=base=10.201.0.0/16,size=24`"
        }),
    }))
}

fn is_free(net: Net, taken: &[(Net, String)]) -> bool {
    taken.iter().all(|(other, _)| !net.overlaps(*other))
}

/// The pools of the configuration, or the built-in ones.
fn pools(facts: &Facts) -> Vec<(Net, u8)> {
    let given = facts
        .settings
        .pools
        .iter()
        .filter_map(|(base, size)| Some((Net::parse(base)?, u8::try_from(*size).ok()?)));
    let given: Vec<_> = given.collect();
    if !given.is_empty() {
        return given;
    }
    POOLS.iter().filter_map(|(base, size)| Some((Net::parse(base)?, *size))).collect()
}

/// dockerd uses `--bip` as it is. If the overlapping network is not the larger one, packets to containers go there;
/// a larger one only loses the addresses of `--bip`.
fn bip_overlap(bip: &str, taken: &[(Net, String)]) -> Option<Finding> {
    let net = Net::parse(bip)?;
    let hides = |other: &Net| other.bits() >= net.bits();
    let overlapping = || taken.iter().filter(|(other, _)| net.overlaps(*other));
    let (other, by) = overlapping().find(|(other, _)| hides(other)).or_else(|| overlapping().next())?;
    let finding = if hides(other) {
        let what =
            format!("--bip {bip} overlaps with {other}, which is {by}: packets to containers go there");
        Finding::fail(OVERLAP, what)
    } else {
        let what = format!(
            "--bip {bip} overlaps with {other}, which is {by}: addresses in both are no longer reachable there"
        );
        Finding::warn(OVERLAP, what)
    };
    Some(
        finding
            .with("bip", bip)
            .with("route", other)
            .hint(format!("give the bridge another network: {}", free_bip(taken))),
    )
}

/// An address for the bridge in none of the networks around it.
fn free_bip(taken: &[(Net, String)]) -> String {
    let mut likely = (0..=255).map(|third| format!("192.168.{}.1/24", 200_u8.wrapping_add(third)));
    let free = likely.find(|text| Net::parse(text).is_some_and(|net| is_free(net, taken)));
    format!(
        "`--bip={0}` (or \"bip\": \"{0}\" in daemon.json)",
        free.unwrap_or_else(|| "10.200.0.1/24".to_owned())
    )
}

/// Packets of containers leave through the default route's interface.
fn mtu(host: &dyn SystemReader, facts: &Facts) -> HostResult<Option<Finding>> {
    let defaults = facts.routes.defaults();
    let Some(route) = defaults.first() else { return Ok(None) };
    let path = format!("/sys/class/net/{}/mtu", route.device);
    let outer: Option<i64> = host.read_if_there(Path::new(&path))?.and_then(|text| text.trim().parse().ok());
    let (Some(outer), inner) = (outer, facts.settings.mtu) else { return Ok(None) };
    Ok(Some(if outer < inner {
        Finding::warn(
            MTU,
            format!("containers get an MTU of {inner}, but {} has {outer}: large packets from outside may be lost", route.device),
        )
        .with("path", path)
        .hint(format!("start dockerd with `--mtu={outer}` (or \"mtu\": {outer} in daemon.json)"))
    } else {
        Finding::pass(format!(
            "the MTU of {} ({outer}) carries that of the containers ({inner})",
            route.device
        ))
    }))
}

/// A strict filter (1) drops a packet that arrives on another interface than its answer would leave by (ip-sysctl,
/// `rp_filter`). With routers behind one interface only, both are the same.
fn reverse_path(host: &dyn SystemReader, facts: &Facts) -> HostResult<Option<Finding>> {
    let mut ways: Vec<&str> = Vec::new();
    for route in facts.routes.0.iter().filter(|route| route.gateway.is_some()) {
        if !ways.contains(&route.device.as_str()) {
            ways.push(&route.device);
        }
    }
    if ways.len() < 2 {
        return Ok(None);
    }
    let read = |of: &str| -> HostResult<u8> {
        let path = format!("/proc/sys/net/ipv4/conf/{of}/rp_filter");
        Ok(host.read_if_there(Path::new(&path))?.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
    };
    let all = read("all")?;
    let mut strict = Vec::new();
    for device in ways {
        if all.max(read(device)?) == 1 {
            strict.push(device);
        }
    }
    let Some(first) = strict.first() else { return Ok(None) };
    // With slashes: a name may have a dot (`eth0.5`).
    let loose = |device: &&str| quoted_text(&format!("net/ipv4/conf/{device}/rp_filter=2"));
    let assignments = strict.iter().map(loose).collect::<Vec<_>>().join(" ");
    let what = format!(
        "routers are behind several interfaces, and rp_filter of {} is strict: answers that arrive on another interface are dropped",
        strict.join(" and ")
    );
    Ok(Some(
        Finding::warn(RP_FILTER, what)
            .with("path", format!("/proc/sys/net/ipv4/conf/{first}/rp_filter"))
            .hint(format!("`sysctl -w {assignments}`")),
    ))
}

/// Two daemons on one bridge remove each other's rules and addresses.
fn shared_bridge(host: &dyn SystemReader, facts: &Facts) -> HostResult<Option<Finding>> {
    let bridge = &facts.settings.bridge;
    let there = facts.is_host && host.exists(&Path::new("/sys/class/net").join(bridge))?;
    Ok(there.then(|| {
        Finding::warn(
            HOST_NAMESPACE,
            format!("this is the host's network namespace, and its {bridge} belongs to the host's daemon: the inner daemon takes it over"),
        )
        .hint("start the outer container without --network host, or dockerd with --bridge none")
    }))
}

/// Anyone who can connect to the API gets root.
fn open_listener(facts: &Facts) -> Option<Finding> {
    let settings = &facts.settings;
    let open = settings.hosts.iter().find(|listen| !listen.is_loopback())?;
    (!settings.tls.verify).then(|| {
        Finding::warn(
            OPEN,
            format!(
                "dockerd will listen on {open} without client authentication; anyone who can connect gets root"
            ),
        )
        .with("host", open)
        .hint("listen on unix:///var/run/docker.sock only, or use --tlsverify")
    })
}

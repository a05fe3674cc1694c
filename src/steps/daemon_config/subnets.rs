//! Checks the addresses of the default bridge and the address pools against each other (measured with 20.10, 26.1, 28.5).

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};
use serde_json::Value;

use super::values::refused;
use crate::facts::daemon::Daemon;
use crate::facts::version::Version;
use crate::finding::{Finding, Level};

/// The first version that gives a container no address where fixed-cidr is outside of bip.
const STRICT: Version = Version::new(28, 0, 0);

/// The first version that uses both addresses of a network with two.
const POINT_TO_POINT: Version = Version::new(28, 0, 0);

/// The findings. Each option has been parsed before.
pub(super) fn judge(daemon: &Daemon) -> Vec<Finding> {
    let values = &daemon.settings.values;
    if daemon.settings.bridge == "none" {
        return pools(daemon);
    }
    let bip = values.text("bip").and_then(|text| text.parse::<IpNet>().ok());
    let mut findings: Vec<Finding> = bip.and_then(|net| bridge(daemon, net)).into_iter().collect();
    let bip = match bip {
        Some(IpNet::V4(net)) => Some(net),
        _ => None,
    };
    findings.extend(range(daemon, bip));
    findings.extend(gateway(daemon, bip));
    findings.extend(range_v6(daemon));
    findings.extend(pools(daemon));
    findings
}

/// bip: an address of a host, in a network that has another one for a container.
fn bridge(daemon: &Daemon, net: IpNet) -> Option<Finding> {
    let IpNet::V4(net) = net else {
        let what = format!("bip is `{net}`, which is not an IPv4 network: dockerd does not start");
        return Some(
            refused(daemon, "bip", what)
                .hint("set `\"bip\": \"192.168.200.1/24\"`; the option for IPv6 is fixed-cidr-v6"),
        );
    };
    let most = if daemon.version >= POINT_TO_POINT { 31 } else { 30 };
    let why = match net.addr() {
        _ if net.prefix_len() > most => "no address is left for a container",
        _ if net.prefix_len() == 31 => return None,
        address if address == net.network() => {
            "it is the address of the network itself: dockerd does not start"
        }
        address if address == net.broadcast() => "it is the broadcast address: dockerd does not start",
        _ => return None,
    };
    let example = match net.prefix_len() {
        31.. => Ipv4Net::new(net.addr(), 24)
            .ok()
            .map_or_else(|| net.to_string(), |wide| host_of(wide).to_string()),
        _ => host_of(net).to_string(),
    };
    Some(
        refused(daemon, "bip", format!("bip is `{net}`, and {why}"))
            .hint(format!("set `\"bip\": \"{example}\"`")),
    )
}

/// The first address of a network, with its prefix.
fn host_of(net: Ipv4Net) -> Ipv4Net {
    let first = net.hosts().next().unwrap_or_else(|| net.addr());
    Ipv4Net::new(first, net.prefix_len()).unwrap_or(net)
}

/// fixed-cidr: the part of the bridge's network that containers get addresses of.
fn range(daemon: &Daemon, bip: Option<Ipv4Net>) -> Option<Finding> {
    let text = daemon.settings.values.text("fixed-cidr")?;
    let refuse = |why: &str| refused(daemon, "fixed-cidr", format!("fixed-cidr is `{text}`, {why}"));
    let net = match text.parse::<IpNet>().ok()? {
        IpNet::V4(net) => net,
        IpNet::V6(_) => {
            return Some(
                refuse("which is not an IPv4 network: dockerd does not start")
                    .hint("the option for IPv6 is fixed-cidr-v6"),
            );
        }
    };
    if net.prefix_len() == 32 {
        return Some(
            refuse("which has no address for a container: none starts")
                .hint("set a larger network, or remove fixed-cidr"),
        );
    }
    let bip = bip.filter(|bip| !bip.contains(&net) && !net.contains(bip))?;
    let finding = refuse(&format!("which is outside of bip, {bip}"));
    let level = if daemon.version >= STRICT { Level::Fail } else { Level::Warn };
    Some(Finding { level, ..finding }.hint(format!("remove fixed-cidr, or set a part of {}", bip.trunc())))
}

/// default-gateway: in the network of the bridge.
fn gateway(daemon: &Daemon, bip: Option<Ipv4Net>) -> Option<Finding> {
    let gateway: Ipv4Addr = daemon.settings.values.text("default-gateway")?.parse().ok()?;
    let bip = bip.filter(|bip| !bip.contains(&gateway))?;
    let what =
        format!("default-gateway is `{gateway}`, which is outside of bip, {bip}: dockerd does not start");
    Some(
        refused(daemon, "default-gateway", what)
            .hint("remove default-gateway, or set an address of that network"),
    )
}

/// fixed-cidr-v6, which matters where IPv6 is on.
fn range_v6(daemon: &Daemon) -> Option<Finding> {
    let text = daemon.settings.values.text("fixed-cidr-v6").filter(|_| daemon.settings.ipv6)?;
    let why = match text.parse::<IpNet>().ok()? {
        IpNet::V4(_) => "is not an IPv6 network",
        IpNet::V6(net) if net.prefix_len() > 126 => "has no address for a container",
        IpNet::V6(net) if net.network().is_multicast() => "is a multicast network",
        IpNet::V6(_) => return None,
    };
    let what = format!("fixed-cidr-v6 is `{text}`, which {why}: dockerd does not start");
    Some(refused(daemon, "fixed-cidr-v6", what).hint("set `\"fixed-cidr-v6\": \"fd00:dead:beef::/64\"`"))
}

/// A pool: its base, and the prefix length of the networks that it is divided into.
struct Pool<'d> {
    base: &'d str,
    size: i64,
}

/// The pools as they were given; a flag gives `base=10.0.0.0/8,size=24`.
fn given(daemon: &Daemon) -> Vec<Pool<'_>> {
    let list = daemon.settings.values.get("default-address-pools").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Pool::read).collect()
}

impl<'d> Pool<'d> {
    fn read(pool: &'d Value) -> Option<Self> {
        let Value::String(text) = pool else {
            let size = pool.get("size").and_then(Value::as_i64).unwrap_or(0);
            return Some(Self { base: pool.get("base").and_then(Value::as_str).unwrap_or_default(), size });
        };
        let field =
            |name: &str| text.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
        Some(Self { base: field("base")?, size: field("size")?.parse().ok()? })
    }
}

/// default-address-pools.
fn pools(daemon: &Daemon) -> Vec<Finding> {
    let key = "default-address-pools";
    let pools = given(daemon);
    let mut findings: Vec<Finding> = pools
        .iter()
        .filter_map(|pool| Some(refused(daemon, key, pool_problem(pool)?).hint(example(pool))))
        .collect();
    if findings.is_empty() && !pools.is_empty() && daemon.settings.bridge != "none" {
        findings.extend(enough(daemon, &pools));
    }
    findings
}

/// What is invalid about a pool.
fn pool_problem(pool: &Pool<'_>) -> Option<String> {
    let Pool { base, size } = pool;
    let Ok(net) = base.parse::<IpNet>() else {
        return Some(format!("the base of an address pool is `{base}`, which is not a network"));
    };
    let most = if net.addr().is_ipv4() { 30 } else { 126 };
    let size = u8::try_from(*size).ok().filter(|size| (1..=most).contains(size));
    match size {
        None => Some(format!(
            "the size of the address pool {base} is {}; it must be {} to {most}",
            pool.size,
            net.prefix_len()
        )),
        Some(size) if size < net.prefix_len() => Some(format!(
            "the networks of the address pool {base} are /{size}, which is larger than the pool"
        )),
        Some(_) => None,
    }
}

/// A pool that works, of the same base where that is possible.
fn example(pool: &Pool<'_>) -> String {
    let net = pool.base.parse::<IpNet>().ok().filter(|net| net.addr().is_ipv4() && net.prefix_len() <= 24);
    let base = net.map_or_else(|| "10.200.0.0/16".to_owned(), |net| net.trunc().to_string());
    // Room for at least sixteen networks.
    let size = net.map_or(24, |net| (net.prefix_len() + 4).max(24));
    format!("set `\"default-address-pools\": [{{\"base\": \"{base}\", \"size\": {size}}}]`")
}

/// Whether there are networks for the default bridge and for another one.
fn enough(daemon: &Daemon, pools: &[Pool<'_>]) -> Option<Finding> {
    let key = "default-address-pools";
    let count = |pool: &Pool<'_>| match pool.base.parse::<IpNet>() {
        Ok(net @ IpNet::V4(_)) => 1u64 << (pool.size - i64::from(net.prefix_len())).clamp(0, 32),
        _ => 0,
    };
    let networks: u64 = pools.iter().map(count).sum();
    let own = u64::from(daemon.settings.values.text("bip").is_none() && daemon.settings.bridge == "docker0");
    let hint = "add a pool: `\"default-address-pools\": [{\"base\": \"10.200.0.0/16\", \"size\": 24}]`";
    if networks < own {
        let what = "the address pools have no IPv4 network for the default bridge: dockerd does not start";
        return Some(refused(daemon, key, what).hint(hint));
    }
    (networks == own).then(|| {
        let what = "the address pools have one network, which the default bridge takes: no other network can be created";
        Finding { level: Level::Warn, ..refused(daemon, key, what) }.hint(hint)
    })
}

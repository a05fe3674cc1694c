//! The network of the container: interfaces, addresses, the default route, name servers.

use std::net::Ipv4Addr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::host::SystemReader;

/// The network of the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The interfaces.
    pub interfaces: Vec<Interface>,
    /// The gateway of the IPv4 default route.
    pub gateway: Option<String>,
    /// The name servers of /etc/resolv.conf.
    pub resolvers: Vec<String>,
}

/// One interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The name.
    pub name: String,
    /// The MTU in bytes; 0 where it cannot be read.
    pub mtu: u32,
    /// The IPv4 and IPv6 addresses.
    pub addresses: Vec<String>,
}

/// Reads the network; what cannot be read is empty.
pub fn look(host: &dyn SystemReader) -> Network {
    let dir = Path::new("/sys/class/net");
    let names = host.list(dir).unwrap_or_default();
    let interfaces = names.into_iter().map(|name| Interface {
        mtu: host.read_line(&dir.join(&name).join("mtu")).ok().and_then(|mtu| mtu.parse().ok()).unwrap_or(0),
        addresses: addresses(&name.to_string_lossy()),
        name: name.to_string_lossy().into_owned(),
    });
    let routes = host.read_text(Path::new("/proc/net/route")).unwrap_or_default();
    let resolv = host.read_text(Path::new("/etc/resolv.conf")).unwrap_or_default();
    let resolver = |line: &str| Some(line.strip_prefix("nameserver")?.trim().to_owned());
    Network {
        interfaces: interfaces.collect(),
        gateway: default_gateway(&routes),
        resolvers: resolv.lines().filter_map(resolver).collect(),
    }
}

/// The IPv4 and IPv6 addresses of an interface; none where they cannot be read.
pub fn addresses(name: &str) -> Vec<String> {
    let Ok(all) = nix::ifaddrs::getifaddrs() else {
        return Vec::new();
    };
    let of_name = all.filter(|entry| entry.interface_name == name);
    of_name.filter_map(|entry| text(&entry.address?)).collect()
}

/// An IP address as text.
fn text(address: &nix::sys::socket::SockaddrStorage) -> Option<String> {
    let v4 = address.as_sockaddr_in().map(|address| address.ip().to_string());
    v4.or_else(|| address.as_sockaddr_in6().map(|address| address.ip().to_string()))
}

/// The gateway of the default route in /proc/net/route, whose numbers are hexadecimal and little-endian.
fn default_gateway(routes: &str) -> Option<String> {
    routes.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_default = fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000");
        let gateway = u32::from_str_radix(fields.get(2)?, 16).ok()?;
        (is_default && gateway != 0).then(|| Ipv4Addr::from(gateway.swap_bytes()).to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateway_of_the_default_route_is_read() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n\
                     eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\n\
                     eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\n";
        assert_eq!(default_gateway(table).as_deref(), Some("172.18.0.1"));
        assert_eq!(default_gateway("Iface\n"), None);
    }
}

//! Connects to a container's port from here: at the container's own address, and wherever the port is published.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bollard::models::NetworkSettings;
use futures_util::future::join_all;
use nix::errno::Errno;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::facts::routes::Routes;
use crate::host::{HostError, HostResult, SystemReader};
use crate::probe::net::addresses;
use crate::probe::serve::GREETING;

/// The deadline of a visit: everything is on this machine.
const TIMEOUT: Duration = Duration::from_secs(1);

/// From when on a new IPv6 address is in use.
const ADDRESS_USABLE_WITHIN: Duration = Duration::from_secs(3);
/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// The kinds of addresses that a port has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// The container's own address on its bridge.
    Container,
    /// A loopback address of this machine: the userland proxy, or a rule of the nat table with hairpin.
    Loopback,
    /// The address of this machine's default interface: a rule of the nat table.
    Own,
}

/// One connection to the port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The kind of the address.
    pub kind: AddressKind,
    /// The address.
    pub to: SocketAddr,
    /// The time to the greeting, or the error.
    pub end: HostResult<Duration>,
}

/// The addresses of the container's port. `own` is this machine's address.
pub fn addresses_of(
    network: &NetworkSettings,
    port: u16,
    own: Option<Ipv4Addr>,
) -> Vec<(AddressKind, SocketAddr)> {
    let mut found = Vec::new();
    let endpoints = network.networks.iter().flatten().map(|(_, endpoint)| endpoint);
    let addresses = endpoints.flat_map(|endpoint| {
        let both = [endpoint.ip_address.as_deref(), endpoint.global_ipv6_address.as_deref()];
        both.map(|address| address?.parse::<IpAddr>().ok()).into_iter().flatten()
    });
    found.extend(addresses.map(|address| (AddressKind::Container, SocketAddr::new(address, port))));
    let bindings = network.ports.iter().flatten().filter(|(name, _)| **name == format!("{port}/tcp"));
    for binding in bindings.filter_map(|(_, bindings)| bindings.as_ref()).flatten() {
        let Some(port) = binding.host_port.as_deref().and_then(|port| port.parse().ok()) else { continue };
        let host: Option<IpAddr> = binding.host_ip.as_deref().and_then(|ip| ip.parse().ok());
        match host {
            Some(IpAddr::V6(ip)) if ip.is_unspecified() => {
                found.push((AddressKind::Loopback, SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port))));
            }
            Some(ip) if ip.is_loopback() => found.push((AddressKind::Loopback, SocketAddr::new(ip, port))),
            Some(ip) if !ip.is_unspecified() => found.push((AddressKind::Own, SocketAddr::new(ip, port))),
            _ => {
                found.push((AddressKind::Loopback, SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
                found.extend(own.map(|own| (AddressKind::Own, SocketAddr::from((own, port)))));
            }
        }
    }
    found
}

/// This machine's address on the interface of its default route.
pub fn own_address(host: &dyn SystemReader) -> Option<Ipv4Addr> {
    let routes = Routes::read(host).ok()?;
    let device = &routes.defaults().first()?.device;
    addresses(device).iter().find_map(|address| address.parse().ok())
}

/// Visits all addresses at once.
pub async fn visit_all(addresses: Vec<(AddressKind, SocketAddr)>) -> Vec<Visit> {
    join_all(addresses.into_iter().map(|(kind, to)| visit(kind, to))).await
}

/// Connects to one address. For a second or two after a bridge came up its IPv6 address is not used, since the kernel looks
/// for duplicates (RFC 4862, 5.4): before that a failure says nothing.
async fn visit(kind: AddressKind, to: SocketAddr) -> Visit {
    let start = Instant::now();
    loop {
        let visit = visit_once(kind, to).await;
        let unusable = visit.end.as_ref().err().is_some_and(|error| is_of_new_address(error.errno()));
        if !unusable || !to.is_ipv6() || start.elapsed() > ADDRESS_USABLE_WITHIN {
            return visit;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether an address that is not in use yet may be the reason: of this machine, of the container, or of the proxy's way.
fn is_of_new_address(errno: Errno) -> bool {
    matches!(errno, Errno::ETIMEDOUT | Errno::EHOSTUNREACH | Errno::ECONNRESET)
}

/// Connects once, and waits for the greeting of the probe.
async fn visit_once(kind: AddressKind, to: SocketAddr) -> Visit {
    let start = Instant::now();
    let error = |op: &'static str, errno: Errno| HostError::new(op, to.to_string(), errno);
    let greeted = async {
        let failed = |op| move |error: std::io::Error| HostError::io(op, to.to_string(), &error);
        let mut stream = TcpStream::connect(to).await.map_err(failed("connect to"))?;
        let mut said = vec![0; GREETING.len()];
        match stream.read_exact(&mut said).await {
            Ok(_) if said == GREETING => Ok(start.elapsed()),
            Ok(_) => Err(error("be greeted by", Errno::EPROTO)),
            // A proxy that cannot reach the container accepts and closes the connection.
            Err(early) if early.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(error("be greeted by", Errno::ECONNRESET))
            }
            Err(other) => Err(failed("be greeted by")(other)),
        }
    };
    let end = tokio::time::timeout(TIMEOUT, greeted).await;
    Visit { kind, to, end: end.unwrap_or_else(|_| Err(error("reach", Errno::ETIMEDOUT))) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(bindings: &serde_json::Value) -> NetworkSettings {
        serde_json::from_value(json!({
            "Ports": {"7009/tcp": bindings, "1/tcp": null},
            "Networks": {"bridge": {"IPAddress": "172.18.0.2"}},
        }))
        .unwrap()
    }

    fn ways(bindings: &serde_json::Value, own: Option<Ipv4Addr>) -> Vec<String> {
        let found = addresses_of(&settings(bindings), 7009, own);
        found.into_iter().map(|(kind, to)| format!("{kind:?} {to}")).collect()
    }

    #[test]
    fn a_port_has_the_containers_address_and_each_published_one() {
        let both = json!([{"HostIp": "0.0.0.0", "HostPort": "32768"}, {"HostIp": "::", "HostPort": "32769"}]);
        assert_eq!(
            ways(&both, Some(Ipv4Addr::new(10, 0, 0, 2))),
            [
                "Container 172.18.0.2:7009",
                "Loopback 127.0.0.1:32768",
                "Own 10.0.0.2:32768",
                "Loopback [::1]:32769"
            ]
        );
        assert_eq!(ways(&json!([]), None), ["Container 172.18.0.2:7009"]);
        let one = json!([{"HostIp": "10.1.1.1", "HostPort": "5"}, {"HostIp": "127.0.0.1", "HostPort": "6"}]);
        assert_eq!(ways(&one, None), ["Container 172.18.0.2:7009", "Own 10.1.1.1:5", "Loopback 127.0.0.1:6"]);
    }

    #[test]
    fn a_container_with_ipv6_is_visited_at_both_addresses() {
        let settings = serde_json::from_value(json!({
            "Networks": {"bridge": {"IPAddress": "172.18.0.2", "GlobalIPv6Address": "fd00::2"}},
        }));
        let found = addresses_of(&settings.unwrap(), 7009, None);
        let found: Vec<_> = found.into_iter().map(|(_, to)| to.to_string()).collect();
        assert_eq!(found, ["172.18.0.2:7009", "[fd00::2]:7009"]);
    }

    #[test]
    fn a_connection_without_a_greeting_is_an_error() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let hangs_up = std::thread::spawn(move || drop(listener.accept()));
        let visits = runtime.block_on(visit_all(vec![(AddressKind::Own, to)]));
        assert_eq!(visits[0].end.as_ref().unwrap_err().errno(), Errno::ECONNRESET);
        hangs_up.join().unwrap();
    }
}

//! The addresses on which the daemon will listen: `--host` values, parsed as moby's opts/hosts.go parses them.

use std::fmt;
use std::path::PathBuf;

use super::rootless;
use super::values::Values;
use crate::facts::endpoint::Endpoint;
use crate::host::SystemReader;

/// One address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A unix socket.
    Unix(PathBuf),
    /// TCP: the host as it was written (a name, an address, or empty for every address), and the port.
    Tcp(String, u16),
    /// Sockets that systemd passes.
    Fd(String),
}

impl Listen {
    /// Parses one value of `--host`. An empty one is the default socket, or with TLS the default port. The error says what
    /// is invalid.
    pub fn parse(text: &str, tls: bool) -> Result<Self, String> {
        let text = text.trim();
        let (scheme, rest) = match text.split_once("://") {
            Some(parts) => parts,
            None if text.is_empty() && tls => ("tcp", "localhost:2376"),
            None if text.is_empty() => ("unix", ""),
            None => ("tcp", text),
        };
        match scheme {
            "unix" if rest.is_empty() => Ok(Self::Unix(crate::facts::endpoint::DEFAULT_SOCKET.into())),
            "unix" if rest.contains("://") => Err(format!("`{text}` is not a valid unix socket address")),
            "unix" => Ok(Self::Unix(rest.into())),
            "fd" => Ok(Self::Fd(rest.to_owned())),
            "tcp" => tcp(rest, tls).ok_or_else(|| format!("`{text}` is not a valid address to listen on")),
            _ => Err(format!("`{text}`: dockerd listens on unix://, tcp:// and fd:// only")),
        }
    }

    /// Whether the address is reachable only from this network namespace. A name other than `localhost` counts as one of
    /// another machine.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Unix(_) | Self::Fd(_) => true,
            Self::Tcp(host, _) => {
                host == "localhost"
                    || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

/// Parses `host:port`, `:port`, `host` or `[v6]:port`; a path after it is ignored. The defaults are `localhost` and port
/// 2375, or 2376 with TLS.
fn tcp(rest: &str, tls: bool) -> Option<Listen> {
    let default = if tls { 2376 } else { 2375 };
    let address = rest.split('/').next().unwrap_or_default();
    let (host, port) = match address.rsplit_once(':') {
        // An IPv6 address without brackets: its colons do not separate a port.
        Some((host, _)) if host.contains(':') && !host.starts_with('[') => return None,
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (address, ""),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() { "localhost" } else { host };
    let port = if port.is_empty() { default } else { port.parse().ok()? };
    Some(Listen::Tcp(host.to_owned(), port))
}

/// Every address of the option `hosts`, and why the others cannot be read.
pub(super) fn listens(host: &dyn SystemReader, values: &Values, tls: bool) -> (Vec<Listen>, Vec<String>) {
    let mut given = values.list("hosts");
    if given.is_empty() {
        given.push("");
    }
    let own = rootless::socket(host);
    let (mut hosts, mut bad) = (Vec::new(), Vec::new());
    for text in given {
        let usual = text.trim() == "unix://" || text.trim().is_empty() && !tls;
        let listen = match &own {
            Some(socket) if usual => Ok(Listen::Unix(socket.clone())),
            _ => Listen::parse(text, tls),
        };
        match listen {
            Ok(listen) if hosts.contains(&listen) => {}
            Ok(listen) => hosts.push(listen),
            Err(why) => bad.push(why),
        }
    }
    (hosts, bad)
}

/// Where a client on this machine reaches a daemon that listens there: its first unix socket, else its first TCP
/// address, whose wildcard becomes loopback.
pub(super) fn endpoint(listens: &[Listen]) -> Option<Endpoint> {
    let unix = listens.iter().find_map(|listen| match listen {
        Listen::Unix(path) => Some(Endpoint::Unix(path.clone())),
        _ => None,
    });
    let tcp = || {
        listens.iter().find_map(|listen| match listen {
            Listen::Tcp(host, port) => Some(Endpoint::Tcp(reachable(host, *port))),
            _ => None,
        })
    };
    unix.or_else(tcp)
}

/// A TCP address as a client on the same machine reaches it. Go listens at the IPv4 address of `localhost`.
fn reachable(host: &str, port: u16) -> String {
    match host {
        "0.0.0.0" | "localhost" => format!("127.0.0.1:{port}"),
        "::" => format!("[::1]:{port}"),
        host if host.contains(':') => format!("[{host}]:{port}"),
        host => format!("{host}:{port}"),
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(host, port) if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "tcp://{host}:{port}"),
            Self::Fd(name) => write!(f, "fd://{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_parts_have_the_defaults_of_dockerd() {
        for (text, tls, meant) in [
            ("", false, "unix:///var/run/docker.sock"),
            ("", true, "tcp://localhost:2376"),
            ("unix://", false, "unix:///var/run/docker.sock"),
            ("unix:///x", true, "unix:///x"),
            ("tcp://", false, "tcp://localhost:2375"),
            ("0.0.0.0:2375", false, "tcp://0.0.0.0:2375"),
            ("tcp://[::]:2376/", true, "tcp://[::]:2376"),
            ("tcp://:4000", false, "tcp://localhost:4000"),
            ("fd://", false, "fd://"),
        ] {
            assert_eq!(Listen::parse(text, tls).unwrap().to_string(), meant, "{text}");
        }
        for bad in ["http://x:1", "tcp://x:99999", "tcp://::1:2375", "ssh://x"] {
            assert!(Listen::parse(bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_client_uses_the_first_unix_socket_else_the_first_tcp_address() {
        let of = |hosts: &[&str]| {
            let listens: Vec<_> = hosts.iter().map(|host| Listen::parse(host, false).unwrap()).collect();
            endpoint(&listens).map(|endpoint| endpoint.to_string())
        };
        for (hosts, meant) in [
            (&["unix://"][..], "unix:///var/run/docker.sock"),
            (&["tcp://0.0.0.0:2375", "unix:///a.sock", "unix:///b.sock"], "unix:///a.sock"),
            (&["tcp://0.0.0.0:2376"], "tcp://127.0.0.1:2376"),
            (&["tcp://"], "tcp://127.0.0.1:2375"),
            (&[":4000"], "tcp://127.0.0.1:4000"),
            (&["tcp://[::]:2375"], "tcp://[::1]:2375"),
            (&["tcp://[fd00::1]:2375"], "tcp://[fd00::1]:2375"),
        ] {
            assert_eq!(of(hosts).as_deref(), Some(meant), "{hosts:?}");
        }
        assert_eq!(of(&["fd://"]), None);
    }

    #[test]
    fn only_loopback_addresses_are_loopback() {
        let loopback = |text| Listen::parse(text, false).unwrap().is_loopback();
        assert!(loopback("tcp://127.0.0.1:1") && loopback("tcp://localhost:1") && loopback("tcp://[::1]:1"));
        assert!(!loopback("tcp://0.0.0.0:1") && !loopback("tcp://dind:1") && !loopback("tcp://[::]:1"));
    }
}

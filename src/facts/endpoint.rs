//! Where does a daemon listen? Its address, as a user types it and as dockerd's own options give it.

use std::fmt;
use std::path::PathBuf;

use anyhow::{bail, ensure};
use serde::{Deserialize, Serialize};

/// The socket of a daemon that says nothing else.
pub const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// The port of a `tcp://` host that names none (moby `opts/hosts.go`, `DefaultHTTPPort`).
const DEFAULT_PORT: u16 = 2375;

/// Where a daemon listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// `host:port`, without TLS.
    Tcp(String),
    /// The same with TLS.
    Tls(Box<TlsEndpoint>),
}

/// A TCP address with TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsEndpoint {
    /// `host:port`.
    pub address: String,
    /// The directory of ca.pem, cert.pem and key.pem.
    pub keys: PathBuf,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self::Unix(DEFAULT_SOCKET.into())
    }
}

impl Endpoint {
    /// `unix:///path`, `tcp://host:port`, or nothing for the usual socket.
    pub fn parse(url: &str) -> anyhow::Result<Self> {
        if url.is_empty() {
            return Ok(Self::default());
        }
        match url.split_once("://") {
            Some(("unix", path)) => {
                ensure!(
                    path.starts_with('/'),
                    "`{url}`: a unix socket needs an absolute path, unix:///var/run/docker.sock"
                );
                Ok(Self::Unix(path.into()))
            }
            Some(("tcp" | "http", address)) => {
                let address = address.trim_end_matches('/');
                let port =
                    address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
                ensure!(port.is_some_and(|(host, _)| !host.is_empty()), "`{url}`: tcp needs HOST:PORT");
                Ok(Self::Tcp(address.to_owned()))
            }
            _ => bail!("`{url}` is no daemon address: unix:///PATH or tcp://HOST:PORT"),
        }
    }

    /// The address to talk to a daemon that was given these hosts (`-H`, or `hosts` of daemon.json): its first
    /// unix socket, else its first TCP address as seen from this machine. Without hosts: the usual socket.
    pub fn of_hosts<'h>(hosts: impl IntoIterator<Item = &'h str>) -> Self {
        let mut tcp = None;
        for host in hosts {
            match host.trim().split_once("://") {
                Some(("unix", "")) => return Self::default(),
                Some(("unix", path)) => return Self::Unix(path.into()),
                Some(("tcp", address)) => tcp = tcp.or_else(|| Some(reachable(address))),
                Some(_) => {}
                None if host.is_empty() => return Self::default(),
                None => tcp = tcp.or_else(|| Some(reachable(host))),
            }
        }
        tcp.map_or_else(Self::default, Self::Tcp)
    }
}

/// A listening address as a client on the same machine reaches it: the wildcard becomes loopback.
fn reachable(address: &str) -> String {
    let address = address.trim_end_matches('/');
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().unwrap_or(DEFAULT_PORT)),
        _ => (address, DEFAULT_PORT),
    };
    let host = match host {
        "" | "0.0.0.0" => "127.0.0.1",
        "[::]" => "[::1]",
        other => other,
    };
    format!("{host}:{port}")
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Tls(secured) => write!(f, "tcp://{}", secured.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_addresses_are_checked() {
        assert_eq!(Endpoint::parse("").unwrap(), Endpoint::Unix(DEFAULT_SOCKET.into()));
        assert_eq!(Endpoint::parse("unix:///x").unwrap(), Endpoint::Unix("/x".into()));
        assert_eq!(Endpoint::parse("tcp://h:1/").unwrap(), Endpoint::Tcp("h:1".into()));
        for bad in ["unix://x", "tcp://h", "tcp://:1", "npipe:////./pipe", "/var/run/docker.sock"] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_unix_socket_is_preferred_among_hosts() {
        let of = |hosts: &[&str]| Endpoint::of_hosts(hosts.iter().copied()).to_string();
        assert_eq!(of(&[]), "unix:///var/run/docker.sock");
        assert_eq!(of(&["unix://"]), "unix:///var/run/docker.sock");
        assert_eq!(of(&["tcp://0.0.0.0:2375", "unix:///a.sock", "unix:///b.sock"]), "unix:///a.sock");
        assert_eq!(of(&["tcp://0.0.0.0:2376"]), "tcp://127.0.0.1:2376");
        assert_eq!(of(&["tcp://"]), "tcp://127.0.0.1:2375");
        assert_eq!(of(&[":4000"]), "tcp://127.0.0.1:4000");
        assert_eq!(of(&["tcp://[::]:2375"]), "tcp://[::1]:2375");
        assert_eq!(of(&["fd://"]), "unix:///var/run/docker.sock");
    }
}

//! The address of a daemon, as a user types it and as dockerd's own options give it.

use std::fmt;
use std::path::PathBuf;

use anyhow::{bail, ensure};
use serde::{Deserialize, Serialize};

use crate::diagnosis::redact::without_logins;

/// The socket on which dockerd listens by default.
pub const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// The address of a daemon.
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
    /// Parses `unix:///path` or `tcp://host:port`; an empty text is the default socket. The error says what is invalid.
    pub fn parse(url: &str) -> anyhow::Result<Self> {
        if url.is_empty() {
            return Ok(Self::default());
        }
        // What is typed may hold a login.
        let shown = without_logins(url);
        match url.split_once("://") {
            Some(("unix", path)) => {
                ensure!(
                    path.starts_with('/'),
                    "`{shown}`: a unix socket needs an absolute path, unix:///var/run/docker.sock"
                );
                Ok(Self::Unix(path.into()))
            }
            Some(("tcp" | "http", address)) => {
                let address = address.trim_end_matches('/');
                ensure!(
                    !address.contains('@'),
                    "`{shown}`: a daemon takes no login; use client certificates (DOCKER_TLS_VERIFY, DOCKER_CERT_PATH)"
                );
                let port = address.rsplit_once(':').and_then(|(host, port)| {
                    let is_name =
                        !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control());
                    is_name.then_some(port.parse::<u16>().ok()?)
                });
                ensure!(
                    port.is_some_and(|port| port > 0),
                    "`{shown}`: tcp needs HOST:PORT, with a port of 1 to 65535"
                );
                Ok(Self::Tcp(address.to_owned()))
            }
            _ => bail!("`{shown}` is not a daemon address: unix:///PATH or tcp://HOST:PORT"),
        }
    }
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
    fn invalid_address_is_refused() {
        assert_eq!(Endpoint::parse("").unwrap(), Endpoint::Unix(DEFAULT_SOCKET.into()));
        assert_eq!(Endpoint::parse("unix:///x").unwrap(), Endpoint::Unix("/x".into()));
        assert_eq!(Endpoint::parse("tcp://h:1/").unwrap(), Endpoint::Tcp("h:1".into()));
        for bad in [
            "unix://x",
            "tcp://h",
            "tcp://:1",
            "tcp://h:0",
            "tcp://h:65536",
            "tcp://a b:1",
            "tcp://\n:1",
            "npipe:////./pipe",
            "/var/run/docker.sock",
            "tcp://me:canary@h:1",
            "http://me:canary@h",
            "me:canary@h:1",
        ] {
            let error = Endpoint::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }
}

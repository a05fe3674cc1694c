//! How is Docker reached? Through this door alone; the only place that waits asynchronously.

use std::fmt;
use std::path::PathBuf;

use anyhow::{bail, ensure};

use crate::diagnosis::Diagnosis;

/// The door to Docker: an inner daemon that we start or attach to, and what runs under it.
pub trait Engine {
    /// Whether anything was started, attached to or made, so that there is something to tear down.
    fn is_used(&self) -> bool;
    /// What is ours and could not be removed.
    fn leftovers(&self) -> Vec<String>;
    /// The daemon's log, read from its first error, where the daemon or a container failed.
    fn diagnosis(&self) -> Option<Diagnosis>;
}

/// The socket of a daemon that says nothing else.
pub const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// Where a daemon listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// `host:port`, without TLS.
    Tcp(String),
}

impl Endpoint {
    /// `unix:///path`, `tcp://host:port`, or nothing for the usual socket.
    pub fn parse(url: &str) -> anyhow::Result<Self> {
        if url.is_empty() {
            return Ok(Self::Unix(DEFAULT_SOCKET.into()));
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
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

pub mod fake;
pub mod live;

/// The command line of dockerd: what dindcheck adds, then the profile's arguments.
pub fn command_line(plan: &crate::plan::Plan) -> Vec<String> {
    let daemon = &plan.profile.daemon;
    let mut line = vec![daemon.command.clone()];
    line.extend(daemon.debug.then(|| "--debug".to_owned()));
    line.extend(daemon.data_root.iter().map(|root| format!("--data-root={}", root.display())));
    line.extend(daemon.args.iter().cloned());
    line
}

//! Resolves names and connects to them. Uses /etc/hosts and /etc/resolv.conf as libc does, with a deadline for each step.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use nix::errno::Errno;

use super::{dns, serve};
use crate::facts::routes::nameservers;
use crate::host::{HostError, HostResult};

/// The deadline for another container on the same network.
pub(super) const NEAR: Duration = Duration::from_millis(250);
/// The deadline for what a profile names.
const FAR: Duration = Duration::from_secs(3);
/// The operation of an attempt to reach another container whose address is known.
pub(super) const REACH: &str = "reach the container at";

/// The domains of the last `search` line.
fn search(resolv: &str) -> Vec<String> {
    let domains = resolv.lines().filter_map(|line| line.trim().strip_prefix("search")).next_back();
    domains.unwrap_or_default().split_whitespace().map(ToOwned::to_owned).collect()
}

/// The files by which names are resolved.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    servers: Vec<IpAddr>,
    hosts: String,
    search: Vec<String>,
}

impl Resolver {
    /// A resolver with these texts of /etc/resolv.conf and /etc/hosts.
    pub(super) fn new(resolv: &str, hosts: String) -> Self {
        Self { servers: nameservers(resolv), hosts, search: search(resolv) }
    }

    /// The address of a name: itself if it is one, or from /etc/hosts, or from DNS with the search domains. The error is
    /// that of the last server, or `ENOENT`.
    pub(super) fn resolve(&self, name: &str) -> HostResult<IpAddr> {
        if let Some(address) = name.parse().ok().or_else(|| in_hosts(&self.hosts, name)) {
            return Ok(address);
        }
        let mut end = HostError::new("resolve", name, Errno::ENOENT);
        let names = std::iter::once(name.to_owned())
            .chain(self.search.iter().map(|domain| format!("{name}.{domain}")));
        for name in names {
            for server in &self.servers {
                match dns::ask(*server, &name, FAR) {
                    Ok(answer) if !answer.addresses.is_empty() => return Ok(answer.addresses[0].into()),
                    // NXDOMAIN is final; other servers are not queried.
                    Ok(answer) if answer.code == 3 => break,
                    Ok(_) => {}
                    Err(error) => end = error,
                }
            }
        }
        Err(end)
    }

    /// Connects to `host:port`. Returns the address; `EINVAL` where the text is not `host:port`.
    pub(super) fn connect(&self, endpoint: &str) -> HostResult<String> {
        let invalid = || HostError::new("parse as host:port", endpoint, Errno::EINVAL);
        let (name, port) = endpoint.rsplit_once(':').ok_or_else(invalid)?;
        let address = self.resolve(name.trim_matches(['[', ']']))?;
        let to = SocketAddr::new(address, port.parse().map_err(|_| invalid())?);
        TcpStream::connect_timeout(&to, FAR)
            .map(|_| to.to_string())
            .map_err(|error| HostError::timed("connect to", to.to_string(), &error))
    }

    /// Resolves the name of another container and receives its greeting. The error of the second half has the operation
    /// [`REACH`].
    pub(super) fn greet_peer(&self, name: &str, port: u16) -> HostResult<String> {
        let to = SocketAddr::new(self.resolve(name)?, port);
        serve::expect_greeting(to, NEAR).map_err(|error| HostError { op: REACH.into(), ..error })?;
        Ok(to.to_string())
    }
}

/// The address of a name in /etc/hosts.
fn in_hosts(hosts: &str, name: &str) -> Option<IpAddr> {
    hosts.lines().find_map(|line| {
        let mut fields = line.split('#').next()?.split_whitespace();
        let address = fields.next()?;
        fields.any(|field| field == name).then(|| address.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_search_domains_are_read() {
        let hosts = "127.0.0.1 localhost # here\n10.0.0.9\tx.y x\n";
        assert_eq!(in_hosts(hosts, "x"), Some([10, 0, 0, 9].into()));
        assert_eq!(in_hosts(hosts, "here"), None);
        assert_eq!(search("nameserver 1.1.1.1\nsearch a.b c\n"), ["a.b", "c"]);
    }

    #[test]
    fn endpoint_is_connected_and_a_refused_or_invalid_one_is_an_error() {
        let resolver = Resolver::new("", "127.0.0.1 here\n".into());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(resolver.connect(&format!("here:{port}")).is_ok());
        drop(listener);
        assert_eq!(resolver.connect(&format!("here:{port}")).unwrap_err().errno(), Errno::ECONNREFUSED);
        assert_eq!(resolver.connect("nowhere:1").unwrap_err().errno(), Errno::ENOENT);
        assert_eq!(resolver.connect("x").unwrap_err().errno(), Errno::EINVAL);
    }
}

//! Which address has a name, and who answers there? Asked as libc does, of the files that it reads, but with deadlines.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use nix::errno::Errno;

use super::{dns, serve};
use crate::facts::routes::nameservers;
use crate::host::{HostError, HostResult};

/// For a neighbour.
pub(super) const NEAR: Duration = Duration::from_millis(250);
/// For what a profile names.
const FAR: Duration = Duration::from_secs(3);
/// The operation of an attempt to reach a neighbour whose address is known.
pub(super) const REACH: &str = "reach the neighbour at";

/// The words after `search`.
fn search(resolv: &str) -> Vec<String> {
    let words = resolv.lines().filter_map(|line| line.trim().strip_prefix("search")).next_back();
    words.unwrap_or_default().split_whitespace().map(ToOwned::to_owned).collect()
}

/// How names are resolved here.
#[derive(Debug, Clone)]
pub(super) struct Book {
    servers: Vec<IpAddr>,
    hosts: String,
    search: Vec<String>,
}

impl Book {
    /// As these texts of /etc/resolv.conf and /etc/hosts say.
    pub(super) fn new(resolv: &str, hosts: String) -> Self {
        Self { servers: nameservers(resolv), hosts, search: search(resolv) }
    }

    /// The IPv4 address of a name.
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
                    // The server knows that there is none: another one knows no better.
                    Ok(answer) if answer.code == 3 => break,
                    Ok(_) => {}
                    Err(error) => end = error,
                }
            }
        }
        Err(end)
    }

    /// Connects to `host:port`.
    pub(super) fn connect(&self, endpoint: &str) -> HostResult<String> {
        let wrong = || HostError::new("read as host:port", endpoint, Errno::EINVAL);
        let (name, port) = endpoint.rsplit_once(':').ok_or_else(wrong)?;
        let address = self.resolve(name.trim_matches(['[', ']']))?;
        let to = SocketAddr::new(address, port.parse().map_err(|_| wrong())?);
        TcpStream::connect_timeout(&to, FAR)
            .map(|_| to.to_string())
            .map_err(|error| HostError::timed("connect to", to.to_string(), &error))
    }

    /// Finds a neighbour by name and is greeted by it.
    pub(super) fn meet(&self, name: &str, port: u16) -> HostResult<String> {
        let to = SocketAddr::new(self.resolve(name)?, port);
        serve::visit(to, NEAR).map_err(|error| HostError { op: REACH.into(), ..error })?;
        Ok(to.to_string())
    }
}

/// The address of a name in /etc/hosts.
fn in_hosts(hosts: &str, name: &str) -> Option<IpAddr> {
    hosts.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?;
        words.any(|word| word == name).then(|| address.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_search_are_read() {
        let hosts = "127.0.0.1 localhost # here\n10.0.0.9\tx.y x\n";
        assert_eq!(in_hosts(hosts, "x"), Some([10, 0, 0, 9].into()));
        assert_eq!(in_hosts(hosts, "here"), None);
        assert_eq!(search("nameserver 1.1.1.1\nsearch a.b c\n"), ["a.b", "c"]);
    }

    #[test]
    fn endpoints_are_connected_to_and_refused_ones_are_told() {
        let book = Book::new("", "127.0.0.1 here\n".into());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(book.connect(&format!("here:{port}")).is_ok());
        drop(listener);
        assert_eq!(book.connect(&format!("here:{port}")).unwrap_err().errno(), Errno::ECONNREFUSED);
        assert_eq!(book.connect("nowhere:1").unwrap_err().errno(), Errno::ENOENT);
        assert_eq!(book.connect("x").unwrap_err().errno(), Errno::EINVAL);
    }
}

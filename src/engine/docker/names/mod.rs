//! Resolves the names of daemons by /etc/hosts and DNS, as resolv.conf(5) says.
//!
//! getaddrinfo(3) of a static glibc loads the NSS modules of whatever image it runs in, and crashes where they are of another
//! version.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::host::live::Live;
use crate::host::{HostError, SystemReader};

mod query;

/// The longest that a name may take with all its search domains and servers.
const DEADLINE: Duration = Duration::from_secs(10);
/// The longest that one server may take to answer one question; resolv.conf may say less.
const ANSWER: Duration = Duration::from_secs(2);
/// How many servers are asked (`MAXNS` of glibc).
const MAX_SERVERS: usize = 3;
/// How long one address of several may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the last address, or the only one, may take: three retries of the kernel (tcp(7), `tcp_syn_retries`).
const LAST_CONNECT: Duration = Duration::from_secs(10);

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name `{name}` of the daemon cannot be resolved: {why}")]
pub struct NameError {
    /// The name.
    pub name: String,
    /// What is wrong.
    pub why: NameFailure,
}

/// What is wrong with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameFailure {
    /// It has no form of a name.
    Invalid,
    /// The server knows no address of it; the names that were asked for.
    Unknown(IpAddr, Vec<String>),
    /// The server refuses or fails, with this response code (RFC 1035).
    Refused(IpAddr, u16),
    /// The server does not answer in time.
    Silent(IpAddr),
    /// The server cannot be asked.
    Unreachable(IpAddr, HostError),
    /// A file that decides cannot be read.
    File(HostError),
    /// The time for all servers and search domains is over.
    Late,
}

impl fmt::Display for NameFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid => f.write_str("it is not a valid host name"),
            Self::Unknown(server, names) => write!(
                f,
                "the name server {server} knows no address of {}; correct the name, or join the network where it is known",
                names.join(" or ")
            ),
            Self::Refused(server, code) => {
                write!(
                    f,
                    "the name server {server} answers with the error code {code}; check /etc/resolv.conf"
                )
            }
            Self::Silent(server) => {
                write!(
                    f,
                    "the name server {server} does not answer; check /etc/resolv.conf, or use an IP address"
                )
            }
            Self::Unreachable(server, error) => {
                write!(f, "the name server {server} cannot be asked: {error}; check /etc/resolv.conf")
            }
            Self::File(error) => write!(f, "{error}"),
            Self::Late => {
                write!(
                    f,
                    "not done within {} s; check /etc/resolv.conf, or use an IP address",
                    DEADLINE.as_secs()
                )
            }
        }
    }
}

/// The files by which names are resolved.
#[derive(Debug, Clone)]
pub struct Names {
    hosts: String,
    config: resolv_conf::Config,
    /// The port of the name servers; another one than 53 in tests only.
    port: u16,
}

impl Names {
    /// Reads /etc/hosts and /etc/resolv.conf. A missing file is an empty one.
    fn read(host: &dyn SystemReader) -> Result<Self, HostError> {
        let text = |path: &str| host.read_if_there(Path::new(path)).map(Option::unwrap_or_default);
        Ok(Self::of(text("/etc/hosts")?, &text("/etc/resolv.conf")?, 53))
    }

    /// With these texts of the two files. Lines of resolv.conf that are invalid are skipped, as the C library does.
    fn of(hosts: String, resolv: &str, port: u16) -> Self {
        let (config, _) = resolv_conf::Config::parse_with_errors(resolv.as_bytes());
        Self { hosts, config, port }
    }

    /// The addresses of a name, an address itself included. `localhost` is loopback whatever the files say (RFC 6761).
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, NameError> {
        let failed = |why| NameError { name: name.to_owned(), why };
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        let plain = name.trim_end_matches('.').to_lowercase();
        if plain == "localhost" || plain.ends_with(".localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let listed = in_hosts(&self.hosts, &plain);
        if !listed.is_empty() {
            return Ok(listed);
        }
        let asked = timeout(DEADLINE, self.ask_servers(name)).await;
        asked.unwrap_or(Err(NameFailure::Late)).map_err(failed)
    }

    /// Asks for the name with each search domain; the first that has addresses counts.
    async fn ask_servers(&self, name: &str) -> Result<Vec<IpAddr>, NameFailure> {
        let candidates = self.candidates(name);
        let mut end = None;
        for candidate in &candidates {
            match self.ask_each(candidate).await {
                Ok(addresses) => return Ok(addresses),
                // A server that fails for one domain may know the next.
                Err(NameFailure::Unknown(server, _)) => {
                    end.get_or_insert(NameFailure::Unknown(server, candidates.clone()));
                }
                Err(failure) => end = Some(failure),
            }
        }
        Err(end.unwrap_or(NameFailure::Invalid))
    }

    /// The full names to ask for: a name with fewer dots than `ndots` is first tried in the search domains.
    fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(absolute) = name.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        let search =
            self.config.get_last_search_or_domain().filter(|domain| !domain.trim_matches('.').is_empty());
        let mut all: Vec<_> = search.map(|domain| format!("{name}.{}", domain.trim_matches('.'))).collect();
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        let at = if u32::try_from(dots).is_ok_and(|dots| dots >= self.config.ndots) { 0 } else { all.len() };
        all.insert(at, name.to_owned());
        all
    }

    /// Asks one server after the other. An answer that the name is unknown is final.
    async fn ask_each(&self, name: &str) -> Result<Vec<IpAddr>, NameFailure> {
        let within = ANSWER.min(Duration::from_secs(self.config.timeout.max(1).into()));
        let mut end = NameFailure::Invalid;
        for server in self.config.get_nameservers_or_local().into_iter().take(MAX_SERVERS) {
            let to = SocketAddr::new(server.into(), self.port);
            let (four, six) =
                tokio::join!(query::ask(to, name, false, within), query::ask(to, name, true, within));
            end = match (four, six) {
                (Ok(four), Ok(six)) if four.is_empty() && six.is_empty() => {
                    return Err(NameFailure::Unknown(to.ip(), vec![name.to_owned()]));
                }
                // One of the two may fail: servers of container engines do not know every type.
                (Ok(four), six) if !four.is_empty() => return Ok([four, six.unwrap_or_default()].concat()),
                (_, Ok(six)) if !six.is_empty() => return Ok(six),
                (Err(failure), _) | (_, Err(failure)) => failure,
                _ => NameFailure::Silent(to.ip()),
            };
        }
        Err(end)
    }
}

/// The addresses of a name in the text of /etc/hosts; names there have no case.
fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let lines = hosts.lines().filter_map(|line| {
        let mut fields = line.split('#').next()?.split_whitespace();
        let address = fields.next()?;
        fields.any(|field| field.eq_ignore_ascii_case(name)).then(|| address.parse().ok())?
    });
    lines.collect()
}

/// Connects to `host:port`: to each address of the host until one accepts.
///
/// # Errors
///
/// An `io::Error` around a [`NameError`], or that of the last address.
pub async fn connect(address: &str) -> io::Result<TcpStream> {
    let (host, port) = split(address)?;
    let failed = |error| io::Error::other(NameError { name: host.to_owned(), why: NameFailure::File(error) });
    // An address needs no file.
    let addresses = if let Ok(address) = host.parse() {
        vec![address]
    } else {
        let names = Names::read(&Live::default()).map_err(failed)?;
        names.resolve(host).await.map_err(io::Error::other)?
    };
    let mut end = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (left, address) in (0..addresses.len()).rev().zip(&addresses) {
        let attempt = TcpStream::connect(SocketAddr::new(*address, port));
        let within = if left == 0 { LAST_CONNECT } else { CONNECT };
        match timeout(within, attempt).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => end = error,
            Err(_) => end = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(end)
}

/// Host and port of an address; an IPv6 address stands in brackets.
fn split(address: &str) -> io::Result<(&str, u16)> {
    let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parts.ok_or(io::ErrorKind::InvalidInput)?;
    Ok((host.trim_start_matches('[').trim_end_matches(']'), port))
}

#[cfg(test)]
mod tests;

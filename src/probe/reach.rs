//! Connects to what a container must reach: its gateway, the gateway of the outer container, name servers, another
//! container by name, and the names and endpoints of a profile.
//!
//! A gateway is reached even where it refuses the connection. The outer container can make the same attempts, so that a
//! target that neither reaches is not blamed on the inner container.

use crate::host::trial::ReachRequest;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt};
use serde::{Deserialize, Serialize};

use super::dns;
use super::names::{NEAR, REACH, Resolver};
use crate::facts::routes::{Routes, nameservers};
use crate::host::trial::TrialReport;
use crate::host::{HostError, HostResult, SystemReader};

/// The discard port (RFC 863), on which nothing listens.
const DISCARD_PORT: u16 = 9;
/// The deadline for a name server, which may query others.
pub const RESOLVER: Duration = Duration::from_millis(800);
/// The size of an IPv4 header without options and a UDP header, in bytes.
const HEADERS: usize = 28;

/// What an attempt connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The default gateway of this network namespace.
    Gateway,
    /// The default gateway of the outer container.
    Outer,
    /// A name server.
    Resolver,
    /// A name of the profile.
    Name,
    /// An endpoint of the profile.
    Endpoint,
    /// The name of another container.
    PeerName,
    /// Another container.
    Peer,
}

impl Kind {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Outer => "outer",
            Self::Resolver => "resolver",
            Self::Name => "name",
            Self::Endpoint => "endpoint",
            Self::PeerName => "peer-name",
            Self::Peer => "peer",
        }
    }
}

/// One attempt to connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What it connected to.
    pub kind: Kind,
    /// The name or address.
    pub to: String,
    /// The error; `None` where it was reached.
    pub error: Option<HostError>,
    /// The answer, or the address of a name.
    pub answer: String,
    /// The duration, in microseconds.
    pub took_us: u64,
}

/// The path MTU to the gateway of the outer container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathMtu {
    /// The MTU of the own interface, in bytes.
    pub own: u32,
    /// The path MTU that the kernel knows after a packet of that size was sent, in bytes.
    pub path: u32,
    /// Whether a small packet was answered.
    pub small: bool,
    /// Whether a packet of full size was answered.
    pub large: bool,
}

/// The results of all attempts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// The attempts.
    pub attempts: Vec<Attempt>,
    /// The path MTU; `None` where there is no gateway.
    pub mtu: Option<PathMtu>,
}

impl Reached {
    /// The attempts as the report of a trial.
    pub fn into_report(self) -> TrialReport {
        let mut report = TrialReport::default();
        for attempt in self.attempts {
            report.attempt(attempt.kind.name(), attempt.error.map_or(Ok(()), Err));
            report.detail(format!("{} {}", attempt.to, attempt.answer));
        }
        report
    }

    /// The attempts of this kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter().filter(move |attempt| attempt.kind == kind)
    }
}

/// An attempt that is still to be made.
type Job = (Kind, String, Box<dyn Fn() -> HostResult<String> + Send>);

/// Makes all attempts at once, so that they take no longer than the slowest.
pub fn reach(host: &dyn SystemReader, request: &ReachRequest) -> Reached {
    let jobs = jobs(host, request);
    let own = mtu_of_default(host);
    let path_mtu =
        request.outer.zip(own).map(|(outer, own)| thread::spawn(move || probe_path_mtu(outer, own)));
    let threads: Vec<_> = jobs.into_iter().map(|job| thread::spawn(move || attempt(job))).collect();
    let attempts = threads.into_iter().filter_map(|thread| thread.join().ok()).flatten();
    let mut attempts: Vec<_> = attempts.collect();
    attempts
        .iter_mut()
        .filter(|attempt| attempt.kind == Kind::Gateway)
        .for_each(|attempt| accept_arp_entry(host, attempt));
    Reached { attempts, mtu: path_mtu.and_then(|thread| thread.join().ok()?) }
}

/// The attempts of a request.
fn jobs(host: &dyn SystemReader, request: &ReachRequest) -> Vec<Job> {
    let resolv = host.read_text(Path::new("/etc/resolv.conf")).unwrap_or_default();
    let mut jobs: Vec<Job> = Vec::new();
    let routes = Routes::read(host).unwrap_or_default();
    let gateway = routes.defaults().first().and_then(|route| route.gateway).filter(|_| request.gateway);
    for (kind, address) in [(Kind::Gateway, gateway), (Kind::Outer, request.outer)] {
        jobs.extend(
            address.map(|address| job(kind, address.to_string(), move || connect_or_be_refused(address))),
        );
    }
    for server in nameservers(&resolv).into_iter().filter(|_| request.resolvers) {
        let query = move || dns::ask(server, "", RESOLVER).map(|answer| format!("code {}", answer.code));
        jobs.push(job(Kind::Resolver, server.to_string(), query));
    }
    let resolver = Resolver::new(&resolv, host.read_text(Path::new("/etc/hosts")).unwrap_or_default());
    for name in &request.names {
        let (resolver, own_name) = (resolver.clone(), name.clone());
        jobs.push(job(Kind::Name, name.clone(), move || Ok(resolver.resolve(&own_name)?.to_string())));
    }
    for endpoint in &request.endpoints {
        let (resolver, address) = (resolver.clone(), endpoint.clone());
        jobs.push(job(Kind::Endpoint, endpoint.clone(), move || resolver.connect(&address)));
    }
    if let Some((name, port)) = request.peer.clone() {
        let to = format!("{name}:{port}");
        jobs.push(job(Kind::Peer, to, move || resolver.greet_peer(&name, port)));
    }
    jobs
}

/// Boxes an attempt.
fn job(kind: Kind, to: String, tries: impl Fn() -> HostResult<String> + Send + 'static) -> Job {
    (kind, to, Box::new(tries))
}

/// Makes an attempt. Another container gives two results: its name resolves, and its address is reached.
fn attempt((kind, to, tries): Job) -> Vec<Attempt> {
    let start = Instant::now();
    let result = tries();
    let took_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    let (error, answer) = match result {
        Ok(answer) => (None, answer),
        Err(error) => (Some(error), String::new()),
    };
    let attempt = Attempt { kind, to, error, answer, took_us };
    if kind != Kind::Peer {
        return vec![attempt];
    }
    let unresolved = attempt.error.as_ref().is_some_and(|error| error.op != REACH);
    let name = Attempt {
        kind: Kind::PeerName,
        error: attempt.error.clone().filter(|_| unresolved),
        ..attempt.clone()
    };
    if unresolved { vec![name] } else { vec![name, attempt] }
}

/// Connects to a port on which nothing listens: a refusal is an answer.
fn connect_or_be_refused(address: Ipv4Addr) -> HostResult<String> {
    match TcpStream::connect_timeout(&SocketAddr::from((address, DISCARD_PORT)), NEAR) {
        Ok(_) => Ok("accepts".into()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok("refuses".into()),
        Err(error) => Err(HostError::timed("connect to", address.to_string(), &error)),
    }
}

/// A gateway that drops the packet is reached all the same if the neighbour table has its hardware address.
fn accept_arp_entry(host: &dyn SystemReader, attempt: &mut Attempt) {
    if attempt.error.is_none() {
        return;
    }
    let table = host.read_text(Path::new("/proc/net/arp")).unwrap_or_default();
    if is_complete(&table, &attempt.to) {
        attempt.error = None;
        attempt.answer = "does not answer, and is in the neighbour table".into();
    }
}

/// Whether the entry of an address in the neighbour table is complete (flag `ATF_COM`, 2).
fn is_complete(table: &str, address: &str) -> bool {
    table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|row| {
        row.first() == Some(&address) && row.get(2).is_some_and(|flags| flags.trim_start_matches("0x") == "2")
    })
}

/// The MTU of the interface of the default route, in bytes.
fn mtu_of_default(host: &dyn SystemReader) -> Option<u32> {
    let routes = Routes::read(host).ok()?;
    let device = routes.defaults().first()?.device.clone();
    host.read_line(Path::new(&format!("/sys/class/net/{device}/mtu"))).ok()?.parse().ok()
}

/// Sends a small and a large packet to a port on which nothing listens. A packet that arrives is refused; for one that is
/// too large a router reports its MTU, which the kernel stores for the path (ip(7), `IP_MTU`).
fn probe_path_mtu(to: Ipv4Addr, own: u32) -> Option<PathMtu> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((to, DISCARD_PORT)).ok()?;
    socket.set_read_timeout(Some(Duration::from_millis(60))).ok()?;
    let refused = |size: usize| {
        let sent = socket.send(&vec![0; size]);
        let answer = sent.and_then(|_| socket.recv(&mut [0; 16]));
        answer.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    };
    let mut small = refused(1);
    let full = usize::try_from(own).ok()?.saturating_sub(HEADERS);
    let known = || getsockopt(&socket.as_fd(), sockopt::IpMtu).ok().and_then(|mtu| u32::try_from(mtu).ok());
    let mut large = refused(full);
    if small && !large && known() == Some(own) {
        // After the first few, refusals are sent at most once a second (icmp(7), `icmp_ratelimit`): the size is the reason
        // only where small packets are still answered.
        small = refused(1);
        large = refused(full);
        small = small && (large || refused(1));
    }
    Some(PathMtu { own, path: known().unwrap_or(own), small, large })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateway_with_a_complete_arp_entry_is_reached() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
                     172.17.0.1       0x1         0x2         02:42:11:22:33:44     *        eth0\n\
                     172.17.0.9       0x1         0x0         00:00:00:00:00:00     *        eth0\n";
        assert!(is_complete(table, "172.17.0.1"));
        assert!(!is_complete(table, "172.17.0.9") && !is_complete(table, "172.17.0.2"));
    }

    #[test]
    fn refused_connection_is_an_answer() {
        assert_eq!(connect_or_be_refused(Ipv4Addr::LOCALHOST).unwrap(), "refuses");
    }

    #[test]
    fn unresolved_container_has_no_attempt_to_reach_it() {
        let resolver = Resolver::new("", "127.0.0.1 here\n".into());
        let (other, port) = (resolver.clone(), 9);
        let unknown = attempt(job(Kind::Peer, "x".into(), move || resolver.greet_peer("x", port)));
        assert_eq!(unknown.iter().map(|attempt| attempt.kind).collect::<Vec<_>>(), [Kind::PeerName]);
        let silent = attempt(job(Kind::Peer, "here".into(), move || other.greet_peer("here", port)));
        assert!(silent[0].error.is_none() && silent[1].error.is_some());
    }
}

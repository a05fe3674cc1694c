//! What does a container reach? Its gateway, the outer container's own gateway, resolvers, a neighbour by name, and
//! what a profile names.
//!
//! A gateway needs no service to answer: a connection that it refuses has reached it. The same attempts can be made
//! from the outer container, so that what nobody reaches is not held against the inner one.

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
use super::names::{Book, NEAR, REACH};
use crate::facts::routes::{Routes, nameservers};
use crate::host::trial::TrialReport;
use crate::host::{HostError, HostResult, SystemReader};

/// The discard port (RFC 863), where nobody listens.
const NOBODY: u16 = 9;
/// For a resolver, which may ask others.
const RESOLVER: Duration = Duration::from_millis(800);
/// IPv4 header and UDP header without options.
const HEADERS: usize = 28;

/// What kind of thing was to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The own default gateway.
    Gateway,
    /// The outer container's default gateway.
    Outer,
    /// A resolver.
    Resolver,
    /// A name.
    Name,
    /// An endpoint.
    Endpoint,
    /// The name of a neighbour.
    PeerName,
    /// A neighbour.
    Peer,
}

impl Kind {
    /// The word of the reports.
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

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What it was.
    pub kind: Kind,
    /// Which one.
    pub to: String,
    /// Why it was not reached.
    pub error: Option<HostError>,
    /// How it answered, or what it resolved to.
    pub answer: String,
    /// How long it took, in microseconds.
    pub took_us: u64,
}

/// How large a packet may be on the way to the outer container's gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathMtu {
    /// The largest packet of the own interface, in bytes.
    pub own: u32,
    /// What the kernel knows of the path after a packet of that size was sent.
    pub path: u32,
    /// A small packet was answered.
    pub small: bool,
    /// One of full size was answered.
    pub large: bool,
}

/// What was reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Every attempt.
    pub attempts: Vec<Attempt>,
    /// The way out, where there is a gateway.
    pub mtu: Option<PathMtu>,
}

impl Reached {
    /// The attempts as those of a trial.
    pub fn into_report(self) -> TrialReport {
        let mut report = TrialReport::default();
        for attempt in self.attempts {
            report.attempt(attempt.kind.name(), attempt.error.map_or(Ok(()), Err));
            report.detail(format!("{} {}", attempt.to, attempt.answer));
        }
        report
    }

    /// The attempts of a kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter().filter(move |attempt| attempt.kind == kind)
    }
}

/// A thing to try.
type Job = (Kind, String, Box<dyn Fn() -> HostResult<String> + Send>);

/// Tries all of it at once, so that it takes no longer than the slowest.
pub fn reach(host: &dyn SystemReader, wanted: &ReachRequest) -> Reached {
    let jobs = jobs(host, wanted);
    let own = mtu_of_default(host);
    let way = wanted.outer.zip(own).map(|(outer, own)| thread::spawn(move || path_mtu(outer, own)));
    let tried: Vec<_> = jobs.into_iter().map(|job| thread::spawn(move || attempt(job))).collect();
    let attempts = tried.into_iter().filter_map(|thread| thread.join().ok()).flatten();
    let mut attempts: Vec<_> = attempts.collect();
    attempts
        .iter_mut()
        .filter(|attempt| attempt.kind == Kind::Gateway)
        .for_each(|attempt| by_arp(host, attempt));
    Reached { attempts, mtu: way.and_then(|way| way.join().ok()?) }
}

/// What is wanted, one by one.
fn jobs(host: &dyn SystemReader, wanted: &ReachRequest) -> Vec<Job> {
    let resolv = host.read_text(Path::new("/etc/resolv.conf")).unwrap_or_default();
    let mut jobs: Vec<Job> = Vec::new();
    let routes = Routes::read(host).unwrap_or_default();
    let gateway = routes.defaults().first().and_then(|route| route.gateway).filter(|_| wanted.gateway);
    for (kind, address) in [(Kind::Gateway, gateway), (Kind::Outer, wanted.outer)] {
        jobs.extend(address.map(|address| job(kind, address.to_string(), move || knock(address))));
    }
    for server in nameservers(&resolv).into_iter().filter(|_| wanted.resolvers) {
        let asks = move || dns::ask(server, "", RESOLVER).map(|answer| format!("code {}", answer.code));
        jobs.push(job(Kind::Resolver, server.to_string(), asks));
    }
    let book = Book::new(&resolv, host.read_text(Path::new("/etc/hosts")).unwrap_or_default());
    for name in &wanted.names {
        let (book, wanted) = (book.clone(), name.clone());
        jobs.push(job(Kind::Name, name.clone(), move || Ok(book.resolve(&wanted)?.to_string())));
    }
    for endpoint in &wanted.endpoints {
        let (book, wanted) = (book.clone(), endpoint.clone());
        jobs.push(job(Kind::Endpoint, endpoint.clone(), move || book.connect(&wanted)));
    }
    if let Some((name, port)) = wanted.peer.clone() {
        let to = format!("{name}:{port}");
        jobs.push(job(Kind::Peer, to, move || book.meet(&name, port)));
    }
    jobs
}

/// Boxes one.
fn job(kind: Kind, to: String, tries: impl Fn() -> HostResult<String> + Send + 'static) -> Job {
    (kind, to, Box::new(tries))
}

/// Tries one. Meeting a neighbour is two things: finding its address, and reaching it.
fn attempt((kind, to, tries): Job) -> Vec<Attempt> {
    let start = Instant::now();
    let result = tries();
    let took_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    let (error, answer) = match result {
        Ok(answer) => (None, answer),
        Err(error) => (Some(error), String::new()),
    };
    let one = Attempt { kind, to, error, answer, took_us };
    if kind != Kind::Peer {
        return vec![one];
    }
    let unnamed = one.error.as_ref().is_some_and(|error| error.op != REACH);
    let name = Attempt { kind: Kind::PeerName, error: one.error.clone().filter(|_| unnamed), ..one.clone() };
    if unnamed { vec![name] } else { vec![name, one] }
}

/// A gateway that refuses has answered.
fn knock(address: Ipv4Addr) -> HostResult<String> {
    match TcpStream::connect_timeout(&SocketAddr::from((address, NOBODY)), NEAR) {
        Ok(_) => Ok("accepts".into()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok("refuses".into()),
        Err(error) => Err(HostError::timed("connect to", address.to_string(), &error)),
    }
}

/// A gateway that drops what it does not know still says where it is: its address is in the neighbour table.
fn by_arp(host: &dyn SystemReader, attempt: &mut Attempt) {
    if attempt.error.is_none() {
        return;
    }
    let table = host.read_text(Path::new("/proc/net/arp")).unwrap_or_default();
    if is_complete(&table, &attempt.to) {
        attempt.error = None;
        attempt.answer = "is silent, and known to the neighbour table".into();
    }
}

/// Whether the neighbour table has the hardware address of this one (flag `ATF_COM`, 2).
fn is_complete(table: &str, address: &str) -> bool {
    table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|row| {
        row.first() == Some(&address) && row.get(2).is_some_and(|flags| flags.trim_start_matches("0x") == "2")
    })
}

/// The MTU of the interface of the default route.
fn mtu_of_default(host: &dyn SystemReader) -> Option<u32> {
    let routes = Routes::read(host).ok()?;
    let device = routes.defaults().first()?.device.clone();
    host.read_line(Path::new(&format!("/sys/class/net/{device}/mtu"))).ok()?.parse().ok()
}

/// Sends a small and a large packet to where nobody listens: what arrives is refused, and what is too large for a
/// router on the way is told by it, which the kernel then knows of the path (ip(7), `IP_MTU`).
fn path_mtu(to: Ipv4Addr, own: u32) -> Option<PathMtu> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((to, NOBODY)).ok()?;
    socket.set_read_timeout(Some(Duration::from_millis(60))).ok()?;
    let refused = |size: usize| {
        let sent = socket.send(&vec![0; size]);
        let heard = sent.and_then(|_| socket.recv(&mut [0; 16]));
        heard.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    };
    let mut small = refused(1);
    let full = usize::try_from(own).ok()?.saturating_sub(HEADERS);
    let known = || getsockopt(&socket.as_fd(), sockopt::IpMtu).ok().and_then(|mtu| u32::try_from(mtu).ok());
    let mut large = refused(full);
    if small && !large && known() == Some(own) {
        // Refusals are told at most once a second after the first few (icmp(7), `icmp_ratelimit`): only where small
        // packets are answered all along is it the size that is in the way.
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
    fn a_silent_gateway_is_known_by_its_hardware_address() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
                     172.17.0.1       0x1         0x2         02:42:11:22:33:44     *        eth0\n\
                     172.17.0.9       0x1         0x0         00:00:00:00:00:00     *        eth0\n";
        assert!(is_complete(table, "172.17.0.1"));
        assert!(!is_complete(table, "172.17.0.9") && !is_complete(table, "172.17.0.2"));
    }

    #[test]
    fn a_refused_connection_is_an_answer() {
        assert_eq!(knock(Ipv4Addr::LOCALHOST).unwrap(), "refuses");
    }

    #[test]
    fn an_unresolved_neighbour_was_never_called() {
        let book = Book::new("", "127.0.0.1 here\n".into());
        let (other, port) = (book.clone(), 9);
        let unknown = attempt(job(Kind::Peer, "x".into(), move || book.meet("x", port)));
        assert_eq!(unknown.iter().map(|one| one.kind).collect::<Vec<_>>(), [Kind::PeerName]);
        let silent = attempt(job(Kind::Peer, "here".into(), move || other.meet("here", port)));
        assert!(silent[0].error.is_none() && silent[1].error.is_some());
    }
}

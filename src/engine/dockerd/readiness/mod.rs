//! Does a daemon come that somebody else starts? Waited for until it answers, and no longer than it can still come.
//!
//! That it listens proves nothing, so one `GET /_ping` is asked and waits with the daemon. Meanwhile its process is
//! watched: the one at the other end of the socket, else every `dockerd` here. A script that starts one (its words
//! name dockerd), or dindcheck itself, is a hope; where there is neither, nothing comes.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

use self::log::Log;
use self::starters::{ancestors, is_daemon, may_start_one};
use crate::engine::docker::http::{self, Answer};
use crate::engine::docker::tls::Fault;
use crate::engine::dockerd::wait::TICK;
use crate::facts::endpoint::Endpoint;
use crate::facts::process::{self, ProcessId};
use crate::finding::Finding;
use crate::host::SystemReader;
use crate::interrupt::Interrupt;

mod log;
mod messages;
mod starters;

/// How often processes are looked for; less often where there are so many that it takes long.
const SCAN: Duration = Duration::from_millis(25);

/// What is waited for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Where it is to answer.
    pub endpoint: Endpoint,
    /// How long at most.
    pub timeout: Duration,
    /// How long nobody at all may be there who could start it.
    pub grace: Duration,
    /// It is started out of sight: in another container, on another machine.
    pub elsewhere: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrival {
    /// It serves.
    Serving {
        /// Its process, where it is known.
        pid: Option<i32>,
        /// From the begin of the wait.
        waited: Duration,
    },
    /// It ended, or nothing can come: why.
    Never(Box<Finding>),
    /// The time is over; whether it may still come is not known.
    Late(Box<Finding>),
}

/// Waits. An error where it could not be waited at all.
pub fn arrival(host: &dyn SystemReader, interrupt: &Interrupt, wanted: &Wanted) -> anyhow::Result<Arrival> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(Wait::new(host, interrupt, wanted).run())
}

/// A wait that goes on.
struct Wait<'w> {
    host: &'w dyn SystemReader,
    interrupt: &'w Interrupt,
    wanted: &'w Wanted,
    began: Instant,
    /// Daemons that were seen alive.
    daemons: Vec<Seen>,
    /// When somebody was last there who could make it come.
    hope: Instant,
    scanned: Option<Instant>,
    scan_every: Duration,
}

/// A daemon's process, and the log it writes to, whose name is not to be found once it is dead.
struct Seen {
    id: ProcessId,
    log: Option<Log>,
}

/// How far the last attempt came.
#[derive(Default)]
struct Reach {
    listening: Cell<bool>,
    refused: Cell<bool>,
    peer: Cell<Option<i32>>,
    fault: RefCell<Option<Fault>>,
}

impl<'w> Wait<'w> {
    fn new(host: &'w dyn SystemReader, interrupt: &'w Interrupt, wanted: &'w Wanted) -> Self {
        let began = Instant::now();
        Self {
            host,
            interrupt,
            wanted,
            began,
            daemons: Vec::new(),
            hope: began,
            scanned: None,
            scan_every: SCAN,
        }
    }

    async fn run(mut self) -> anyhow::Result<Arrival> {
        let reach = Reach::default();
        let mut answer = Some(ask(&self.wanted.endpoint, &reach));
        loop {
            let said = tokio::select! {
                biased;
                said = async { match &mut answer { Some(answer) => answer.await, None => pending().await } } => Some(said),
                () = tokio::time::sleep(TICK) => None,
            };
            match said {
                Some(Ok(said)) if said.status == 200 => {
                    return Ok(Arrival::Serving { pid: self.pid(&reach), waited: self.began.elapsed() });
                }
                Some(Ok(said)) => return Ok(Arrival::Never(Box::new(self.refusal(&said)?))),
                Some(Err(error)) => {
                    answer = None;
                    let fault = Fault::behind(&error);
                    if let Some(fault) = fault.as_ref().filter(|fault| !fault.may_pass()) {
                        return Ok(Arrival::Never(Box::new(self.no_tls(fault)?)));
                    }
                    reach.fault.replace(fault);
                }
                None if answer.is_none() => answer = Some(ask(&self.wanted.endpoint, &reach)),
                None => {}
            }
            if let Some(end) = self.look(&reach)? {
                return Ok(end);
            }
        }
    }

    /// What ends the wait without an answer.
    fn look(&mut self, reach: &Reach) -> anyhow::Result<Option<Arrival>> {
        if let Some(signal) = self.interrupt.signal() {
            anyhow::bail!("interrupted by {signal}");
        }
        if let Some(pid) = reach.peer.take() {
            self.meet(pid);
        }
        if let Some(dead) = self.daemons.iter().position(|seen| !seen.id.is_alive(self.host)) {
            let dead = self.daemons.remove(dead);
            if self.daemons.is_empty() {
                return Ok(Some(Arrival::Never(Box::new(self.death(dead)))));
            }
        }
        if !self.out_of_sight() && self.daemons.is_empty() {
            self.scan();
            if !reach.listening.get() && self.hope.elapsed() >= self.wanted.grace {
                return Ok(Some(Arrival::Never(Box::new(self.nobody(reach)))));
            }
        }
        if self.began.elapsed() < self.wanted.timeout {
            return Ok(None);
        }
        let fault = reach.fault.borrow();
        let late = fault.as_ref().map_or_else(|| Ok(self.late(reach)), |fault| self.no_tls(fault))?;
        Ok(Some(Arrival::Late(Box::new(late))))
    }

    /// Whether its process cannot be seen: where it is said so, and behind TCP.
    fn out_of_sight(&self) -> bool {
        self.wanted.elsewhere || !matches!(self.wanted.endpoint, Endpoint::Unix(_))
    }

    /// Looks for daemons, and for those who may start one.
    fn scan(&mut self) {
        if self.scanned.is_some_and(|last| last.elapsed() < self.scan_every) {
            return;
        }
        let began = Instant::now();
        let all = process::all(self.host);
        for daemon in all.iter().filter(|process| is_daemon(process)) {
            self.meet(daemon.id.pid);
        }
        let own = self.host.identity().pid;
        let ours = ancestors(&all, own);
        if all.iter().any(|process| may_start_one(process) && !ours.contains(&process.id.pid)) {
            self.hope = Instant::now();
        }
        self.scanned = Some(Instant::now());
        self.scan_every = SCAN.max(began.elapsed() * 10);
    }

    /// Keeps an eye on a process, if there is one of this number.
    fn meet(&mut self, pid: i32) {
        let id = process::find(self.host, pid).filter(|process| !process.zombie).map(|process| process.id);
        let Some(id) = id.filter(|id| self.daemons.iter().all(|seen| seen.id != *id)) else {
            return;
        };
        let log = self.host.read_link(Path::new(&format!("/proc/{pid}/fd/2"))).ok().and_then(Log::open);
        self.daemons.push(Seen { id, log });
    }

    /// The process that serves.
    fn pid(&mut self, reach: &Reach) -> Option<i32> {
        let peer = reach.peer.take().filter(|pid| *pid != 0);
        peer.or_else(|| self.daemons.first().map(|seen| seen.id.pid))
    }
}

/// One attempt.
fn ask<'r>(
    endpoint: &'r Endpoint,
    reach: &'r Reach,
) -> Pin<Box<dyn Future<Output = std::io::Result<Answer>> + 'r>> {
    Box::pin(async move {
        let connected = http::connect(endpoint).await;
        reach.listening.set(connected.is_ok());
        reach
            .refused
            .set(connected.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused));
        let (stream, peer) = connected?;
        reach.peer.set(peer);
        http::send(stream, "GET", "/_ping").await
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::host::fake::Fake;

    fn wait(endpoint: Endpoint, elsewhere: bool) -> Arrival {
        let wanted = Wanted {
            endpoint,
            timeout: Duration::from_millis(120),
            grace: Duration::from_millis(40),
            elsewhere,
        };
        arrival(&Fake::new(), &Interrupt::default(), &wanted).unwrap()
    }

    fn told(arrival: Arrival) -> (bool, &'static str) {
        match arrival {
            Arrival::Never(finding) => (true, finding.cause.unwrap().as_str()),
            Arrival::Late(finding) => (false, finding.cause.unwrap().as_str()),
            Arrival::Serving { .. } => panic!("nobody serves"),
        }
    }

    #[test]
    fn what_cannot_come_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        assert_eq!(told(wait(Endpoint::Unix(path.clone()), false)), (true, "daemon-not-reachable"));
        assert_eq!(told(wait(Endpoint::Unix(path.clone()), true)), (false, "daemon-start-timeout"));
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(told(wait(Endpoint::Unix(path.clone()), false)), (false, "daemon-hangs"));
        drop(listener);
        assert_eq!(told(wait(Endpoint::Unix(path), false)), (true, "stale-socket"));
    }

    #[test]
    fn an_answer_ends_the_wait_and_another_service_is_told() {
        for (status, served) in [("200 OK", true), ("400 Bad Request", false)] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 512]);
                std::io::Write::write_all(&mut stream, format!("HTTP/1.0 {status}\r\n\r\nx").as_bytes())
                    .unwrap();
            });
            let arrival = wait(Endpoint::Tcp(address), false);
            assert_eq!(matches!(arrival, Arrival::Serving { .. }), served, "{arrival:?}");
            server.join().unwrap();
        }
    }
}

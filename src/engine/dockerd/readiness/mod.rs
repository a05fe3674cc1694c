//! Waits for a daemon that somebody else starts, until it answers or can no longer become ready.
//!
//! A daemon that listens may still be starting, so one `GET /_ping` is sent, and the daemon answers it when it is ready.
//! Meanwhile its process is watched: the one at the other end of the socket, else every `dockerd` here. As long as there is
//! none, a process that may start one is looked for: a script with dockerd in its command line, or dindcheck itself.
//! Without either, the wait ends.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

use self::log::Log;
use self::starters::{ancestors, is_daemon, may_start_one};
use crate::engine::docker::http::{self, Answer};
use crate::engine::docker::tls::Fault;
use crate::engine::docker::unreached::Unreached;
use crate::engine::dockerd::wait::TICK;
use crate::facts::endpoint::Endpoint;
use crate::facts::process::{self, ProcessId};
use crate::finding::Finding;
use crate::host::SystemReader;
use crate::interrupt::Interrupt;
use crate::talk::say;
use crate::text::seconds;

mod log;
mod messages;
mod starters;

pub use messages::STARTERS;

/// How often processes are listed; less often where there are so many that it takes long.
const SCAN: Duration = Duration::from_millis(25);

/// The daemon to wait for.
#[derive(Debug, Clone)]
pub struct WaitRequest {
    /// Where it will answer.
    pub endpoint: Endpoint,
    /// How long at most.
    pub timeout: Duration,
    /// How long the wait goes on without any process that is a dockerd or may start one.
    pub grace: Duration,
    /// It is started where its processes cannot be seen: in another container, on another machine.
    pub elsewhere: bool,
}

impl WaitRequest {
    /// Whether the daemon is behind TCP.
    pub(super) const fn is_remote(&self) -> bool {
        !matches!(self.endpoint, Endpoint::Unix(_))
    }
}

/// The result of the wait.
#[derive(Debug, Clone, PartialEq)]
pub enum Readiness {
    /// The daemon serves.
    Serving {
        /// Its process, where it is known.
        pid: Option<i32>,
        /// From the start of the wait.
        waited: Duration,
    },
    /// It cannot become ready: it ended, or nothing starts it.
    Never(Box<Finding>),
    /// The timeout is over; it may still become ready.
    Late(Box<Finding>),
}

/// Waits for the daemon.
///
/// # Errors
///
/// Where the wait was interrupted, or the runtime cannot be created.
pub fn wait_for_daemon(
    host: &dyn SystemReader,
    interrupt: &Interrupt,
    request: &WaitRequest,
) -> anyhow::Result<Readiness> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(Wait::new(host, interrupt, request).run())
}

/// A wait in progress.
struct Wait<'w> {
    host: &'w dyn SystemReader,
    interrupt: &'w Interrupt,
    request: &'w WaitRequest,
    began: Instant,
    /// Daemons that were seen alive.
    daemons: Vec<WatchedDaemon>,
    /// When a process that may start a daemon was last seen.
    last_starter: Instant,
    last_scan: Option<Instant>,
    scan_every: Duration,
}

/// A daemon's process, and its log, which cannot be found any more once it is dead.
struct WatchedDaemon {
    id: ProcessId,
    log: Option<Log>,
}

/// What is known of the last attempt.
#[derive(Default)]
struct Attempt {
    /// The connection was accepted.
    listening: Cell<bool>,
    /// The connection was refused: nobody listens at the socket.
    refused: Cell<bool>,
    /// The process at the other end, until it is watched.
    peer: Cell<Option<i32>>,
    /// The failure of TLS.
    fault: RefCell<Option<Fault>>,
    /// Why the latest attempt ended without an answer.
    why: RefCell<Option<Unreached>>,
}

impl<'w> Wait<'w> {
    fn new(host: &'w dyn SystemReader, interrupt: &'w Interrupt, request: &'w WaitRequest) -> Self {
        let began = Instant::now();
        Self {
            host,
            interrupt,
            request,
            began,
            daemons: Vec::new(),
            last_starter: began,
            last_scan: None,
            scan_every: SCAN,
        }
    }

    async fn run(mut self) -> anyhow::Result<Readiness> {
        let attempt = Attempt::default();
        let mut answer = Some(ping(&self.request.endpoint, &attempt));
        loop {
            let ended = tokio::select! {
                biased;
                ended = async { match &mut answer { Some(answer) => answer.await, None => pending().await } } => Some(ended),
                () = tokio::time::sleep(TICK) => None,
            };
            match ended {
                Some(Ok(answer)) if answer.status == 200 => {
                    return Ok(Readiness::Serving { pid: self.pid(&attempt), waited: self.began.elapsed() });
                }
                Some(Ok(answer)) => return Ok(Readiness::Never(Box::new(self.refusal(&answer)?))),
                Some(Err(error)) => {
                    answer = None;
                    let fault = Fault::behind(&error);
                    if let Some(fault) = fault.as_ref().filter(|fault| !fault.may_pass()) {
                        return Ok(Readiness::Never(Box::new(self.tls_failure(fault)?)));
                    }
                    attempt.fault.replace(fault);
                    self.note(&attempt, Unreached::of(&self.request.endpoint, &error));
                }
                None if answer.is_none() => answer = Some(ping(&self.request.endpoint, &attempt)),
                None => {}
            }
            if let Some(end) = self.end_without_answer(&attempt)? {
                return Ok(end);
            }
        }
    }

    /// Keeps why an attempt failed; where no process can be watched, it is said as soon as it is known.
    fn note(&self, attempt: &Attempt, why: Unreached) {
        if self.request.is_remote() && attempt.why.borrow().as_ref() != Some(&why) {
            let (endpoint, within) = (&self.request.endpoint, seconds(self.request.timeout));
            say(&format!("{endpoint} does not answer yet: {}; waiting for up to {within}", why.reason));
        }
        attempt.why.replace(Some(why));
    }

    /// What ends the wait without an answer, if anything does.
    fn end_without_answer(&mut self, attempt: &Attempt) -> anyhow::Result<Option<Readiness>> {
        if let Some(signal) = self.interrupt.signal() {
            anyhow::bail!("interrupted by {signal}");
        }
        if let Some(pid) = attempt.peer.take() {
            self.watch(pid);
        }
        if let Some(dead) = self.daemons.iter().position(|daemon| !daemon.id.is_alive(self.host)) {
            let dead = self.daemons.remove(dead);
            if self.daemons.is_empty() {
                return Ok(Some(Readiness::Never(Box::new(self.death(dead)))));
            }
        }
        if !self.is_out_of_sight() && self.daemons.is_empty() {
            self.scan();
            if !attempt.listening.get() && self.time_without_starter() >= self.request.grace {
                return Ok(Some(Readiness::Never(Box::new(self.no_starter(attempt)))));
            }
        }
        if self.began.elapsed() < self.request.timeout {
            return Ok(None);
        }
        let fault = attempt.fault.borrow();
        let late =
            fault.as_ref().map_or_else(|| Ok(self.timed_out(attempt)), |fault| self.tls_failure(fault))?;
        Ok(Some(Readiness::Late(Box::new(late))))
    }

    /// The time from the last sight of a starter to the last scan. A machine where scans take long has few of them, and the
    /// time since a scan shows nothing.
    fn time_without_starter(&self) -> Duration {
        self.last_scan.map_or(Duration::ZERO, |scan| scan.saturating_duration_since(self.last_starter))
    }

    /// Whether its process cannot be seen: by the request, or behind TCP.
    fn is_out_of_sight(&self) -> bool {
        self.request.elsewhere || self.request.is_remote()
    }

    /// Looks for daemons, and for processes that may start one.
    fn scan(&mut self) {
        if self.last_scan.is_some_and(|last| last.elapsed() < self.scan_every) {
            return;
        }
        let began = Instant::now();
        let Ok(all) = process::all(self.host) else {
            // Any process that cannot be seen may start one.
            (self.last_starter, self.last_scan) = (began, Some(began));
            return;
        };
        for daemon in all.iter().filter(|process| is_daemon(process)) {
            self.watch(daemon.id.pid);
        }
        let own = self.host.identity().pid;
        let waiting = ancestors(&all, own);
        let now = Instant::now();
        if all.iter().any(|process| may_start_one(process) && !waiting.contains(&process.id.pid)) {
            self.last_starter = now;
        }
        self.last_scan = Some(now);
        self.scan_every = SCAN.max(began.elapsed() * 10);
    }

    /// Watches a process, if one has this pid.
    fn watch(&mut self, pid: i32) {
        let id = process::find(self.host, pid).filter(|process| !process.zombie).map(|process| process.id);
        let Some(id) = id.filter(|id| self.daemons.iter().all(|daemon| daemon.id != *id)) else {
            return;
        };
        let log = self.host.read_link(Path::new(&format!("/proc/{pid}/fd/2"))).ok().and_then(Log::open);
        self.daemons.push(WatchedDaemon { id, log });
    }

    /// The process that serves, where it is known.
    fn pid(&mut self, attempt: &Attempt) -> Option<i32> {
        let peer = attempt.peer.take().filter(|pid| *pid != 0);
        peer.or_else(|| self.daemons.first().map(|daemon| daemon.id.pid))
    }
}

/// One attempt: connects, sends `GET /_ping` and waits for the answer.
fn ping<'r>(
    endpoint: &'r Endpoint,
    attempt: &'r Attempt,
) -> Pin<Box<dyn Future<Output = std::io::Result<Answer>> + 'r>> {
    Box::pin(async move {
        let connected = http::connect(endpoint).await;
        attempt.listening.set(connected.is_ok());
        attempt
            .refused
            .set(connected.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused));
        let (stream, peer) = connected?;
        attempt.peer.set(peer);
        http::send(stream, "GET", "/_ping").await
    })
}

#[cfg(test)]
mod tests;

//! How does the live door come to a daemon? It starts one, or attaches to one.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use super::state::State;
use super::{LiveEngine, Ours};
use crate::engine::cleanup::rundir::RunDir;
use crate::engine::cleanup::snapshot::Snapshot;
use crate::engine::docker::error::{EngineError, EngineResult};
use crate::engine::docker::http;
use crate::engine::dockerd::wait::TICK;
use crate::engine::dockerd::{self, Dockerd};
use crate::engine::{Started, docker};
use crate::facts::daemon::{Layout, command_line};
use crate::facts::endpoint::Endpoint;
use crate::facts::process::ProcessId;
use crate::host::SystemReader;
use crate::options::RunOptions;

/// How long a daemon that is started once more for the clean-up may take.
const REVIVAL: Duration = Duration::from_secs(15);

impl LiveEngine {
    /// Uses a daemon that runs already.
    pub(super) fn attach(&self, options: &RunOptions, endpoint: &Endpoint) -> EngineResult<Started> {
        let within = options.profile.daemon.start_timeout;
        let start = Instant::now();
        let doing = "ask the running daemon for a sign of life";
        let answer = self.wait(doing, within, docker::ask(endpoint, doing, "/_ping"))?;
        if answer.status != 200 {
            let message = answer.message();
            return Err(EngineError::Refused { doing: doing.to_owned(), status: answer.status, message });
        }
        let mut state = self.new_state(Layout::read(&self.host, &[]));
        state.attached = Some(endpoint.clone());
        let dir = RunDir::make(&options.run, &state)?;
        let _ = self.ours.set(Ours { dir, state: RefCell::new(state) });
        let _ = self.endpoint.set(endpoint.clone());
        Ok(Started { endpoint: endpoint.clone(), took: start.elapsed(), ..Started::default() })
    }

    /// Starts a dockerd of our own and waits until it answers.
    pub(super) fn launch(&self, options: &RunOptions) -> EngineResult<Started> {
        let within = options.profile.daemon.start_timeout;
        let (pid, endpoint) = self.spawn(options)?;
        self.serving(&endpoint, pid, within)?;
        let _ = self.endpoint.set(endpoint.clone());
        let command = command_line(&self.host, &options.daemon());
        let recovered = self.recovered.borrow().clone();
        let mut started = Started { endpoint, pid: Some(pid), command, recovered, ..Started::default() };
        if let Some(daemon) = self.daemon.get() {
            let mut daemon = daemon.borrow_mut();
            daemon.served = true;
            started.took = daemon.age();
            let log = daemon.log().path().map(|path| path.display().to_string());
            started.log = log.filter(|_| options.keep_daemon);
        }
        Ok(started)
    }

    /// Starts it, and writes down what the next run must know: how the machine was, and whom to stop.
    fn spawn(&self, options: &RunOptions) -> EngineResult<(i32, Endpoint)> {
        let line = command_line(&self.host, &options.daemon());
        dockerd::locate(&self.host, &line[0])?;
        let mut state = self.new_state(Layout::read(&self.host, &line[1..]));
        let dir = RunDir::make(&options.run, &state)?;
        state.snapshot = Some(Snapshot::take(&self.host, &state.layout, &options.run));
        let ours = self.ours.get_or_init(|| Ours { dir, state: RefCell::new(state) });
        ours.save()?;
        let daemon = Dockerd::spawn(&self.host, &line, &ours.dir, !options.keep_daemon)?;
        let pid = daemon.pid();
        let _ = self.daemon.set(RefCell::new(daemon));
        ours.state.borrow_mut().daemon = ProcessId::of(&self.host, pid);
        ours.save()?;
        let endpoint = ours.state.borrow().layout.endpoint.clone();
        Ok((pid, endpoint))
    }

    /// Starts the daemon once more where it died with things of ours in it, so that they can be removed. What
    /// killed it may kill it again: then they stay, and are told.
    pub(super) fn revive(&self, options: &RunOptions) -> EngineResult<()> {
        let (Some(dead), Some(ours)) = (self.daemon.get(), self.ours.get()) else {
            return Ok(());
        };
        let line = command_line(&self.host, &options.daemon());
        let daemon = Dockerd::spawn(&self.host, &line, &ours.dir, true)?;
        let pid = daemon.pid();
        *dead.borrow_mut() = daemon;
        ours.state.borrow_mut().daemon = ProcessId::of(&self.host, pid);
        ours.save()?;
        let within = options.profile.daemon.start_timeout.min(REVIVAL);
        self.wait("start dockerd once more", within, answered(&self.endpoint(), pid, &Cell::new(false)))
    }

    /// The state of this run before anything was done.
    fn new_state(&self, layout: Layout) -> State {
        let owner = ProcessId::of(&self.host, self.host.identity().pid);
        State { owner, daemon: None, layout, snapshot: None, attached: None, kept: false }
    }

    /// Waits until the dockerd of this process id answers.
    fn serving(&self, endpoint: &Endpoint, pid: i32, within: Duration) -> EngineResult<()> {
        let listening = Cell::new(false);
        self.wait("wait for dockerd", within, answered(endpoint, pid, &listening)).map_err(
            |error| match error {
                EngineError::Deadline { waited, .. } => self.not_serving(endpoint, waited, listening.get()),
                other => other,
            },
        )
    }

    /// A daemon that lives and does not serve, with what its log says about it.
    fn not_serving(&self, endpoint: &Endpoint, waited: Duration, listening: bool) -> EngineError {
        let log = self.daemon.get().map(|daemon| {
            let mut daemon = daemon.borrow_mut();
            let log = daemon.log();
            let first = log.first_error();
            (first, log.last_words())
        });
        let (first_error, last_words) = log.unwrap_or_default();
        EngineError::NotServing { endpoint: endpoint.clone(), waited, listening, first_error, last_words }
    }
}

/// Asks for a sign of life until the dockerd of this process id gives one. A request waits with the daemon, so
/// mostly one is enough.
async fn answered(endpoint: &Endpoint, pid: i32, listening: &Cell<bool>) -> EngineResult<()> {
    loop {
        // Not there yet, nobody behind it, or somebody else: ours will take its place, or end.
        let connected = http::connect(endpoint).await.ok();
        if let Some((stream, _)) = connected.filter(|(_, peer)| is_of(*peer, pid)) {
            listening.set(true);
            let answer = http::send(stream, "GET", "/_ping").await;
            if answer.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Whether the process at the other end is ours: the system does not know it for TCP (and says 0 where it is
/// outside our process namespace).
fn is_of(peer: Option<i32>, pid: i32) -> bool {
    peer.is_none_or(|peer| peer == 0 || peer == pid)
}

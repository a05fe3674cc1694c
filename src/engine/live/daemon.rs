//! Starts a daemon, or attaches to a running one.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use super::witness::Witness;
use super::{LiveEngine, RunFiles};
use crate::engine::cleanup::made::Ledger;
use crate::engine::cleanup::neighbours;
use crate::engine::cleanup::place::Place;
use crate::engine::cleanup::processes;
use crate::engine::cleanup::record::Record;
use crate::engine::cleanup::rundir::{Gate, RunDir};
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

/// The start timeout of a daemon that is restarted for the cleanup.
const RESTART_TIMEOUT: Duration = Duration::from_secs(15);

impl LiveEngine {
    /// Uses a running daemon.
    pub(super) fn attach(&self, options: &RunOptions, endpoint: &Endpoint) -> EngineResult<Started> {
        let within = options.profile.daemon.start_timeout;
        let start = Instant::now();
        let doing = "ping the running daemon";
        let answer = self.wait(doing, within, docker::ask(endpoint, doing, "/_ping"))?;
        if answer.status != 200 {
            let message = answer.message();
            return Err(EngineError::Refused { doing: doing.to_owned(), status: answer.status, message });
        }
        let mut record = self.new_record(Layout::read(&self.host, &[]));
        record.attached = Some(endpoint.clone());
        let dir = RunDir::make(&options.run, &record)?;
        let _ = self.run_files.set(RunFiles { dir, record: RefCell::new(record), ledger: None });
        let _ = self.endpoint.set(endpoint.clone());
        Ok(Started { endpoint: endpoint.clone(), took: start.elapsed(), ..Started::default() })
    }

    /// Starts a dockerd of ours, and waits until it answers.
    pub(super) fn launch(&self, options: &RunOptions) -> EngineResult<Started> {
        let within = options.profile.daemon.start_timeout;
        let (pid, endpoint) = self.spawn(options)?;
        self.wait_until_serving(&endpoint, pid, within)?;
        self.note_containerds(&options.run);
        self.look();
        let _ = self.endpoint.set(endpoint.clone());
        let command = command_line(&self.host, &options.daemon());
        let recovered = self.recovered.borrow().clone();
        let mut started = Started { endpoint, pid: Some(pid), command, recovered, ..Started::default() };
        if let Some(daemon) = self.daemon.get() {
            let mut daemon = daemon.borrow_mut();
            daemon.served = true;
            started.took = daemon.age();
            started.log = options.keep_daemon.then(|| daemon.log().path().display().to_string());
        }
        Ok(started)
    }

    /// Starts it, and stores what the next run must know: how the machine was, and the process to stop.
    fn spawn(&self, options: &RunOptions) -> EngineResult<(i32, Endpoint)> {
        let argv = command_line(&self.host, &options.daemon());
        dockerd::locate(&self.host, &argv[0])?;
        let files = self.enter(options, Layout::read(&self.host, &argv[1..]))?;
        // A daemon that is to be kept outlives a dindcheck that is killed, and with it what it made.
        if !options.keep_daemon {
            *self.witness.borrow_mut() = Witness::start(&files.dir);
        }
        let daemon = Dockerd::spawn(&self.host, &argv, &files.dir, !options.keep_daemon)?;
        let pid = daemon.pid();
        let _ = self.daemon.set(RefCell::new(daemon));
        files.record.borrow_mut().daemon = ProcessId::of(&self.host, pid);
        files.save()?;
        let endpoint = files.record.borrow().layout.endpoint.clone();
        Ok((pid, endpoint))
    }

    /// Enters this run among those that live, unless one of them has a daemon in the same directories.
    fn enter(&self, options: &RunOptions, layout: Layout) -> EngineResult<&RunFiles> {
        let record = self.new_record(layout);
        let gate = Gate::enter()?;
        if let Some(other) = neighbours::with_daemon_in(&self.host, &record.layout, &options.run)? {
            return Err(EngineError::AnotherRun { run: other.run, path: other.path });
        }
        let dir = RunDir::make(&options.run, &record)?;
        drop(gate);
        let ledger = Ledger::open(&self.host, &record.scope(&options.run));
        dir.save_made(&ledger)?;
        let ledger = Some(ledger);
        Ok(self.run_files.get_or_init(|| RunFiles { dir, record: RefCell::new(record), ledger }))
    }

    /// Restarts a daemon that died with objects of ours in it, so that they can be removed. What killed it may kill it
    /// again: then they stay, and are reported.
    pub(super) fn restart_daemon(&self, options: &RunOptions) -> EngineResult<()> {
        let (Some(dead), Some(files)) = (self.daemon.get(), self.run_files.get()) else {
            return Ok(());
        };
        let argv = command_line(&self.host, &options.daemon());
        let daemon = Dockerd::spawn(&self.host, &argv, &files.dir, true)?;
        let pid = daemon.pid();
        *dead.borrow_mut() = daemon;
        files.record.borrow_mut().daemon = ProcessId::of(&self.host, pid);
        files.save()?;
        let within = options.profile.daemon.start_timeout.min(RESTART_TIMEOUT);
        self.wait("restart dockerd", within, answered(&self.endpoint(), pid, &Cell::new(false)))?;
        self.note_containerds(&options.run);
        Ok(())
    }

    /// Records the containerds that run by now. Where that fails, what such a containerd leaves is named and stays.
    pub(super) fn note_containerds(&self, run: &str) {
        let Some(files) = self.run_files.get() else { return };
        let all = processes::of_run(&self.host, run).unwrap_or_default();
        let pids = all.iter().filter(|one| one.is_program("containerd")).map(|one| one.id.pid);
        files.record.borrow_mut().containerds.extend(pids);
        let _ = files.save();
    }

    /// The record of this run before it does anything.
    fn new_record(&self, layout: Layout) -> Record {
        let owner = ProcessId::of(&self.host, self.host.identity().pid);
        Record::new(Place::here(&self.host).ok(), owner, layout)
    }

    /// Waits until the dockerd with this pid answers.
    fn wait_until_serving(&self, endpoint: &Endpoint, pid: i32, within: Duration) -> EngineResult<()> {
        let listening = Cell::new(false);
        self.wait("wait for dockerd", within, answered(endpoint, pid, &listening)).map_err(
            |error| match error {
                EngineError::Deadline { waited, .. } => self.not_serving(endpoint, waited, listening.get()),
                other => other,
            },
        )
    }

    /// The error about a daemon that runs and does not serve, with the errors of its log.
    fn not_serving(&self, endpoint: &Endpoint, waited: Duration, listening: bool) -> EngineError {
        let log = self.daemon.get().map(|daemon| {
            let daemon = daemon.borrow();
            let mut log = daemon.log();
            (log.first_error(), log.last_words(), log.dropped())
        });
        let (first_error, last_words, log_dropped) = log.unwrap_or_default();
        let endpoint = endpoint.clone();
        EngineError::NotServing { endpoint, waited, listening, first_error, last_words, log_dropped }
    }
}

/// Sends `GET /_ping` until the dockerd with this pid answers. The daemon answers a request when it is ready, so mostly one
/// is enough.
async fn answered(endpoint: &Endpoint, pid: i32, listening: &Cell<bool>) -> EngineResult<()> {
    loop {
        // No socket yet, nobody behind it, or another process: ours will replace it, or end.
        let connected = http::connect(endpoint).await.ok();
        if let Some((stream, _)) = connected.filter(|(_, peer)| is_process(*peer, pid)) {
            listening.set(true);
            let answer = http::send(stream, "GET", "/_ping").await;
            if answer.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Whether the process at the other end is this one, or unknown: as for TCP, and 0 where it is outside our process
/// namespace.
fn is_process(peer: Option<i32>, pid: i32) -> bool {
    peer.is_none_or(|peer| peer == 0 || peer == pid)
}

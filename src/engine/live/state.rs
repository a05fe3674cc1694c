//! What must the next run know of this one, should it be killed?

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::LiveEngine;
use crate::engine::cleanup::rundir::RunDir;
use crate::engine::cleanup::snapshot::{self, Restored, Snapshot};
use crate::facts::daemon::Layout;
use crate::facts::endpoint::Endpoint;
use crate::facts::process::{self, Process, ProcessId};
use crate::host::SystemReader;

/// From SIGTERM to SIGKILL for the daemon of a dead run: dockerd gives its containers 15 seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a killed run may take to be gone; a live one costs the next as much.
const LAST_MOMENT: Duration = Duration::from_millis(250);

/// What is written down.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    /// The dindcheck that made it.
    pub owner: Option<ProcessId>,
    /// The daemon, once it is there.
    pub daemon: Option<ProcessId>,
    /// Where it listens and keeps its files.
    #[serde(rename = "options")]
    pub layout: Layout,
    /// How the machine was before; `None` where nothing was started yet, or never.
    #[serde(rename = "footprint")]
    pub snapshot: Option<Snapshot>,
    /// The daemon that was used, where it is not ours.
    pub attached: Option<Endpoint>,
    /// The daemon is to live on.
    pub kept: bool,
}

/// A daemon that a run left running, as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its process.
    pub pid: i32,
    /// Its log.
    pub log: PathBuf,
}

/// The daemon that the run of this process left.
pub fn kept_by(owner: i32) -> Option<Kept> {
    RunDir::all().into_iter().find_map(|dir| {
        let state = dir.load::<State>().filter(|state| state.kept)?;
        let daemon = state.daemon.filter(|_| state.owner.is_some_and(|process| process.pid == owner))?;
        Some(Kept { pid: daemon.pid, log: dir.log_path() })
    })
}

/// The part that tells whose it is, whatever version wrote it.
#[derive(Debug, Deserialize)]
struct Owned {
    owner: Option<ProcessId>,
}

/// A dead run that used somebody else's daemon: what it left is in there.
pub(super) struct StaleRun {
    pub dir: RunDir,
    pub endpoint: Endpoint,
}

impl LiveEngine {
    /// Finds what runs left that were killed, and takes it away. What they left inside a daemon goes with the
    /// teardown of this run.
    pub fn recover(&self) {
        for dir in RunDir::all() {
            let owner = dir.load::<Owned>().and_then(|state| state.owner);
            if owner.is_some_and(|owner| !self.ends(owner)) {
                continue;
            }
            match dir.load::<State>() {
                Some(State { attached: Some(endpoint), .. }) => {
                    self.ghosts.borrow_mut().push(StaleRun { dir, endpoint });
                }
                Some(State { kept: true, daemon: Some(daemon), .. }) if daemon.is_alive(&self.host) => {}
                Some(state) => self.bury(&dir, &state),
                None => self.forget(&dir),
            }
        }
    }

    /// Whether a process has ended, or does so within a moment: one that was killed just now may still be
    /// on its way out.
    fn ends(&self, process: ProcessId) -> bool {
        let deadline = Instant::now() + LAST_MOMENT;
        while process.is_alive(&self.host) {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Takes away what a dead run left here.
    fn bury(&self, dir: &RunDir, state: &State) {
        let run = dir.run();
        let mut processes = Vec::new();
        if let Some(daemon) = state.daemon.or_else(|| self.by_pidfile(state)) {
            processes = snapshot::of_daemon(&self.host, daemon, &state.layout);
            if daemon.is_alive(&self.host) {
                self.recovered.borrow_mut().push(format!("dockerd of run {run}, process {}", daemon.pid));
                end(&self.host, daemon);
            }
            processes.extend(snapshot::of_daemon(&self.host, daemon, &state.layout));
        }
        let done = self.sweep(&processes, state, dir);
        let named = |what: String| format!("{what} (run {run})");
        self.recovered.borrow_mut().extend(done.removed.into_iter().map(named));
        self.leftovers.borrow_mut().extend(done.left.into_iter().map(named));
        self.forget(dir);
    }

    /// The daemon of a run that was killed before it could write the process down.
    fn by_pidfile(&self, state: &State) -> Option<ProcessId> {
        let pid = self.host.read_line(&state.layout.pidfile).ok()?.parse().ok()?;
        let process = process::find(&self.host, pid)?;
        let younger = process.id.start >= state.owner?.start;
        (younger && state.snapshot.is_some() && process.command.contains("dockerd")).then_some(process.id)
    }

    /// Kills what outlived a daemon, and makes the machine as it was.
    pub(super) fn sweep(&self, processes: &[Process], state: &State, dir: &RunDir) -> Restored {
        let killed = snapshot::reap_and_kill(&self.host, processes);
        let mut done = match &state.snapshot {
            Some(before) => before.restore(&self.host, &self.host, &state.layout, dir.path()),
            None => Restored::default(),
        };
        let words = |one: &Process| format!("process {}, {}", one.id.pid, one.command);
        done.left.extend(killed.iter().map(words));
        done
    }

    /// Removes the directory of a dead run.
    fn forget(&self, dir: &RunDir) {
        match dir.remove() {
            Ok(()) => self.recovered.borrow_mut().push(dir.path().display().to_string()),
            Err(error) => self.leftovers.borrow_mut().push(error.to_string()),
        }
    }
}

/// SIGTERM, a bounded wait, SIGKILL, for a process that is not our child.
fn end(host: &dyn SystemReader, process: ProcessId) {
    for (signal, patience) in [(Signal::SIGTERM, PATIENCE), (Signal::SIGKILL, Duration::from_secs(5))] {
        let deadline = Instant::now() + patience;
        if process.signal(host, signal).is_err() {
            return;
        }
        while process.is_alive(host) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

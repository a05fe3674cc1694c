//! How does the live door leave? Nothing of ours stays in the daemon, and no daemon of ours stays here.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::workload::SHORT;
use super::{LiveEngine, Made};
use crate::engine::cleanup::objects::{self, KINDS, Kind};
use crate::engine::cleanup::rundir::RunDir;
use crate::engine::cleanup::snapshot;
use crate::engine::dockerd::Stopped;
use crate::engine::{DaemonEnd, Death, EngineError, TornDown};
use crate::facts::process::Process;
use crate::options::RunOptions;

/// How long a request that was given up may still take to make something: a container whose creation was on its way
/// holds its volume.
const IN_FLIGHT: Duration = Duration::from_secs(5);

/// How long a network may take from its bridge to its place among the daemon's networks: some calls of iptables.
const MAKING: Duration = Duration::from_millis(500);

impl LiveEngine {
    /// Removes what is ours; stops the daemon unless it is to be kept.
    pub(super) fn take_down(&self, options: &RunOptions, keep_daemon: bool) -> TornDown {
        let mut done = TornDown::default();
        let death = self.death();
        if death.is_some() && !self.made.borrow().is_empty() {
            self.reopen(options, &mut done);
        }
        if self.endpoint.get().is_some() && self.death().is_none() {
            self.remove_objects(options, &mut done);
        }
        if !self.keeps(keep_daemon && death.is_none(), &mut done) {
            self.leave(options, &mut done);
        }
        if let Some(death) = death {
            done.daemon = DaemonEnd::Dead(death);
        }
        for made in self.made.borrow().iter() {
            done.left.push(format!("{} (its daemon cannot be asked any more)", made.object(&options.run)));
        }
        self.leftovers.borrow_mut().extend(done.left.iter().cloned());
        done
    }

    /// Stops our daemon, and makes the machine as it was.
    fn leave(&self, options: &RunOptions, done: &mut TornDown) {
        let Some(ours) = self.ours.get() else {
            return;
        };
        let mut processes = self.processes();
        done.daemon = self.stop(options.profile.daemon.stop_timeout);
        if let DaemonEnd::StillThere(pid) = done.daemon {
            done.left.push(format!("dockerd, process {pid}"));
            return;
        }
        processes.extend(self.processes());
        let state = ours.state.borrow();
        let restored = self.sweep(&processes, &state, &ours.dir);
        done.removed.extend(restored.removed);
        done.left.extend(restored.left);
        done.left.extend(ours.dir.remove().err().map(|error| error.to_string()));
    }

    /// How the daemon that we started ended, if it did.
    fn death(&self) -> Option<Death> {
        self.daemon.get().and_then(|daemon| daemon.borrow_mut().look())
    }

    /// Starts a daemon that died once more, for what is ours in it; what it left behind goes first.
    fn reopen(&self, options: &RunOptions, done: &mut TornDown) {
        let processes = self.processes();
        let left = snapshot::reap_and_kill(&self.host, &processes);
        if left.is_empty() && self.revive(options).is_ok() {
            done.removed.push("a dockerd started once more for the clean-up".to_owned());
        }
    }

    /// What belongs to the daemon that we started, besides itself.
    fn processes(&self) -> Vec<Process> {
        let state = self.ours.get().map(|ours| ours.state.borrow());
        let found =
            state.and_then(|state| Some(snapshot::of_daemon(&self.host, state.daemon?, &state.layout)));
        found.unwrap_or_default()
    }

    /// Keeps the daemon where that is wanted and it lives.
    fn keeps(&self, wanted: bool, done: &mut TornDown) -> bool {
        let alive = self.daemon.get().filter(|_| wanted && self.death().is_none());
        if let (Some(daemon), Some(ours)) = (alive, self.ours.get()) {
            ours.state.borrow_mut().kept = true;
            done.left.extend(ours.save().err().map(|error| error.to_string()));
            done.daemon = DaemonEnd::Kept { endpoint: self.endpoint(), pid: daemon.borrow().pid() };
        }
        alive.is_some()
    }

    /// Removes everything of ours in the daemon, and what dead runs left there.
    fn remove_objects(&self, options: &RunOptions, done: &mut TornDown) {
        let pulled: Vec<_> =
            self.made.borrow().iter().filter(|m| matches!(m, Made::Pulled(_))).cloned().collect();
        let ghosts = self.take_ghosts();
        let dead: BTreeSet<String> = ghosts.iter().map(RunDir::run).collect();
        let before = done.left.len();
        let start = Instant::now();
        loop {
            let (left, in_use) = self.remove_once(options, &pulled, &dead, done);
            let being_made = start.elapsed() < MAKING && self.has_remains(options);
            if !(in_use || being_made) || start.elapsed() > IN_FLIGHT {
                done.left.extend(left);
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if done.left.len() == before {
            done.left.extend(ghosts.iter().filter_map(|dir| Some(dir.remove().err()?.to_string())));
        }
        self.remove_remains(options, done);
        // What was meant to be made and is not there was never made.
        self.made.borrow_mut().clear();
    }

    /// Whether our network left something here, or is just being made, in a daemon that stays; one that is stopped takes
    /// more than that with it.
    fn has_remains(&self, options: &RunOptions) -> bool {
        let stays = options.attach.is_some() || options.keep_daemon;
        stays && snapshot::has_network(&self.host, &options.run)
    }

    /// Removes what our network left here that the daemon says it does not know any more.
    fn remove_remains(&self, options: &RunOptions, done: &mut TornDown) {
        let known = || {
            let all = self.labelled(Kind::Network);
            all.map_or(true, |all| all.iter().any(|network| network.run == options.run))
        };
        if let Some(ours) = self.ours.get().filter(|_| self.has_remains(options) && !known()) {
            let removed = snapshot::remove_network(&self.host, &self.host, &options.run, ours.dir.path());
            done.removed.extend(removed.removed);
            done.left.extend(removed.left);
        }
    }

    /// Removes what is there now. What could not be, and whether something is in use by what came to be meanwhile.
    fn remove_once(
        &self,
        options: &RunOptions,
        pulled: &[Made],
        dead: &BTreeSet<String>,
        done: &mut TornDown,
    ) -> (Vec<String>, bool) {
        let (mut left, mut in_use) = (Vec::new(), false);
        // Containers hold the rest, of which nothing holds another.
        for kinds in [&KINDS[..1], &KINDS[1..]] {
            let mut objects = Vec::new();
            for kind in kinds {
                match self.labelled(*kind) {
                    Ok(found) => objects.extend(found),
                    // It does not answer: nothing else is asked of it.
                    Err(error @ EngineError::Deadline { .. }) => {
                        let made = self.made.take();
                        let name = |made: &Made| format!("{} ({error})", made.object(&options.run));
                        return (made.iter().map(name).collect(), false);
                    }
                    Err(error) => left.push(format!("{}s, perhaps: {error}", kind.name())),
                }
            }
            objects.retain(|object| objects::removable(object, &options.run, dead, options.attach.is_none()));
            if kinds.contains(&Kind::Image) {
                objects.extend(pulled.iter().map(|made| made.object(&options.run)));
            }
            for (object, end) in objects.iter().zip(self.remove_all(&objects)) {
                match end {
                    Ok(()) => done.removed.push(object.to_string()),
                    Err(error) => {
                        in_use |= matches!(error, EngineError::Refused { status: 409, .. });
                        left.push(error.to_string());
                    }
                }
            }
        }
        (left, in_use)
    }

    /// The directories of dead runs that used the daemon that we use.
    fn take_ghosts(&self) -> Vec<RunDir> {
        let endpoint = self.endpoint();
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            self.ghosts.take().into_iter().partition(|ghost| ghost.endpoint == endpoint);
        *self.ghosts.borrow_mut() = elsewhere;
        here.into_iter().map(|ghost| ghost.dir).collect()
    }

    /// Those of a kind with our label.
    fn labelled(&self, kind: Kind) -> crate::engine::EngineResult<Vec<objects::Object>> {
        let version = &self.api(SHORT)?.version;
        self.wait("list what is ours", SHORT, objects::labelled(&self.endpoint(), version, kind))
    }

    /// Stops the daemon that we started.
    fn stop(&self, patience: Duration) -> DaemonEnd {
        let Some(daemon) = self.daemon.get() else {
            return self.endpoint.get().cloned().map_or(DaemonEnd::None, DaemonEnd::Attached);
        };
        let start = Instant::now();
        let mut daemon = daemon.borrow_mut();
        let dead = daemon.look();
        let stopped = self.runtime.block_on(daemon.stop(patience));
        match (dead, stopped) {
            (Some(death), _) => DaemonEnd::Dead(death),
            (None, Stopped::InTime) => DaemonEnd::Stopped(start.elapsed()),
            (None, Stopped::Killed) => DaemonEnd::Killed(start.elapsed()),
            (None, Stopped::Never) => DaemonEnd::StillThere(daemon.pid()),
        }
    }
}

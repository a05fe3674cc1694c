//! The teardown: removes our objects from the daemon, stops the daemon that we started, and restores the machine.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::reclaim::{Whose, describe, record_made};
use super::recover::StaleRun;
use super::{Created, LiveEngine, SHORT};
use crate::engine::cleanup::objects::{self, KINDS, Kind, Removal};
use crate::engine::cleanup::others::Alive;
use crate::engine::cleanup::place::Place;
use crate::engine::cleanup::processes;
use crate::engine::cleanup::{made, paths};
use crate::engine::dockerd::Stopped;
use crate::engine::{DaemonEnd, Death, EngineError, TornDown};
use crate::facts::endpoint::Endpoint;
use crate::options::RunOptions;

/// How long an abandoned request may still be carried out: a container that is still being created holds its volume.
const IN_FLIGHT: Duration = Duration::from_secs(5);

/// How long a network may take from the creation of its bridge to its entry in the daemon's store: some calls of iptables.
const NETWORK_CREATION: Duration = Duration::from_millis(500);

/// How long a dockerd that has too little memory may take to stop: it would wait for its pages until it is killed.
const SHORT_OF_MEMORY: Duration = Duration::from_secs(2);

impl LiveEngine {
    /// Removes our objects, and stops the daemon unless it is to be kept.
    pub(super) fn take_down(&self, options: &RunOptions, keep_daemon: bool) -> TornDown {
        let mut done = TornDown { log_dropped: self.log_dropped(), ..TornDown::default() };
        let death = self.death();
        // Where memory is short, another dockerd would fare as this one did.
        if death.is_some() && !self.created.borrow().is_empty() && !self.lacks_memory.get() {
            self.restart_for_cleanup(options, &mut done);
        }
        if self.endpoint.get().is_some() && self.death().is_none() {
            self.remove_objects(options, &mut done);
        }
        if !self.keep_running(keep_daemon && death.is_none(), &mut done) {
            self.stop_and_restore(options, &mut done);
        }
        if let Some(death) = death {
            done.daemon = DaemonEnd::Dead(death);
        }
        for object in self.created.borrow().iter() {
            done.left.push(format!("{} (its daemon does not answer any more)", object.object(&options.run)));
        }
        self.leftovers.borrow_mut().extend(done.left.iter().chain(&done.in_use).cloned());
        done
    }

    /// Stops our daemon, and restores the machine.
    fn stop_and_restore(&self, options: &RunOptions, done: &mut TornDown) {
        let Some(files) = self.run_files.get() else {
            return;
        };
        // dockerd may have started another one since it served.
        self.note_containerds(&options.run);
        let timeout = options.profile.daemon.stop_timeout;
        done.daemon = self.stop(if self.lacks_memory.get() { timeout.min(SHORT_OF_MEMORY) } else { timeout });
        if let DaemonEnd::StillThere(pid) = done.daemon {
            done.left.push(format!("dockerd, process {pid}; `kill -9 {pid}` ends it"));
            return;
        }
        self.witness.take();
        match self.end_processes_of(options) {
            Ok(left) => {
                done.left.extend(left);
                let record = files.record.borrow();
                let here = Place::here(&self.host).ok();
                let place = (record.place.as_ref(), here.as_ref());
                let whose = Whose { own: true, spare_etc: options.keep_daemon };
                let removal = self.restore_machine(&files.dir, &record, files.ledger.as_ref(), place, whose);
                done.removed.extend(removal.removed);
                done.left.extend(removal.left);
            }
            Err(error) => done.left.push(format!("what dockerd made, and its processes, perhaps: {error}")),
        }
        done.left.extend(files.dir.remove().err().map(|error| error.to_string()));
    }

    /// How many bytes of the log of our daemon were dropped.
    fn log_dropped(&self) -> u64 {
        self.daemon.get().map_or(0, |daemon| daemon.borrow().log().dropped())
    }

    /// How the daemon that we started ended, if it did.
    fn death(&self) -> Option<Death> {
        self.daemon.get().and_then(|daemon| daemon.borrow_mut().poll_death())
    }

    /// Restarts a daemon that died, to remove our objects in it. The processes that it left are killed first.
    fn restart_for_cleanup(&self, options: &RunOptions, done: &mut TornDown) {
        let left = self.end_processes_of(options);
        if left.is_ok_and(|left| left.is_empty()) && self.restart_daemon(options).is_ok() {
            done.removed.push("a dockerd restarted for the cleanup".to_owned());
        }
    }

    /// Ends the processes that outlived the daemon that we started; those that do not end.
    fn end_processes_of(&self, options: &RunOptions) -> crate::host::HostResult<Vec<String>> {
        if self.daemon.get().is_none() {
            return Ok(Vec::new());
        }
        let processes = processes::of_run(&self.host, &options.run)?;
        Ok(processes::kill_all(&self.host, &processes).iter().map(describe).collect())
    }

    /// Keeps the daemon running where that is `wanted` and it is alive; whether it is kept.
    fn keep_running(&self, wanted: bool, done: &mut TornDown) -> bool {
        let alive = self.daemon.get().filter(|_| wanted && self.death().is_none());
        if let (Some(daemon), Some(files)) = (alive, self.run_files.get()) {
            self.witness.take();
            if let Some(ledger) = &files.ledger {
                let mut ledger = ledger.clone();
                record_made(
                    &self.host,
                    &files.dir.run(),
                    &files.record.borrow(),
                    &mut ledger,
                    Alive::Dockerd,
                );
                done.left.extend(files.dir.save_made(&ledger).err().map(|error| error.to_string()));
            }
            files.record.borrow_mut().kept = true;
            done.left.extend(files.save().err().map(|error| error.to_string()));
            done.daemon = DaemonEnd::Kept { endpoint: self.endpoint(), pid: daemon.borrow().pid() };
        }
        alive.is_some()
    }

    /// Removes our objects from the daemon, and those of dead runs.
    fn remove_objects(&self, options: &RunOptions, done: &mut TornDown) {
        let pulled: Vec<_> =
            self.created.borrow().iter().filter(|m| matches!(m, Created::Pulled(_))).cloned().collect();
        let stale = self.take_stale_runs();
        let mut dead: BTreeSet<String> = stale.iter().map(|run| run.dir.run()).collect();
        // Our daemon serves the data root that theirs served.
        if options.attach.is_none() {
            dead.extend(self.reclaimed.borrow().iter().cloned());
        }
        let before = done.left.len();
        let start = Instant::now();
        loop {
            done.in_use.clear();
            let (left, is_busy) = self.remove_once(options, &pulled, &dead, done);
            let being_made = start.elapsed() < NETWORK_CREATION && self.has_network_remains(options);
            if !(is_busy || being_made) || start.elapsed() > IN_FLIGHT {
                done.left.extend(left);
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if done.left.len() == before {
            let emptied = stale.iter().filter(|run| !run.keeps_record);
            done.left.extend(emptied.filter_map(|run| Some(run.dir.remove().err()?.to_string())));
        }
        self.remove_network_remains(options, done);
        // What was to be created and does not exist was never created.
        self.created.borrow_mut().clear();
    }

    /// Whether the bridge of our network exists, in a daemon that runs on. After one that is stopped the snapshot is
    /// restored, which includes it.
    fn has_network_remains(&self, options: &RunOptions) -> bool {
        let stays = options.attach.is_some() || options.keep_daemon;
        stays && made::has_network(&self.host, &options.run)
    }

    /// Removes the bridge and the rules of our network, where the daemon does not know the network any more.
    fn remove_network_remains(&self, options: &RunOptions, done: &mut TornDown) {
        let known = || {
            let all = self.labelled(Kind::Network);
            all.map_or(true, |all| all.iter().any(|network| network.run == options.run))
        };
        if let Some(files) = self.run_files.get().filter(|_| self.has_network_remains(options) && !known()) {
            let removed = made::remove_network(&self.host, &self.host, &options.run, files.dir.path());
            done.removed.extend(removed.removed);
            done.left.extend(removed.left);
        }
    }

    /// Removes the objects that exist now. Returns those that could not be removed, and whether something that was created
    /// meanwhile makes one busy.
    fn remove_once(
        &self,
        options: &RunOptions,
        pulled: &[Created],
        dead: &BTreeSet<String>,
        done: &mut TornDown,
    ) -> (Vec<String>, bool) {
        let (mut left, mut is_busy) = (Vec::new(), false);
        // Containers use the others, which do not use each other.
        for kinds in [&KINDS[..1], &KINDS[1..]] {
            let mut objects = Vec::new();
            for kind in kinds {
                match self.labelled(*kind) {
                    Ok(found) => objects.extend(found),
                    // It does not answer: no further requests.
                    Err(error @ (EngineError::Deadline { .. } | EngineError::Died(_))) => {
                        let created = self.created.take();
                        let name = |object: &Created| format!("{} ({error})", object.object(&options.run));
                        return (created.iter().map(name).collect(), false);
                    }
                    Err(error) => left.push(format!("{}s, perhaps: {error}", kind.name())),
                }
            }
            objects.retain(|object| objects::removable(object, &options.run, dead, options.attach.is_none()));
            if kinds.contains(&Kind::Image) {
                objects.extend(pulled.iter().map(|object| object.object(&options.run)));
            }
            for (object, end) in objects.iter().zip(self.remove_all(&objects)) {
                match end {
                    Ok(Removal::Removed) => done.removed.push(object.to_string()),
                    Ok(Removal::NotOurs) => {}
                    Err(stays @ EngineError::Stays { .. }) => done.in_use.push(stays.to_string()),
                    Err(error) => {
                        is_busy |= matches!(error, EngineError::Refused { status: 409, .. });
                        left.push(error.to_string());
                    }
                }
            }
        }
        (left, is_busy)
    }

    /// The dead runs that used the same daemon.
    fn take_stale_runs(&self) -> Vec<StaleRun> {
        let endpoint = self.endpoint();
        let is_here = |other: &Endpoint| match (other, &endpoint) {
            (Endpoint::Unix(a), Endpoint::Unix(b)) => {
                let real = |path| paths::real(&self.host, path).ok();
                real(a).is_some_and(|a| Some(a) == real(b))
            }
            (a, b) => a == b,
        };
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            self.stale_runs.take().into_iter().partition(|run| is_here(&run.endpoint));
        *self.stale_runs.borrow_mut() = elsewhere;
        here
    }

    /// The objects of a kind that are ours.
    fn labelled(&self, kind: Kind) -> crate::engine::EngineResult<Vec<objects::Object>> {
        let version = &self.api(SHORT)?.version;
        self.wait("list the objects of dindcheck", SHORT, objects::labelled(&self.endpoint(), version, kind))
    }

    /// Stops the daemon that we started.
    fn stop(&self, timeout: Duration) -> DaemonEnd {
        let Some(daemon) = self.daemon.get() else {
            return self.endpoint.get().cloned().map_or(DaemonEnd::None, DaemonEnd::Attached);
        };
        let start = Instant::now();
        let mut daemon = daemon.borrow_mut();
        let dead = daemon.poll_death();
        let stopped = self.runtime.block_on(daemon.stop(timeout));
        match (dead, stopped) {
            (Some(death), _) => DaemonEnd::Dead(death),
            (None, Stopped::InTime) => DaemonEnd::Stopped(start.elapsed()),
            (None, Stopped::Killed) => DaemonEnd::Killed(start.elapsed()),
            (None, Stopped::Never) => DaemonEnd::StillThere(daemon.pid()),
        }
    }
}

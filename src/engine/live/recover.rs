//! The cleanup after runs that were killed: what their records prove is removed, and nothing else.

use std::path::Path;
use std::time::{Duration, Instant};

use super::LiveEngine;
use crate::engine::cleanup::place::Place;
use crate::engine::cleanup::record::{FORMAT, Header, KeptDaemon, Record};
use crate::engine::cleanup::rundir::RunDir;
use crate::facts::endpoint::Endpoint;
use crate::facts::filesystem;
use crate::facts::process::ProcessId;
use crate::finding::quoted;
use crate::host::SystemReader;

/// How long the witness of a killed run may hold its lock: as long as the daemon takes to stop, and a look.
const WITNESS_TIMEOUT: Duration = Duration::from_secs(25);
/// How long a killed run may take to end.
const EXIT_GRACE: Duration = Duration::from_millis(250);
/// How long another dindcheck may hold the lock of a run that it looks at.
const TAKE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a lock is tried.
const TICK: Duration = Duration::from_millis(10);

/// Which killed runs are recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// What they left on this machine and in daemons.
    Machine,
    /// The same, but nothing below /etc, which an outer container may share with its host.
    SparingEtc,
    /// Only their objects in the daemon at this endpoint.
    ObjectsOnly,
}

/// A dead run with objects in a daemon.
pub(super) struct StaleRun {
    pub dir: RunDir,
    pub endpoint: Endpoint,
    /// It left more than objects, so that its record stays.
    pub keeps_record: bool,
}

/// Takes over the daemon that the run of this process kept: from now on the caller holds the lock of that run.
pub fn take_over(host: &dyn SystemReader, owner: i32) -> Option<KeptDaemon> {
    RunDir::all().ok()?.into_iter().find_map(|path| {
        let dir = RunDir::at(path);
        let mut record = dir.load::<Record>().filter(|record| record.kept)?;
        let daemon = record.daemon.filter(|_| record.owner.is_some_and(|process| process.pid == owner))?;
        let dir = locked(dir);
        record.keeper = ProcessId::of(host, host.identity().pid);
        // Without the keeper in the record, a later run takes the daemon for one that is to run on.
        let _ = dir.save(&record);
        Some(KeptDaemon { pid: daemon.pid, log: dir.log_path(), run: dir })
    })
}

/// The directory with its lock. Another dindcheck holds it for a moment, to see that the daemon is kept.
fn locked(dir: RunDir) -> RunDir {
    let end = Instant::now() + TAKE_TIMEOUT;
    while Instant::now() < end {
        if let Ok(Some(locked)) = RunDir::take(dir.path()) {
            return locked;
        }
        std::thread::sleep(TICK);
    }
    dir
}

impl LiveEngine {
    /// Removes what killed runs left. Their objects in a daemon are removed in the teardown of this run.
    pub fn recover(&self, recovery: Recovery) {
        let here = Place::here(&self.host).ok();
        match RunDir::all() {
            Ok(paths) => paths.iter().for_each(|path| self.recover_one(path, here.as_ref(), recovery)),
            Err(error) => {
                self.leftovers.borrow_mut().push(format!("runs that were killed, perhaps: {error}"));
            }
        }
    }

    /// Removes what killed runs left of their trials in a data root, or in the directory above where it is not there yet.
    pub fn recover_trials(&self, data_root: &Path) {
        let base = filesystem::nearest(&self.host, data_root).map(|(base, _)| base);
        match base.and_then(|base| self.host.remove_dead_trials(&base)) {
            Ok(done) => {
                for (path, result) in done {
                    match result {
                        Ok(()) => self.recovered.borrow_mut().push(path.display().to_string()),
                        Err(error) => self
                            .leftovers
                            .borrow_mut()
                            .push(format!("{error}; `rm -r {}` removes it", quoted(&path))),
                    }
                }
            }
            Err(error) if error.is_absent() => {}
            Err(error) => {
                self.leftovers.borrow_mut().push(format!("directories of trials, perhaps: {error}"));
            }
        }
    }

    fn recover_one(&self, path: &Path, here: Option<&Place>, recovery: Recovery) {
        let dir = match self.dead_run(path, here, recovery != Recovery::ObjectsOnly) {
            Ok(Some(dir)) => dir,
            Ok(None) => return,
            Err(error) => return self.leftovers.borrow_mut().push(format!("{}: {error}", path.display())),
        };
        let record = dir.load::<Record>().filter(|record| record.format == FORMAT);
        match record {
            Some(Record { attached: Some(endpoint), .. }) => {
                self.stale_runs.borrow_mut().push(StaleRun { dir, endpoint, keeps_record: false });
            }
            Some(record) if self.runs_on(&record, here) => {}
            // Another daemon may serve its data root now.
            Some(Record { layout, .. }) if recovery == Recovery::ObjectsOnly => {
                let stale = StaleRun { dir, endpoint: layout.endpoint, keeps_record: true };
                self.stale_runs.borrow_mut().push(stale);
            }
            None if recovery == Recovery::ObjectsOnly => {}
            Some(record) => self.reclaim(&dir, record, here, recovery),
            None if dir.has_record() => self.leave_unknown(&dir, here),
            // It was killed before it did anything.
            None => self.remove_dir(&dir),
        }
    }

    /// The directory of a run, locked, where the run is dead. A run that was just killed may still be ending, and its
    /// witness holds the lock until its daemon has ended.
    fn dead_run(
        &self,
        path: &Path,
        here: Option<&Place>,
        waits: bool,
    ) -> crate::host::HostResult<Option<RunDir>> {
        let began = Instant::now();
        loop {
            if let Some(dir) = RunDir::take(path)? {
                return Ok(Some(dir));
            }
            let is_witnessed = waits && self.was_killed(path, here);
            let patience = if is_witnessed { WITNESS_TIMEOUT } else { EXIT_GRACE };
            if began.elapsed() > patience || !path.exists() {
                return Ok(None);
            }
            std::thread::sleep(TICK);
        }
    }

    /// Whether the process of a run in this place has ended, although its lock is held.
    fn was_killed(&self, path: &Path, here: Option<&Place>) -> bool {
        let Some(record) = RunDir::at(path.to_owned()).load::<Record>() else { return false };
        let is_here =
            matches!((&record.place, here), (Some(then), Some(here)) if here.has_processes_of(then));
        let owner = if record.kept { record.keeper } else { record.owner };
        is_here && owner.is_some_and(|owner| !owner.is_alive(&self.host))
    }

    /// Whether the daemon of a run is to run on, and does. In another process namespace that shows in its socket.
    fn runs_on(&self, record: &Record, here: Option<&Place>) -> bool {
        let keeps = record.kept && record.keeper.is_none();
        let is_here =
            matches!((&record.place, here), (Some(then), Some(here)) if here.has_processes_of(then));
        keeps
            && match record.daemon {
                Some(daemon) if is_here => daemon.is_alive(&self.host),
                _ => {
                    !matches!(&record.layout.endpoint, Endpoint::Unix(socket) if self.host.connect(socket).is_err())
                }
            }
    }

    /// A record of another version proves nothing.
    fn leave_unknown(&self, dir: &RunDir, here: Option<&Place>) {
        let owner = dir.load::<Header>().and_then(|header| header.owner);
        if here.is_none() || owner.is_some_and(|owner| owner.is_alive(&self.host)) {
            return;
        }
        let path = dir.path();
        let left = format!(
            "{}, the record of a run of another version of dindcheck; `rm -r {}` removes it",
            path.display(),
            quoted(path)
        );
        self.leftovers.borrow_mut().push(left);
    }

    /// Removes the directory of a dead run.
    pub(super) fn remove_dir(&self, dir: &RunDir) {
        match dir.remove() {
            Ok(()) => self.recovered.borrow_mut().push(dir.path().display().to_string()),
            Err(error) => self.leftovers.borrow_mut().push(error.to_string()),
        }
    }
}

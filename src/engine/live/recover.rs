//! The cleanup after runs that were killed: what their records prove is removed, and nothing else.

use std::path::Path;
use std::time::{Duration, Instant};

use super::LiveEngine;
use crate::engine::LABEL;
use crate::engine::cleanup::made::{KINDS, Ledger, Removal, Standing};
use crate::engine::cleanup::others::Others;
use crate::engine::cleanup::place::Place;
use crate::engine::cleanup::processes;
use crate::engine::cleanup::record::{FORMAT, Header, KeptDaemon, Record};
use crate::engine::cleanup::rundir::RunDir;
use crate::facts::endpoint::Endpoint;
use crate::facts::process::{Process, ProcessId};
use crate::finding::quoted;
use crate::host::SystemReader;

/// The time from SIGTERM to SIGKILL for the daemon of a dead run: dockerd gives its containers 15 seconds.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
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

/// Who removes what a daemon made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose {
    /// The run itself, whose daemon has just ended.
    pub own: bool,
    /// Nothing below /etc is removed.
    pub spare_etc: bool,
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

    /// Stops the daemon of a dead run, and removes what both left on this machine.
    fn reclaim(&self, dir: &RunDir, record: Record, here: Option<&Place>, recovery: Recovery) {
        let run = dir.run();
        let mut done = Removal::default();
        let mut ledger = dir.load_made::<Ledger>();
        match self.end_processes(&run, &record, &mut ledger, &mut done) {
            Ok(()) => {
                let place = (record.place.as_ref(), here);
                let spare_etc = recovery == Recovery::SparingEtc;
                done.extend(self.restore_machine(
                    dir,
                    &record,
                    ledger.as_ref(),
                    place,
                    Whose { own: false, spare_etc },
                ));
            }
            Err(error) => done.left.push(format!("processes of dockerd, perhaps: {error}")),
        }
        let named = |what: String| format!("{what} (run {run})");
        self.recovered.borrow_mut().extend(done.removed.into_iter().map(named));
        self.leftovers.borrow_mut().extend(done.left.into_iter().map(named));
        self.remove_dir(dir);
    }

    /// Ends every process of a dead run. What its dockerd made is recorded first, as long as it runs.
    fn end_processes(
        &self,
        run: &str,
        record: &Record,
        ledger: &mut Option<Ledger>,
        done: &mut Removal,
    ) -> crate::host::HostResult<()> {
        let processes = processes::of_run(&self.host, run)?;
        let is_daemon = |one: &&Process| {
            Some(one.id) == record.daemon
                || one.command.split(' ').next().is_some_and(|program| program.ends_with("dockerd"))
        };
        let daemons: Vec<ProcessId> = processes
            .iter()
            .filter(is_daemon)
            .map(|one| one.id)
            .filter(|id| id.is_alive(&self.host))
            .collect();
        if let Some(ledger) = ledger.as_mut().filter(|_| !daemons.is_empty()) {
            record_made(&self.host, run, record, ledger, true);
        }
        for daemon in daemons {
            if processes::stop(&self.host, daemon, STOP_TIMEOUT) {
                done.removed.push(format!("dockerd, process {}", daemon.pid));
            }
        }
        let rest = processes::of_run(&self.host, run)?;
        done.left.extend(processes::kill_all(&self.host, &rest).iter().map(describe));
        Ok(())
    }

    /// Removes what the daemon of a run made on the machine. Its processes have ended.
    pub(super) fn restore_machine(
        &self,
        dir: &RunDir,
        record: &Record,
        ledger: Option<&Ledger>,
        (then, here): (Option<&Place>, Option<&Place>),
        Whose { own, spare_etc }: Whose,
    ) -> Removal {
        let Some(ledger) = ledger else { return Removal::default() };
        let run = dir.run();
        let others = match Others::look(&self.host, &record.layout, &run, false) {
            Ok(others) => others,
            Err(error) => {
                let left = format!("what dockerd made, since other daemons cannot be looked for: {error}");
                return Removal { left: vec![left], ..Removal::default() };
            }
        };
        let standing = Standing { then, here, others: &others, own, spare_etc };
        let mut done = ledger.remove(&self.host, &self.host, &record.scope(&run), &standing, dir.path());
        done.left.extend(others.directories.filter(|_| !own).map(|user| objects_served_by(&user, &run)));
        done
    }

    /// Removes the directory of a dead run.
    fn remove_dir(&self, dir: &RunDir) {
        match dir.remove() {
            Ok(()) => self.recovered.borrow_mut().push(dir.path().display().to_string()),
            Err(error) => self.leftovers.borrow_mut().push(error.to_string()),
        }
    }
}

/// Records what the daemon of a run made until now. `alive`: it runs; else it has just ended.
pub(super) fn record_made(
    host: &dyn SystemReader,
    run: &str,
    record: &Record,
    ledger: &mut Ledger,
    alive: bool,
) {
    let others = || Others::look(host, &record.layout, run, alive).ok();
    let Some(before) = others() else { return };
    let mut next = ledger.clone();
    next.record(host, &record.scope(run), &KINDS, &before);
    // A daemon that was started meanwhile may have made some of it.
    if others().is_some_and(|after| after == before) {
        *ledger = next;
    }
}

/// A process that does not end.
pub(super) fn describe(process: &Process) -> String {
    let pid = process.id.pid;
    // Its arguments may hold secrets.
    let program = process.command.split(' ').next().unwrap_or_default();
    format!("process {pid}, {program}; `kill -9 {pid}` ends it")
}

/// The objects of a dead run, in a data root that another daemon may serve now.
fn objects_served_by(user: &str, run: &str) -> String {
    let of_kind = |list: &str, remove: &str| {
        format!("docker {list} -q --filter label={LABEL}={run} | xargs -r docker {remove}")
    };
    let commands = [
        of_kind("ps -a", "rm -fv"),
        of_kind("network ls", "network rm"),
        of_kind("volume ls", "volume rm"),
        of_kind("image ls", "image rm"),
    ];
    format!(
        "objects with the label {LABEL}={run}, perhaps, left since {user} may serve them; `{}` removes them",
        commands.join("; ")
    )
}

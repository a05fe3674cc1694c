//! Ends the processes of a dead run, and removes what its daemon made on the machine.

use std::time::Duration;

use super::LiveEngine;
use super::recover::Recovery;
use crate::engine::LABEL;
use crate::engine::cleanup::made::{KINDS, Ledger, Removal, Standing};
use crate::engine::cleanup::others::{Alive, Others};
use crate::engine::cleanup::place::Place;
use crate::engine::cleanup::processes;
use crate::engine::cleanup::record::Record;
use crate::engine::cleanup::rundir::RunDir;
use crate::facts::process::{Process, ProcessId};
use crate::host::SystemReader;

/// The time from SIGTERM to SIGKILL for the daemon of a dead run: dockerd gives its containers 15 seconds.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Who removes what a daemon made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whose {
    /// The run itself, whose daemon has just ended.
    pub own: bool,
    /// Nothing below /etc is removed.
    pub spare_etc: bool,
}

impl LiveEngine {
    /// Stops the daemon of a dead run, and removes what both left on this machine.
    pub(super) fn reclaim(&self, dir: &RunDir, record: Record, here: Option<&Place>, recovery: Recovery) {
        let run = dir.run();
        self.reclaimed.borrow_mut().insert(run.clone());
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
        let alive = match (daemons.is_empty(), processes.is_empty()) {
            (false, _) => Alive::Dockerd,
            (true, false) => Alive::Remains,
            (true, true) => Alive::Nothing,
        };
        let beside = Others::look(&self.host, &record.layout, run, alive)?.directories;
        // A containerd that outlived its dockerd goes on making what the witness did not see.
        let made_more = processes.iter().any(|one| is_daemon(&one) || one.is_program("containerd"));
        if let Some(ledger) = ledger.as_mut().filter(|_| made_more) {
            record_made(&self.host, run, record, ledger, alive);
        }
        for daemon in daemons {
            if processes::stop(&self.host, daemon, STOP_TIMEOUT) {
                done.removed.push(format!("dockerd, process {}", daemon.pid));
            }
        }
        let rest = processes::of_run(&self.host, run)?;
        // A dockerd takes over a containerd that it finds, and its containers then have our label.
        if let Some(user) = beside {
            let left = |one: &Process| format!("{}, left since {user} may use it", describe(one));
            done.left.extend(rest.iter().filter(|one| one.id.is_alive(&self.host)).map(left));
            return Ok(());
        }
        done.left.extend(processes::kill_all(&self.host, &rest).iter().map(describe));
        if let Some(ledger) = ledger.as_mut().filter(|_| made_more) {
            record_made(&self.host, run, record, ledger, Alive::Nothing);
        }
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
        let others = match Others::look(&self.host, &record.layout, &run, Alive::Nothing) {
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
}

/// Records what the daemon of a run made until now; whether it could: no other daemon is there. `alive`: what of the run
/// runs; its daemon has just ended, else.
pub(super) fn record_made(
    host: &dyn SystemReader,
    run: &str,
    record: &Record,
    ledger: &mut Ledger,
    alive: Alive,
) -> bool {
    let others = || Others::look(host, &record.layout, run, alive).ok();
    let Some(before) = others() else { return false };
    let mut next = ledger.clone();
    next.record(host, &record.scope(run), &KINDS, &before);
    // A daemon that was started meanwhile may have made some of it.
    if others().is_none_or(|after| after != before) {
        return false;
    }
    *ledger = next;
    before.any().is_none()
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

/// What of a run is alive. Before its dockerd is recorded, any process of the run counts as that.
pub(super) fn alive(host: &dyn SystemReader, dir: &RunDir) -> Alive {
    let daemon = dir.load::<Record>().and_then(|record| record.daemon);
    if daemon.is_some_and(|daemon| daemon.is_alive(host)) {
        return Alive::Dockerd;
    }
    match (processes::of_run(host, &dir.run()), daemon) {
        (Ok(all), _) if all.is_empty() => Alive::Nothing,
        (Ok(_), None) => Alive::Dockerd,
        (Ok(_), Some(_)) => Alive::Remains,
        (Err(_), _) => Alive::Nothing,
    }
}

/// Records in the directory of a run what its dockerd made until now; it runs, or has just ended. Returns whether that could
/// be recorded, as [`record_made`].
pub fn record(host: &dyn SystemReader, dir: &RunDir) -> bool {
    let (Some(record), Some(mut ledger)) = (dir.load::<Record>(), dir.load_made()) else { return true };
    let recorded = record_made(host, &dir.run(), &record, &mut ledger, alive(host, dir));
    dir.save_made(&ledger).is_ok() && recorded
}

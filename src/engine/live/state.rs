//! The state that a run stores for the next one, and the cleanup after runs that were killed.

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

/// The time from SIGTERM to SIGKILL for the daemon of a dead run: dockerd gives its containers 15 seconds.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a killed run may take to end; the next run waits as long for one that is alive.
const EXIT_GRACE: Duration = Duration::from_millis(250);

/// The content of the state file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    /// The dindcheck that wrote it.
    pub owner: Option<ProcessId>,
    /// The daemon, once it is started.
    pub daemon: Option<ProcessId>,
    /// Where it listens and keeps its files.
    #[serde(rename = "options")]
    pub layout: Layout,
    /// How the machine was before; `None` where no daemon was started.
    #[serde(rename = "footprint")]
    pub snapshot: Option<Snapshot>,
    /// The endpoint of the daemon that the run attached to.
    pub attached: Option<Endpoint>,
    /// Whether the daemon is to run on.
    pub kept: bool,
}

/// A daemon that a run left running, as requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptDaemon {
    /// Its process.
    pub pid: i32,
    /// Its log.
    pub log: PathBuf,
}

/// The daemon that the run of this process kept.
pub fn daemon_kept_by(owner: i32) -> Option<KeptDaemon> {
    RunDir::all().into_iter().find_map(|dir| {
        let state = dir.load::<State>().filter(|state| state.kept)?;
        let daemon = state.daemon.filter(|_| state.owner.is_some_and(|process| process.pid == owner))?;
        Some(KeptDaemon { pid: daemon.pid, log: dir.log_path() })
    })
}

/// The part of the state that every version reads.
#[derive(Debug, Deserialize)]
struct Owned {
    owner: Option<ProcessId>,
}

/// A dead run that had attached to a daemon: its objects are in there.
pub(super) struct StaleRun {
    pub dir: RunDir,
    pub endpoint: Endpoint,
}

impl LiveEngine {
    /// Removes what killed runs left. Their objects in a daemon are removed in the teardown of this run.
    pub fn recover(&self) {
        for dir in RunDir::all() {
            let owner = dir.load::<Owned>().and_then(|state| state.owner);
            if owner.is_some_and(|owner| !self.ends(owner)) {
                continue;
            }
            match dir.load::<State>() {
                Some(State { attached: Some(endpoint), .. }) => {
                    self.stale_runs.borrow_mut().push(StaleRun { dir, endpoint });
                }
                Some(State { kept: true, daemon: Some(daemon), .. }) if daemon.is_alive(&self.host) => {}
                Some(state) => self.reclaim(&dir, &state),
                None => self.remove_dir(&dir),
            }
        }
    }

    /// Whether a process has ended, or does so in a moment: one that was just killed may still be ending.
    fn ends(&self, process: ProcessId) -> bool {
        let deadline = Instant::now() + EXIT_GRACE;
        while process.is_alive(&self.host) {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Stops the daemon of a dead run, and removes what both left on this machine.
    fn reclaim(&self, dir: &RunDir, state: &State) {
        let run = dir.run();
        let mut processes = Vec::new();
        if let Some(daemon) = state.daemon.or_else(|| self.daemon_by_pidfile(state)) {
            processes = snapshot::of_daemon(&self.host, daemon, &state.layout);
            if daemon.is_alive(&self.host) {
                self.recovered.borrow_mut().push(format!("dockerd of run {run}, process {}", daemon.pid));
                stop_process(&self.host, daemon);
            }
            processes.extend(snapshot::of_daemon(&self.host, daemon, &state.layout));
        }
        let done = self.restore_machine(&processes, state, dir);
        let named = |what: String| format!("{what} (run {run})");
        self.recovered.borrow_mut().extend(done.removed.into_iter().map(named));
        self.leftovers.borrow_mut().extend(done.left.into_iter().map(named));
        self.remove_dir(dir);
    }

    /// The daemon of a run that was killed before it could store the process.
    fn daemon_by_pidfile(&self, state: &State) -> Option<ProcessId> {
        let pid = self.host.read_line(&state.layout.pidfile).ok()?.parse().ok()?;
        let process = process::find(&self.host, pid)?;
        let younger = process.id.start >= state.owner?.start;
        (younger && state.snapshot.is_some() && process.command.contains("dockerd")).then_some(process.id)
    }

    /// Kills the processes that outlived a daemon, and removes what it left on the machine.
    pub(super) fn restore_machine(&self, processes: &[Process], state: &State, dir: &RunDir) -> Restored {
        let survivors = snapshot::reap_and_kill(&self.host, processes);
        let mut done = match &state.snapshot {
            Some(before) => before.restore(&self.host, &self.host, &state.layout, dir.path()),
            None => Restored::default(),
        };
        let describe = |one: &Process| format!("process {}, {}", one.id.pid, one.command);
        done.left.extend(survivors.iter().map(describe));
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

/// Stops a process that is not our child: SIGTERM, a bounded wait, SIGKILL.
fn stop_process(host: &dyn SystemReader, process: ProcessId) {
    for (signal, timeout) in [(Signal::SIGTERM, STOP_TIMEOUT), (Signal::SIGKILL, Duration::from_secs(5))] {
        let deadline = Instant::now() + timeout;
        if process.signal(host, signal).is_err() {
            return;
        }
        while process.is_alive(host) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    /// A state file as versions up to 0.1.0 write it: names in the code may change, those in the file may not.
    const STORED: &str = r#"{
        "owner": {"pid": 7, "start": 500}, "daemon": {"pid": 9, "start": 510},
        "options": {"endpoint": {"Unix": "/var/run/docker.sock"}, "data_root": "/var/lib/docker",
            "exec_root": "/var/run/docker", "pidfile": "/var/run/docker.pid", "cgroup_parent": null, "containerd": null},
        "footprint": {"world": "net mnt 1", "files": [{"path": "/run/docker", "before": ["/run/docker"]}],
            "mounts": {"/": 1}, "cgroups": {"absent": [], "enabled": {}},
            "links": {"before": ["lo"], "own": "br-cafe00000000"},
            "rules": [{"word": "ip", "program": "/usr/sbin/xtables-nft-multi", "save": "iptables-save",
                "restore": "iptables-restore", "before": {"filter": {"chains": {"FORWARD": "ACCEPT"}, "rules": []}}}],
            "switches": {"/proc/sys/net/ipv4/ip_forward": "0"}},
        "attached": null, "kept": true
    }"#;

    #[test]
    fn a_stored_state_is_read_and_written_under_the_same_names() {
        let state: State = serde_json::from_str(STORED).unwrap();
        assert_eq!(state.layout, Layout::read(&Fake::new(), &[]));
        assert!(state.kept && state.snapshot.is_some());
        let stored: serde_json::Value = serde_json::from_str(STORED).unwrap();
        assert_eq!(serde_json::to_value(&state).unwrap(), stored);
    }
}

//! The inner daemon while the command runs: its process and its log.

use std::time::Duration;

use nix::unistd::Pid;

use super::log::{DaemonLog, Wake};
use super::stderr::Outlet;
use crate::engine::dockerd::log::last_words_of;
use crate::engine::live::{self, KeptDaemon};
use crate::host::live::Live;

/// The daemon that the check handed over.
pub struct Daemon {
    kept: KeptDaemon,
    log: Option<DaemonLog>,
}

impl Daemon {
    /// The daemon that the check kept.
    pub fn new(kept: KeptDaemon) -> Self {
        let log = DaemonLog::open(kept.log.clone()).ok();
        Self { kept, log }
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.kept.pid)
    }

    /// Copies its log to stderr: the daemon is what the user runs.
    pub fn show_log(&mut self) {
        if let (Some(log), Some(stderr)) = (&mut self.log, Outlet::stderr()) {
            log.copy_to(stderr);
        }
    }

    /// Tends its log. Returns when to do so again.
    pub fn tend_log(&mut self) -> Wake<'_> {
        let none = Wake { fd: None, within: Duration::MAX };
        self.log.as_mut().map_or(none, DaemonLog::tend)
    }

    /// Records what it made on the machine, once it has ended: what is recorded is removed at the end.
    pub fn record(&self, host: &Live) {
        live::record(host, &self.kept.run);
    }

    /// Copies the rest of its log, once it has ended.
    pub fn finish_log(&mut self) {
        self.log.iter_mut().for_each(DaemonLog::finish);
    }

    /// The message about its death. `code` is its exit code as a shell gives it.
    pub fn death_message(&mut self, code: u8) -> String {
        self.finish_log();
        let status = match code {
            0..=128 => format!("exit code {code}"),
            _ => format!("signal {}", code - 128),
        };
        let last_words = last_words_of(self.kept.log.clone()).ok().flatten();
        let last_words = last_words.map_or(String::new(), |line| format!("; its last words: {line}"));
        format!("dockerd, process {}, ended before the command did, with {status}{last_words}", self.kept.pid)
    }
}

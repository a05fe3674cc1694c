//! The inner daemon while the command runs: its process, and its log, whose size is limited.
#![expect(clippy::disallowed_methods, reason = "the log of our daemon")]

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::Duration;

use nix::unistd::Pid;

use crate::engine::dockerd::log::LogTail;
use crate::engine::live::KeptDaemon;

/// The size in bytes at which the log is rotated; one older log is kept.
const MAX_LOG: u64 = 16 << 20;

/// The daemon that the check handed over.
pub struct Daemon {
    kept: KeptDaemon,
    log: Option<File>,
    /// Its log is copied to stderr: the daemon is what the user runs.
    pub tee_to_stderr: bool,
}

impl Daemon {
    /// The daemon that the check kept.
    pub fn new(kept: KeptDaemon) -> Self {
        let log = File::open(&kept.log).ok();
        Self { kept, log, tee_to_stderr: false }
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.kept.pid)
    }

    /// How often its log is tended.
    pub fn tick(&self) -> Duration {
        Duration::from_millis(if self.tee_to_stderr { 100 } else { 10_000 })
    }

    /// Copies its log to stderr where that is wanted, and rotates it. dockerd appends, so it goes on in the truncated file.
    pub fn tend_log(&mut self) {
        let Some(log) = &mut self.log else { return };
        if self.tee_to_stderr {
            let mut chunk = vec![0; 64 << 10];
            while let Ok(length @ 1..) = log.read(&mut chunk) {
                let _ = std::io::stderr().write_all(&chunk[..length]);
            }
        }
        if log.metadata().is_ok_and(|meta| meta.len() > MAX_LOG) {
            let _ = std::fs::copy(&self.kept.log, self.kept.log.with_extension("log.1"));
            let _ = OpenOptions::new().write(true).truncate(true).open(&self.kept.log);
            let _ = log.seek(SeekFrom::Start(0));
        }
    }

    /// The message about its death. `code` is its exit code as a shell gives it.
    pub fn death_message(&mut self, code: u8) -> String {
        self.tend_log();
        let status = match code {
            0..=128 => format!("exit code {code}"),
            _ => format!("signal {}", code - 128),
        };
        let last_words = File::open(&self.kept.log).ok().and_then(|file| {
            let mut log = LogTail::new(file, None);
            log.finish();
            log.last_words()
        });
        let last_words = last_words.map_or(String::new(), |line| format!("; its last words: {line}"));
        format!("dockerd, process {}, ended before the command did, with {status}{last_words}", self.kept.pid)
    }
}

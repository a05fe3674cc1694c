//! What is known of the inner daemon while the command runs? Its process, and its log, which must not fill the disk.
#![allow(clippy::disallowed_methods, reason = "the log of a daemon of ours")]

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::Duration;

use nix::unistd::Pid;

use crate::engine::dockerd::log::LogTail;
use crate::engine::live::Kept;

/// A longer log is begun anew; the last one is kept beside it.
const MOST: u64 = 16 << 20;

/// The daemon that the check handed over.
pub struct Daemon {
    kept: Kept,
    log: Option<File>,
    /// Its log goes to stderr as well: it is what the user runs.
    pub speaks: bool,
}

impl Daemon {
    /// The one that was kept.
    pub fn new(kept: Kept) -> Self {
        let log = File::open(&kept.log).ok();
        Self { kept, log, speaks: false }
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.kept.pid)
    }

    /// How often its log is looked after.
    pub fn tick(&self) -> Duration {
        Duration::from_millis(if self.speaks { 100 } else { 10_000 })
    }

    /// Passes its words on, and keeps its log in bounds. dockerd appends, so a log that was emptied grows on.
    pub fn look_after_log(&mut self) {
        let Some(log) = &mut self.log else { return };
        if self.speaks {
            let mut chunk = vec![0; 64 << 10];
            while let Ok(length @ 1..) = log.read(&mut chunk) {
                let _ = std::io::stderr().write_all(&chunk[..length]);
            }
        }
        if log.metadata().is_ok_and(|meta| meta.len() > MOST) {
            let _ = std::fs::copy(&self.kept.log, self.kept.log.with_extension("log.1"));
            let _ = OpenOptions::new().write(true).truncate(true).open(&self.kept.log);
            let _ = log.seek(SeekFrom::Start(0));
        }
    }

    /// What is said of its death.
    pub fn obituary(&mut self, code: u8) -> String {
        self.look_after_log();
        let status = match code {
            0..=128 => format!("exit code {code}"),
            _ => format!("signal {}", code - 128),
        };
        let words = File::open(&self.kept.log).ok().and_then(|file| {
            let mut log = LogTail::new(file, None);
            log.finish();
            log.last_words()
        });
        let words = words.map_or(String::new(), |words| format!("; its last words: {words}"));
        format!("dockerd, process {}, ended before the command did, with {status}{words}", self.kept.pid)
    }
}

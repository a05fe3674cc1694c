//! The log of a daemon that somebody else started, read for its first error once the daemon is dead.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::libc::{O_NOCTTY, O_NONBLOCK};

use crate::diagnosis::{CauseId, Diagnoser, causes};
use crate::engine::dockerd::log::reading::read_on;
use crate::engine::dockerd::log::{CATCH_UP, LAST_PART, first_error};

/// How often a log is polled.
const EVERY: Duration = Duration::from_millis(25);
/// How long one look reads.
const LOOK: Duration = Duration::from_millis(20);
/// How many bytes of the log's earlier end are read.
const LOG_END: u64 = 1 << 20;

/// A log that a thread of its own follows, so that little is left to be read when the daemon dies, and the wait is never
/// delayed by it.
pub(super) struct Log {
    pub(super) path: PathBuf,
    end: Sender<()>,
    reader: JoinHandle<Judgement>,
}

/// What a log says of its daemon.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    /// The cause and the text of its first error.
    pub(super) first_error: Option<(CauseId, String)>,
    /// How many bytes came faster than they can be read.
    pub(super) unread: u64,
}

/// The state of that thread.
struct Reader {
    file: File,
    position: u64,
    unread: u64,
    diagnoser: Diagnoser,
}

impl Log {
    /// Follows a log from near its end; `None` where it is not a plain file.
    pub(super) fn open(path: PathBuf) -> Option<Self> {
        let reader = Reader::open(&path)?;
        let (end, ended) = channel();
        Some(Self { path, end, reader: std::thread::spawn(move || reader.run(&ended)) })
    }

    /// Stops following, and judges.
    pub(super) fn judge(self) -> Judgement {
        drop(self.end);
        self.reader.join().unwrap_or_default()
    }
}

impl Reader {
    fn open(path: &Path) -> Option<Self> {
        // Who opens a FIFO lets a writer go on, who then has no reader. It may be replaced by one before it is opened.
        if !path.is_file() {
            return None;
        }
        let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(path).ok()?;
        let plain = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let position = plain.len().saturating_sub(LOG_END);
        Some(Self { file, position, unread: 0, diagnoser: Diagnoser::new() })
    }

    /// Follows the log until the other end is dropped.
    fn run(mut self, ended: &Receiver<()>) -> Judgement {
        while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            self.look(LOOK);
        }
        self.finish();
        let first_error = first_error(&self.diagnoser.finish());
        let first_error = first_error.map(|error| (error.cause.unwrap_or(causes::UNKNOWN), error.text));
        Judgement { first_error, unread: self.unread }
    }

    /// Reads the rest: all of it, or its last part, where something floods it.
    fn finish(&mut self) {
        if self.look(CATCH_UP) {
            return;
        }
        let last_part = self.size().saturating_sub(LAST_PART);
        if last_part > self.position {
            self.unread += last_part - self.position;
            self.skip_to(last_part);
        }
        self.look(CATCH_UP / 4);
    }

    /// Reads on for at most `within`; whether the end was reached. What stands before a start belongs to another daemon.
    fn look(&mut self, within: Duration) -> bool {
        let size = self.size();
        if size < self.position {
            // Somebody truncated it.
            self.skip_to(size.saturating_sub(LOG_END));
        }
        let Self { file, position, diagnoser, .. } = self;
        read_on(file, position, within, &mut |mut bytes| {
            if let Some(at) = memchr::memmem::rfind(bytes, b"msg=\"Starting up\"") {
                bytes = &bytes[memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |end| end + 1)..];
                *diagnoser = Diagnoser::new();
            }
            diagnoser.push(bytes);
        })
    }

    /// Goes on elsewhere. The line that was begun ends here.
    fn skip_to(&mut self, position: u64) {
        self.position = position;
        self.diagnoser.push(b"\n");
    }

    fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |meta| meta.len())
    }
}

#[cfg(test)]
mod tests;

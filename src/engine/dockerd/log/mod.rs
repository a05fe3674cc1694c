//! dockerd's log, read while it grows and kept below a size.
//!
//! dockerd writes straight into a file, so that it outlives us and never waits for us. A look at the file takes a few
//! milliseconds, however fast it grows ([`reading`]), and drops its middle where it is too large ([`bounded`]). So a flood
//! costs neither the deadline of a start, nor memory, nor the file system.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::diagnosis::{self, Diagnoser, Diagnosis, causes};
use crate::engine::docker::error::LogError;
use crate::host::HostResult;
use bounded::BoundedLog;
use last_lines::LastLines;

pub mod bounded;
pub mod follower;
mod last_lines;
pub mod reading;

/// How long one look reads.
const LOOK: Duration = Duration::from_millis(5);
/// How long the rest of a log is read before it is judged.
pub const CATCH_UP: Duration = Duration::from_millis(250);
/// The bytes at a log's end that are read where there is no time for the rest.
pub const LAST_PART: u64 = 64 << 10;

/// A log that is being written.
#[derive(Debug)]
pub struct LogTail {
    log: BoundedLog,
    position: u64,
    unread: u64,
    last_lines: LastLines,
    diagnoser: Diagnoser,
}

impl LogTail {
    /// Follows a log from its present end: what stands before it is of an earlier daemon.
    ///
    /// # Errors
    ///
    /// Where it cannot be opened.
    pub fn open(path: PathBuf) -> HostResult<Self> {
        let log = BoundedLog::open(path)?;
        let position = log.size();
        Ok(Self { log, position, unread: 0, last_lines: LastLines::default(), diagnoser: Diagnoser::new() })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.log.path()
    }

    /// How many bytes of the log were dropped from the file, or skipped because they came faster than they can be read.
    pub fn dropped(&self) -> u64 {
        self.log.dropped().max(self.unread)
    }

    /// Reads on for a few milliseconds, and cuts the file where it is too large. Returns whether the end was reached.
    pub fn look(&mut self) -> bool {
        let at_end = self.read_on();
        // A file that cannot be cut cannot be written either, so it does not grow.
        if let Ok(Some(cut)) = self.log.trim() {
            match cut.unread(self.position) {
                0 => self.position = cut.moved(self.position),
                unread => self.skip_to(cut.moved(self.position), unread),
            }
        }
        at_end
    }

    fn read_on(&mut self) -> bool {
        let Self { log, position, last_lines, diagnoser, .. } = self;
        reading::read_on(log.file(), position, LOOK, &mut |bytes| {
            diagnoser.push(bytes);
            last_lines.push(bytes);
        })
    }

    /// Goes on elsewhere in the file. The line that was begun ends here.
    fn skip_to(&mut self, position: u64, unread: u64) {
        self.position = position;
        self.unread += unread;
        self.diagnoser.push(b"\n");
        self.last_lines.end_line();
    }

    /// Reads what there is, for at most [`CATCH_UP`]; of the rest, the last part.
    pub fn catch_up(&mut self) {
        if self.reach_end_within(CATCH_UP) {
            return;
        }
        let last_part = self.log.size().saturating_sub(LAST_PART);
        if last_part > self.position {
            self.skip_to(last_part, last_part - self.position);
        }
        self.read_last_part();
    }

    /// Takes the last lines, and then diagnoses as many as there is time for, which is much slower.
    fn read_last_part(&mut self) {
        let Self { log, position, last_lines, diagnoser, .. } = self;
        let (mut at, mut left) = (*position, LAST_PART);
        reading::read_on_while(log.file(), &mut at, CATCH_UP, &mut |bytes| {
            last_lines.push(bytes);
            left = left.saturating_sub(bytes.len() as u64);
            left > 0
        });
        last_lines.end_line();
        reading::read_on(log.file(), position, CATCH_UP / 4, &mut |bytes| diagnoser.push(bytes));
    }

    fn reach_end_within(&mut self, within: Duration) -> bool {
        let began = Instant::now();
        loop {
            match self.look() {
                true => return true,
                false if began.elapsed() >= within => return false,
                false => {}
            }
        }
    }

    /// Reads the rest, a last line without a line feed included.
    pub fn finish(&mut self) {
        self.catch_up();
        self.last_lines.end_line();
    }

    /// The last message. A log of a few lines is one message over several lines.
    pub fn last_words(&self) -> Option<String> {
        self.last_lines.message()
    }

    /// The first real error.
    pub fn first_error(&mut self) -> Option<LogError> {
        first_error(&self.diagnosis())
    }

    /// The diagnosis of what was read so far.
    pub fn diagnosis(&mut self) -> Diagnosis {
        self.diagnoser.finish()
    }
}

/// The last message of a log that nobody follows; only its last part is read.
///
/// # Errors
///
/// Where it cannot be opened.
pub fn last_words_of(path: PathBuf) -> HostResult<Option<String>> {
    let mut log = LogTail::open(path)?;
    log.position = log.position.saturating_sub(LAST_PART);
    log.finish();
    Ok(log.last_words())
}

/// The first real error of a diagnosis, with its cause where that is known.
pub(in crate::engine) fn first_error(diagnosis: &Diagnosis) -> Option<LogError> {
    let first = diagnosis.first_error.as_ref().filter(|_| diagnosis.is_failure())?;
    let cause = diagnosis.cause.id;
    Some(LogError {
        line: first.line,
        text: diagnosis::log::read(&first.text).text,
        cause: (cause != causes::UNKNOWN && cause != causes::NO_ERROR_FOUND).then_some(cause),
    })
}

#[cfg(test)]
mod tests;

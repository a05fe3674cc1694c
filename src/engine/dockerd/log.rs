//! dockerd's log, read while it grows.
//!
//! dockerd writes straight into a file, so that its log survives us and a full pipe never blocks it. It is read at every
//! poll: at dockerd's death only the last few lines are still unread.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use crate::diagnosis::{self, Diagnoser, Diagnosis, causes};
use crate::engine::docker::error::LogError;

/// The number of lines that are kept.
const KEPT: usize = 200;
/// A log of at most so many lines is one message.
const SHORT_LOG: usize = 4;
/// The most bytes that are kept of one line.
const MAX_LINE: usize = 16 << 10;

/// A log that is being written.
#[derive(Debug)]
pub struct LogTail {
    file: File,
    path: Option<PathBuf>,
    partial: Vec<u8>,
    ring: VecDeque<String>,
    diagnoser: Diagnoser,
}

impl LogTail {
    /// Follows a log from the file's present position; `path` is its name, if it has one.
    pub fn new(file: File, path: Option<PathBuf>) -> Self {
        Self { file, path, partial: Vec::new(), ring: VecDeque::new(), diagnoser: Diagnoser::new() }
    }

    /// Its path, if it has one.
    pub fn path(&self) -> Option<&PathBuf> {
        self.path.as_ref()
    }

    /// Reads what was written since the last call.
    pub fn read_on(&mut self) {
        let mut chunk = [0; 16 << 10];
        while let Ok(length @ 1..) = self.file.read(&mut chunk) {
            self.diagnoser.push(&chunk[..length]);
            self.take(&chunk[..length]);
        }
    }

    /// Splits bytes into lines.
    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            self.end_line();
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > MAX_LINE {
            self.end_line();
        }
    }

    /// Ends the current line.
    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.partial)).trim_end().to_owned();
        if line.is_empty() {
            return;
        }
        if self.ring.len() == KEPT {
            self.ring.pop_front();
        }
        self.ring.push_back(line);
    }

    /// Reads the rest, a last line without a line feed included.
    pub fn finish(&mut self) {
        self.read_on();
        self.end_line();
    }

    /// The last message. A log of a few lines is one message over several lines.
    pub fn last_words(&self) -> Option<String> {
        let message =
            |line: &String| diagnosis::redact::message(&diagnosis::log::read(line).text).into_owned();
        if self.ring.len() > SHORT_LOG {
            return self.ring.back().map(message);
        }
        let whole = self.ring.iter().map(message).collect::<Vec<_>>().join(" ");
        (!whole.is_empty()).then_some(whole)
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
mod tests {
    use std::io::{Seek, Write};

    use super::*;
    use crate::diagnosis::causes;

    #[test]
    fn a_growing_log_is_followed_and_its_first_error_kept() {
        let mut writer = tempfile::NamedTempFile::new().unwrap();
        let mut log = LogTail::new(writer.reopen().unwrap(), None);
        write!(writer, "time=\"2026-01-01T00:00:00Z\" level=info msg=\"Starting up\"\nfailed to sta")
            .unwrap();
        log.read_on();
        assert_eq!(log.last_words().as_deref(), Some("Starting up"));
        writer.as_file_mut().seek(std::io::SeekFrom::End(0)).unwrap();
        write!(writer, "rt daemon: Devices cgroup isn't mounted\nlater").unwrap();
        log.finish();
        let error = log.first_error().unwrap();
        assert_eq!(error.text, "failed to start daemon: Devices cgroup isn't mounted");
        assert_eq!(error.cause, Some(causes::CGROUP_V1_DEVICES_NOT_MOUNTED));
        assert!(log.last_words().unwrap().ends_with("later"));
    }
}

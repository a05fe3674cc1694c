//! The log of a daemon that somebody else started, read for its first error once the daemon is dead.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::diagnosis::{CauseId, Diagnoser, causes};
use crate::engine::dockerd::log::first_error;

/// How often a log is polled.
const EVERY: Duration = Duration::from_millis(25);
/// How many bytes of the log's earlier end are read.
const LOG_END: u64 = 1 << 20;
/// How many bytes are read at a time.
const CHUNK: usize = 64 << 10;

/// A log that a thread of its own follows, so that little is left to be read when the daemon dies, and the wait is never
/// delayed by it.
pub(super) struct Log {
    pub(super) path: PathBuf,
    end: Sender<()>,
    reader: JoinHandle<Option<(CauseId, String)>>,
}

/// The state of that thread.
struct Reader {
    file: File,
    diagnoser: Diagnoser,
}

impl Log {
    /// Follows a log from near its end; `None` where it is not a plain file.
    #[expect(clippy::disallowed_methods, reason = "a daemon's log")]
    pub(super) fn open(path: PathBuf) -> Option<Self> {
        let plain =
            |file: &File| file.metadata().ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len());
        let mut file = File::open(&path).ok()?;
        let length = plain(&file)?;
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_END))).ok()?;
        let (end, ended) = channel();
        let reader = Reader { file, diagnoser: Diagnoser::new() };
        Some(Self { path, end, reader: std::thread::spawn(move || reader.run(&ended)) })
    }

    /// Stops following; the first error's cause and text.
    pub(super) fn first_error(self) -> Option<(CauseId, String)> {
        drop(self.end);
        self.reader.join().ok().flatten()
    }
}

impl Reader {
    /// Follows the log until the other end is dropped.
    fn run(mut self, ended: &Receiver<()>) -> Option<(CauseId, String)> {
        while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            self.read_on();
        }
        self.read_on();
        let error = first_error(&self.diagnoser.finish())?;
        Some((error.cause.unwrap_or(causes::UNKNOWN), error.text))
    }

    /// Reads what was written since. What stands before a start belongs to another daemon.
    fn read_on(&mut self) {
        let mut chunk = vec![0; CHUNK];
        while let Ok(length @ 1..) = self.file.read(&mut chunk) {
            let mut bytes = &chunk[..length];
            if let Some(at) = memchr::memmem::rfind(bytes, b"msg=\"Starting up\"") {
                bytes = &bytes[memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |end| end + 1)..];
                self.diagnoser = Diagnoser::new();
            }
            self.diagnoser.push(bytes);
        }
    }
}

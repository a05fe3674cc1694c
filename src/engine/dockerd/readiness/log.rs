//! What did a daemon say that somebody else started, and that is dead now?

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::diagnosis::{CauseId, Diagnoser, causes};
use crate::engine::dockerd::log::first_error;

/// How often a log is read on.
const EVERY: Duration = Duration::from_millis(25);
/// So much of a log's end is read that was there before.
const LOG_END: u64 = 1 << 20;
/// So much is read at a time.
const CHUNK: usize = 64 << 10;

/// A log that is read along by a thread of its own, so that little is left to be read when the daemon dies, and a wait
/// is never late for it.
pub(super) struct Log {
    pub(super) path: PathBuf,
    end: Sender<()>,
    reader: JoinHandle<Option<(CauseId, String)>>,
}

/// What that thread has.
struct Reader {
    file: File,
    diagnoser: Diagnoser,
}

impl Log {
    /// The end of a log that is a plain file.
    #[allow(clippy::disallowed_methods, reason = "a daemon's log, behind the engine's door")]
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

    /// The first error, in its own words, and what it means.
    pub(super) fn first_error(self) -> Option<(CauseId, String)> {
        drop(self.end);
        self.reader.join().ok().flatten()
    }
}

impl Reader {
    /// Reads until nobody wants to know more.
    fn run(mut self, ended: &Receiver<()>) -> Option<(CauseId, String)> {
        while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            self.read_on();
        }
        self.read_on();
        let error = first_error(&self.diagnoser.finish())?;
        Some((error.cause.unwrap_or(causes::UNKNOWN), error.text))
    }

    /// Takes in what came. What stands before a start belongs to another daemon.
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

//! Why Docker-in-Docker fails: a vocabulary of causes, and the diagnosis of logs by it.
//!
//! A log is read from its first real error, not from its last message. A stream is decoded (`decode`) and cut into lines (`lines`), and the
//! wrappers of those with a keyword are removed ([`log`]). A message is harmless (`noise`), means a cause
//! (`signatures`), or is an error without a known cause; `log_state` keeps the first of each, and `conclude` picks the
//! root cause.
//!
//! ```
//! let log: &[u8] = b"failed to start daemon: Devices cgroup isn't mounted\n";
//! let diagnosis = dindcheck_diagnosis::diagnose(log)?;
//! assert_eq!(diagnosis.cause.id, dindcheck_diagnosis::causes::CGROUP_V1_DEVICES_NOT_MOUNTED);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The checks of a live machine name their causes from the same vocabulary ([`causes`]). Nothing here opens a file or
//! depends on the operating system.

mod conclude;
mod decode;
mod keywords;
mod lines;
pub mod log;
mod log_state;
mod logfmt;
mod matcher;
mod noise;
pub mod reason;
pub mod redact;
mod refine;
mod signatures;
mod vocabulary;

use std::io::{ErrorKind, Read};

use serde::{Serialize, Serializer};

pub use decode::NotALog;
pub use lines::LINE_LIMIT;
pub use log_state::{LogLine, Noise};
pub use vocabulary::{Cause, CauseId, Signature, all, cause, causes, explain, find};

use decode::Decoder;
use lines::{Lines, Sink};
use log_state::LogState;

const SCHEMA_VERSION: u32 = 1;
const PIECE: usize = 128 * 1024;

/// The diagnosis of a log.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    /// The root cause; `no-error-found` and `unknown` are possible.
    pub cause: &'static Cause,
    /// The line where it shows first.
    pub first_error: Option<LogLine>,
    /// The last message of a failure, which is what people usually look at.
    pub last_error: Option<LogLine>,
    /// Later failures, the first few and the last.
    pub consequences: Vec<LogLine>,
    /// Harmless messages that read like failures, one of each kind.
    pub ignored_noise: Vec<Noise>,
    /// Causes that this log alone does not rule out.
    pub hint: Option<String>,
}

/// The cause that a single message means by itself; `None` if no signature matches or only consequences do.
pub fn of_message(text: &str) -> Option<CauseId> {
    signatures::meaning(text).filter(|meaning| !meaning.weak).map(|meaning| meaning.cause)
}

impl Diagnosis {
    /// Whether a failure was found.
    pub fn is_failure(&self) -> bool {
        self.cause.id != causes::NO_ERROR_FOUND
    }
}

impl Serialize for Diagnosis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Report {
            schema_version: SCHEMA_VERSION,
            cause: Short {
                id: self.cause.id,
                stage: self.cause.stage,
                meaning: self.cause.meaning,
                remedy: self.cause.remedy,
            },
            first_error: self.first_error.as_ref(),
            last_error: self.last_error.as_ref(),
            consequences: &self.consequences,
            ignored_noise: &self.ignored_noise,
            hint: self.hint.as_deref(),
        }
        .serialize(serializer)
    }
}

#[derive(Serialize)]
struct Report<'a> {
    schema_version: u32,
    cause: Short<'a>,
    first_error: Option<&'a LogLine>,
    last_error: Option<&'a LogLine>,
    consequences: &'a [LogLine],
    ignored_noise: &'a [Noise],
    hint: Option<&'a str>,
}

#[derive(Serialize)]
struct Short<'a> {
    id: CauseId,
    stage: &'a str,
    meaning: &'a str,
    remedy: &'a str,
}

/// Diagnoses a log while it is being written.
#[derive(Debug, Clone, Default)]
pub struct Diagnoser {
    decoder: Decoder,
    lines: Lines,
    state: LogState,
}

impl Sink for LogState {
    fn line(&mut self, number: u64, line: &[u8]) -> bool {
        self.take(number, &String::from_utf8_lossy(line))
    }
}

impl Diagnoser {
    /// A diagnosis of an empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes, which may begin and end in the middle of a line.
    pub fn push(&mut self, bytes: &[u8]) {
        let text = self.decoder.push(bytes);
        self.lines.push(&text, &mut self.state);
    }

    /// Whether enough bytes are there to know whether they are a log.
    pub fn has_decided(&self) -> bool {
        self.decoder.has_decided()
    }

    /// Why the bytes so far are no log; they are diagnosed all the same. What the first 4 KiB say stays.
    pub fn not_a_log(&self) -> Option<NotALog> {
        self.decoder.not_a_log()
    }

    /// The diagnosis of the log so far; more may be pushed afterwards.
    pub fn finish(&mut self) -> Diagnosis {
        if self.decoder.is_undecided() {
            let mut ended = self.clone();
            let text = ended.decoder.decide();
            ended.lines.push(&text, &mut ended.state);
            return ended.finish();
        }
        match self.lines.rest() {
            Some((number, line)) if self.lines.wants(line) => {
                let mut state = self.state.clone();
                state.line(number, line);
                conclude::conclude(&state)
            }
            _ => conclude::conclude(&self.state),
        }
    }
}

/// Diagnoses a whole log in constant memory. Errors are those of the reader; interrupted reads are repeated.
pub fn diagnose(mut reader: impl Read) -> std::io::Result<Diagnosis> {
    let mut diagnoser = Diagnoser::new();
    let mut piece = vec![0; PIECE];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(diagnoser.finish()),
            Ok(length) => diagnoser.push(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

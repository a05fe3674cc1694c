//! Why did it fail, according to the log?
//!
//! The rule behind it: read from the first real error, not from the last message. A stream is cut into
//! [`lines`]; of a line that may tell something the wrappers are peeled off ([`log`]); it is harmless
//! ([`noise`]), or means a cause ([`signatures`]), or is an error that nobody knows. The [`ledger`] keeps
//! the first of each, and [`conclude`] says which of them is the root.
//!
//! The same vocabulary ([`Cause`]) serves the live checks.

mod conclude;
mod ledger;
mod lines;
pub mod log;
mod logfmt;
mod matcher;
mod noise;
mod refine;
mod signatures;
mod vocabulary;
mod words;

use std::io::{ErrorKind, Read};

use serde::{Serialize, Serializer};

pub use ledger::{LogLine, Noise};
pub use lines::LINE_LIMIT;
pub use vocabulary::{Cause, CauseId, NO_ERROR_FOUND, Signature, UNKNOWN, all, cause, explain, find};

use ledger::Ledger;
use lines::{Lines, Sink};

const SCHEMA_VERSION: u32 = 1;
const PIECE: usize = 128 * 1024;

/// What a log says.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    /// The root cause; `no-error-found` and `unknown` are possible.
    pub cause: &'static Cause,
    /// Where it shows first.
    pub first_error: Option<LogLine>,
    /// The last message of a failure, which is what people usually look at.
    pub last_error: Option<LogLine>,
    /// Later failures, the first few and the last.
    pub consequences: Vec<LogLine>,
    /// Messages that look like failures and are none, one of each kind.
    pub ignored_noise: Vec<Noise>,
    /// What the log alone cannot tell.
    pub hint: Option<String>,
}

/// The cause that a single message means by itself.
pub fn of_message(text: &str) -> Option<CauseId> {
    let meaning = signatures::meaning(text).filter(|meaning| !meaning.weak)?;
    all().get(meaning.cause).map(|cause| cause.id)
}

impl Diagnosis {
    /// Whether a failure was found.
    pub fn is_failure(&self) -> bool {
        self.cause.id != NO_ERROR_FOUND
    }
}

impl Serialize for Diagnosis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Report {
            schema_version: SCHEMA_VERSION,
            cause: Short {
                id: self.cause.id,
                stage: &self.cause.stage,
                meaning: &self.cause.meaning,
                remedy: &self.cause.remedy,
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
#[derive(Debug, Default)]
pub struct Diagnoser {
    lines: Lines,
    ledger: Ledger,
}

impl Sink for Ledger {
    fn line(&mut self, number: u64, line: &[u8]) -> bool {
        self.take(number, &String::from_utf8_lossy(line))
    }
}

impl Diagnoser {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes, which may begin and end anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        self.lines.push(bytes, &mut self.ledger);
    }

    /// What the log says so far; more may be pushed afterwards.
    pub fn finish(&mut self) -> Diagnosis {
        match self.lines.rest() {
            Some((number, line)) if self.lines.wants(line) => {
                let mut ledger = self.ledger.clone();
                ledger.line(number, line);
                conclude::conclude(&ledger)
            }
            _ => conclude::conclude(&self.ledger),
        }
    }
}

/// Diagnoses a whole log in constant memory.
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

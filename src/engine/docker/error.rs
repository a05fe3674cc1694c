//! How can the door to Docker fail, and what does a step make of it?

use crate::text::seconds;
use std::fmt;
use std::time::Duration;

use crate::diagnosis::{CauseId, causes};
use crate::engine::docker::tls::Fault;
use crate::facts::endpoint::Endpoint;
use crate::finding::Finding;
use crate::host::HostError;

/// The result of an operation on Docker.
pub type EngineResult<T> = Result<T, EngineError>;

/// The first real error of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogError {
    /// Its line number, from 1.
    pub line: u64,
    /// The message.
    pub text: String,
    /// What it means, where the vocabulary knows it.
    pub cause: Option<CauseId>,
}

/// An operation on Docker that did not come to its end. `doing` is a phrase such as `load the image`.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The user asked for the end.
    #[error("interrupted by {0}")]
    Interrupted(&'static str),
    /// It took longer than it may.
    #[error("{doing}: not done within {}", seconds(*waited))]
    Deadline {
        /// What was waited for.
        doing: String,
        /// How long.
        waited: Duration,
    },
    /// The daemon that we started ended meanwhile.
    #[error("{0}")]
    Died(Box<Death>),
    /// The daemon lives, and did not come to serve.
    #[error("{}", not_serving(endpoint, *waited, *listening))]
    NotServing {
        /// Where it was expected.
        endpoint: Endpoint,
        /// How long it was given.
        waited: Duration,
        /// It accepted a connection and did not answer.
        listening: bool,
        /// The first real error of its log.
        first_error: Option<LogError>,
        /// The last words of its log.
        last_words: Option<String>,
    },
    /// The daemon understood and said no.
    #[error("{doing}: the daemon answered {status}: {message}")]
    Refused {
        /// What was asked.
        doing: String,
        /// HTTP status; 0 where the refusal came in the middle of an accepted request.
        status: u16,
        /// The daemon's words.
        message: String,
    },
    /// Nobody answers at the address.
    #[error("{doing}: {endpoint} does not answer: {reason}")]
    Unreachable {
        /// What was asked.
        doing: String,
        /// Where.
        endpoint: Endpoint,
        /// The words of the system.
        reason: String,
    },
    /// Somebody is there, and we do not come together over TLS.
    #[error("{doing}: {endpoint}: {fault}")]
    Tls {
        /// What was asked.
        doing: String,
        /// Where.
        endpoint: Endpoint,
        /// What is wrong.
        fault: Box<Fault>,
    },
    /// The answer makes no sense.
    #[error("{doing}: the answer is not understood: {reason}")]
    Junk {
        /// What was asked.
        doing: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The daemon's program is not there.
    #[error("{program} is not found in PATH ({path})")]
    NotFound {
        /// The program.
        program: String,
        /// The directories that were searched.
        path: String,
    },
    /// There is no engine, in a plan or a replay.
    #[error("{doing}: not available in a plan or a replay")]
    NotAvailable {
        /// The operation.
        doing: String,
    },
    /// Our own preparations failed: nothing is known about the daemon.
    #[error("{0}")]
    System(#[from] HostError),
}

/// How a daemon ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// `exit code 1`, `killed by SIGKILL`.
    pub status: String,
    /// From its start.
    pub after: Duration,
    /// Its exit code, where it was not killed.
    pub code: Option<i32>,
    /// The first real error of its log.
    pub first_error: Option<LogError>,
    /// The last words of its log.
    pub last_words: Option<String>,
    /// Whether it had answered before.
    pub served: bool,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dockerd ended after {} with {}", seconds(self.after), self.status)?;
        match (&self.first_error, &self.last_words) {
            (Some(error), _) => write!(f, ": {}", error.text),
            (None, Some(line)) => write!(f, "; its last words: {line}"),
            (None, None) => f.write_str(" and said nothing"),
        }
    }
}

/// The words for a daemon that does not serve.
fn not_serving(endpoint: &Endpoint, waited: Duration, listening: bool) -> String {
    let waited = seconds(waited);
    if listening {
        format!("dockerd accepts connections on {endpoint} and did not answer within {waited}")
    } else {
        format!("dockerd runs and did not listen on {endpoint} within {waited}")
    }
}

impl EngineError {
    /// The finding that this error is. `refused` is the cause where the daemon said no, or said nonsense;
    /// `late` where it took too long. What says nothing about the daemon stays an error.
    pub fn into_finding(self, refused: CauseId, late: CauseId) -> anyhow::Result<Finding> {
        let what = self.to_string();
        Ok(match self {
            Self::Interrupted(_) | Self::NotAvailable { .. } | Self::System(_) => return Err(self.into()),
            Self::Died(death) => death.finding(),
            Self::NotServing { endpoint, listening, first_error, last_words, .. } => {
                let plain = if listening { causes::DAEMON_HANGS } else { causes::DAEMON_START_TIMEOUT };
                let finding = Finding::fail(cause_of(first_error.as_ref(), plain), what);
                with_words(finding.with("endpoint", endpoint), first_error.as_ref(), last_words.as_ref())
            }
            Self::Deadline { .. } => Finding::fail(late, what),
            Self::Refused { status, ref message, .. } => {
                Finding::fail(refused, what.clone()).with("status", status).with("message", message)
            }
            Self::Junk { .. } => Finding::fail(refused, what),
            Self::Unreachable { endpoint, reason, .. } => Finding::fail(causes::DAEMON_NOT_REACHABLE, what)
                .with("endpoint", endpoint)
                .with("reason", reason),
            Self::Tls { endpoint, fault, .. } => fault.finding(what, &endpoint)?,
            Self::NotFound { program, path } => Finding::fail(causes::DOCKER_PROGRAM_MISSING, what)
                .with("program", program)
                .with("PATH", path),
        })
    }
}

impl Death {
    /// The finding that a dead daemon is: by the first error of its log, else by when it died.
    pub fn finding(&self) -> Finding {
        let plain = if self.served { causes::DAEMON_DIED_LATER } else { causes::DAEMON_EXITED };
        let finding = Finding::fail(cause_of(self.first_error.as_ref(), plain), self.to_string())
            .with("status", &self.status);
        with_words(finding, self.first_error.as_ref(), self.last_words.as_ref())
    }
}

/// The cause that the log's first error gives, else the plain one.
fn cause_of(error: Option<&LogError>, plain: CauseId) -> CauseId {
    error.and_then(|error| error.cause).unwrap_or(plain)
}

/// The log's own words as evidence.
fn with_words(mut finding: Finding, first: Option<&LogError>, last: Option<&String>) -> Finding {
    if let Some(error) = first {
        finding = finding.with("first_error", &error.text).with("line", error.line);
    }
    match last {
        Some(line) => finding.with("last_words", line),
        None => finding,
    }
}

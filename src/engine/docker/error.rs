//! Errors of operations on Docker, and the findings that they become.

use std::fmt;
use std::time::Duration;

use crate::diagnosis::reason::{self, Advice};
use crate::diagnosis::{CauseId, causes};
use crate::engine::docker::tls::Fault;
use crate::engine::docker::unreached::Unreached;
use crate::facts::endpoint::Endpoint;
use crate::facts::oom::OomAccount;
use crate::finding::Finding;
use crate::host::HostError;
use crate::text::{mebibytes, seconds};

/// The result of an operation on Docker.
pub type EngineResult<T> = Result<T, EngineError>;

/// The first real error of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogError {
    /// Its line number, from 1.
    pub line: u64,
    /// The message.
    pub text: String,
    /// Its cause, where the vocabulary has one.
    pub cause: Option<CauseId>,
}

/// Why an operation on Docker failed. `doing` names the operation, such as `load the image`.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The user's signal, by its name.
    #[error("interrupted by {0}")]
    Interrupted(&'static str),
    /// The deadline passed.
    #[error("{doing}: not done within {}", seconds(*waited))]
    Deadline {
        /// The operation.
        doing: String,
        /// The deadline.
        waited: Duration,
    },
    /// The daemon that we started ended.
    #[error("{0}")]
    Died(Box<Death>),
    /// The kernel killed processes of our own cgroup for memory, and an operation failed: of the daemon, or of its containerd.
    #[error("the kernel killed {kills} of the processes of dockerd for memory ({}): {error}", account.limit_in_words())]
    OomKilled {
        /// What failed.
        error: Box<EngineError>,
        /// How many processes.
        kills: u64,
        /// The limit.
        account: OomAccount,
    },
    /// The limit of memory of our own cgroup was reached again and again, and an operation took too long.
    #[error("dockerd has too little memory ({}): {error}", account.limit_in_words())]
    ShortOfMemory {
        /// What failed.
        error: Box<EngineError>,
        /// The limit.
        account: OomAccount,
    },
    /// The daemon runs, and did not become ready.
    #[error("{}", not_serving(endpoint, *waited, *listening))]
    NotServing {
        /// Where it was to listen.
        endpoint: Endpoint,
        /// How long it was given.
        waited: Duration,
        /// Whether it accepted a connection.
        listening: bool,
        /// The first real error of its log.
        first_error: Option<LogError>,
        /// The last lines of its log.
        last_words: Option<String>,
        /// How many bytes of its log were dropped.
        log_dropped: u64,
    },
    /// The daemon refused the request.
    #[error("{doing}: {}{message}", answered(*status))]
    Refused {
        /// The operation.
        doing: String,
        /// HTTP status; 0 where the refusal came within the body of an accepted request.
        status: u16,
        /// The daemon's message.
        message: String,
    },
    /// Nothing answers at the address.
    #[error("{doing}: {endpoint} does not answer: {}", why.reason)]
    Unreachable {
        /// The operation.
        doing: String,
        /// Where.
        endpoint: Endpoint,
        /// The reason, and what to do.
        why: Box<Unreached>,
    },
    /// TLS failed.
    #[error("{doing}: {endpoint}: {fault}")]
    Tls {
        /// The operation.
        doing: String,
        /// Where.
        endpoint: Endpoint,
        /// The failure.
        fault: Box<Fault>,
    },
    /// The answer is invalid.
    #[error("{doing}: the answer is not understood: {reason}")]
    Junk {
        /// The operation.
        doing: String,
        /// Why it is invalid.
        reason: String,
    },
    /// The daemon's program is missing.
    #[error("{program} is not found in PATH ({path})")]
    NotFound {
        /// The program.
        program: String,
        /// The directories that were searched.
        path: String,
    },
    /// Another dindcheck runs a daemon in the same directories.
    #[error("another dindcheck (run {run}) starts or runs a daemon here that uses {path}")]
    AnotherRun {
        /// Its run.
        run: String,
        /// The path that both daemons would use.
        path: String,
    },
    /// There is no engine, in a plan or a replay.
    #[error("{doing}: not available in a plan or a replay")]
    NotAvailable {
        /// The operation.
        doing: String,
    },
    /// Something that this run brought stays, because it is in use.
    #[error("{what}, stays: {why}; `{command}` removes it")]
    Stays {
        /// What stays.
        what: String,
        /// Who uses it.
        why: String,
        /// The command that removes it.
        command: String,
    },
    /// A system call of our own failed; that says nothing about the daemon.
    #[error("{0}")]
    System(#[from] HostError),
}

/// How a daemon ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// `exit code 1`, `signal SIGKILL`.
    pub status: String,
    /// The time from its start to its end.
    pub after: Duration,
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// The first real error of its log.
    pub first_error: Option<LogError>,
    /// The last lines of its log.
    pub last_words: Option<String>,
    /// How many bytes of its log were dropped.
    pub log_dropped: u64,
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

/// The status of an answer, before its message; nothing where the refusal came within the body of an accepted request.
fn answered(status: u16) -> String {
    if status == 0 { String::new() } else { format!("the daemon answered {status}: ") }
}

/// The message about a daemon that does not become ready.
fn not_serving(endpoint: &Endpoint, waited: Duration, listening: bool) -> String {
    let waited = seconds(waited);
    if listening {
        format!("dockerd accepts connections on {endpoint} and did not answer within {waited}")
    } else {
        format!("dockerd runs and did not listen on {endpoint} within {waited}")
    }
}

impl EngineError {
    /// Turns it into a finding. `refused` is the cause where the daemon refused or gave an invalid answer, `late` where the
    /// deadline passed.
    ///
    /// # Errors
    ///
    /// The error itself, where it says nothing about the daemon: interrupted, not available, or a system call of our own.
    pub fn into_finding(self, refused: CauseId, late: CauseId) -> anyhow::Result<Finding> {
        let what = self.to_string();
        Ok(match self {
            Self::Interrupted(_) | Self::NotAvailable { .. } | Self::Stays { .. } | Self::System(_) => {
                return Err(self.into());
            }
            Self::Died(death) => death.finding(),
            Self::OomKilled { error, kills, account } => {
                let finding = Finding::fail(causes::OOM_KILLED, what).with("killed", kills);
                let finding = finding.with("limit", account.limit_in_words()).with("failed", error);
                let more = if account.limit.is_some() {
                    ""
                } else {
                    " (of the cgroup further up that has the limit)"
                };
                finding.hint(format!(
                    "start the outer container with `--memory=512m` or without a limit{more}; in Kubernetes raise `resources.limits.memory`"
                ))
            }
            Self::ShortOfMemory { error, account } => Finding::fail(causes::MEMORY_LIMIT_LOW, what)
                .with("limit", account.limit_in_words())
                .with("limit_reached", account.hits)
                .with("failed", error)
                .hint("start the outer container with `--memory=512m` or without a limit; in Kubernetes raise `resources.limits.memory`"),
            Self::NotServing { endpoint, listening, first_error, last_words, log_dropped, .. } => {
                let plain = if listening { causes::DAEMON_HANGS } else { causes::DAEMON_START_TIMEOUT };
                let finding = by_log(what, first_error.as_ref(), None, plain);
                let finding =
                    with_log(finding.with("endpoint", endpoint), first_error.as_ref(), last_words.as_ref());
                with_dropped(finding, log_dropped)
            }
            Self::Deadline { .. } => Finding::fail(late, what),
            Self::Refused { status, ref message, .. } => {
                explained(what.clone(), message, refused).with("status", status).with("message", message)
            }
            Self::Junk { .. } => Finding::fail(refused, what),
            Self::Unreachable { endpoint, why, .. } => {
                let hint = why.hint;
                let finding =
                    Finding::fail(why.cause, what).with("endpoint", endpoint).with("reason", why.reason);
                hint.into_iter().fold(finding, Finding::hint)
            }
            Self::Tls { endpoint, fault, .. } => fault.finding(what, &endpoint)?,
            Self::AnotherRun { run, path } => {
                Finding::fail(causes::DAEMON_ALREADY_RUNNING, what).with("run", run).with("path", path)
            }
            Self::NotFound { program, path } => Finding::fail(causes::DOCKER_PROGRAM_MISSING, what)
                .with("program", program)
                .with("PATH", path),
        })
    }
}

impl Death {
    /// The finding about the dead daemon: by the first error of its log, else by whether it had served.
    pub fn finding(&self) -> Finding {
        let plain = if self.served { causes::DAEMON_DIED_LATER } else { causes::DAEMON_EXITED };
        let finding = match self.code {
            Some(_) => by_log(self.to_string(), self.first_error.as_ref(), self.last_words.as_deref(), plain),
            // What it logged before is not why a signal ended it.
            None => Finding::fail(plain, self.to_string()).hint(format!(
                "dockerd did not end by itself: {} ended it. Look for what sends it (a supervisor, a time-out, `kill`); the kernel does where memory runs out, further up than this container can see: `dmesg | grep -i 'killed process'` on the host",
                self.status
            )),
        };
        let finding = finding.with("status", &self.status);
        with_dropped(with_log(finding, self.first_error.as_ref(), self.last_words.as_ref()), self.log_dropped)
    }
}

/// A failure with the cause of a message and what mends it; `plain` is the cause if nobody knows the message.
pub fn explained(what: String, message: &str, plain: CauseId) -> Finding {
    let (cause, hint) = reason::advise(message).or(plain);
    let finding = Finding::fail(cause, what);
    match hint {
        Some(hint) => finding.hint(hint),
        None => finding,
    }
}

/// The same for a message whose cause the log has told, which is the last one that is in question.
fn explained_as(what: String, message: &str, cause: CauseId) -> Finding {
    match reason::advise(message) {
        Advice { cause: found, hint: Some(hint), .. } => {
            Finding::fail(found.unwrap_or(cause), what).hint(hint)
        }
        Advice { .. } => Finding::fail(cause, what),
    }
}

/// A failure of the daemon by its log: by the first error, else by the last words of a daemon that ended.
fn by_log(what: String, first: Option<&LogError>, last: Option<&str>, plain: CauseId) -> Finding {
    match (first, last) {
        (Some(LogError { text, cause: Some(cause), .. }), _) => explained_as(what, text, *cause),
        (Some(LogError { text, cause: None, .. }), _) => explained(what, text, plain),
        (None, Some(last)) => explained(what, last, plain),
        (None, None) => Finding::fail(plain, what),
    }
}

/// Adds how much of the log was dropped as evidence, if anything was.
pub fn with_dropped(finding: Finding, bytes: u64) -> Finding {
    if bytes == 0 { finding } else { finding.with("log_dropped", mebibytes(bytes)) }
}

/// Adds the log's first error and last lines as evidence.
fn with_log(mut finding: Finding, first: Option<&LogError>, last: Option<&String>) -> Finding {
    if let Some(error) = first {
        finding = finding.with("first_error", &error.text).with("line", error.line);
    }
    match last {
        Some(line) => finding.with("last_words", line),
        None => finding,
    }
}

//! What does the schema say of types that write themselves?

use schemars::JsonSchema;
use serde::Serialize;

/// The daemon's log, read from its first error.
#[derive(Serialize, JsonSchema)]
pub(super) struct Diagnosis {
    /// Version of this structure.
    schema_version: u32,
    /// The root cause; `no-error-found` and `unknown` are possible.
    cause: Cause,
    /// Where it shows first.
    first_error: Option<LogLine>,
    /// The last message of a failure.
    last_error: Option<LogLine>,
    /// Later failures.
    consequences: Vec<LogLine>,
    /// Messages that look like failures and are none.
    ignored_noise: Vec<Noise>,
    /// What the log alone cannot tell.
    hint: Option<String>,
}

/// A cause of the vocabulary.
#[derive(Serialize, JsonSchema)]
struct Cause {
    /// Never renamed.
    id: String,
    /// The part of the ladder that fails first.
    stage: String,
    /// What is wrong.
    meaning: String,
    /// What to do.
    remedy: String,
}

/// A line of the log.
#[derive(Serialize, JsonSchema)]
struct LogLine {
    /// Counted from 1.
    line: u64,
    /// Its text.
    text: String,
}

/// A line that was passed over.
#[derive(Serialize, JsonSchema)]
struct Noise {
    /// Counted from 1.
    line: u64,
    /// Its text.
    text: String,
    /// The kind of harmless message that it is.
    kind: String,
}

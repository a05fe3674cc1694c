//! The schema of the JSON report. What another crate serialises is described here, since its types derive no schema.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Serialize;

use super::Document;

/// The schema of [`Document`], JSON Schema 2020-12.
pub fn schema() -> serde_json::Value {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Document>()
        .to_value()
}

/// The diagnosis of the daemon's log.
#[derive(Serialize, JsonSchema)]
pub(super) struct Diagnosis {
    /// Version of this structure.
    schema_version: u32,
    /// The root cause; `no-error-found` and `unknown` are possible.
    cause: Cause,
    /// The line where the cause shows first; null in a healthy log.
    first_error: Option<LogLine>,
    /// The last message of a failure.
    last_error: Option<LogLine>,
    /// Later failures.
    consequences: Vec<LogLine>,
    /// Harmless messages that read like failures.
    ignored_noise: Vec<Noise>,
    /// Causes that the log alone does not rule out.
    hint: Option<String>,
}

/// A cause of the vocabulary.
#[derive(Serialize, JsonSchema)]
struct Cause {
    /// The id; never renamed.
    id: String,
    /// What fails first, such as `cgroup` or `storage`.
    stage: String,
    /// What is wrong.
    meaning: String,
    /// What to do.
    remedy: String,
}

/// A line of the log.
#[derive(Serialize, JsonSchema)]
struct LogLine {
    /// The number of the line, from 1.
    line: u64,
    /// The text.
    text: String,
}

/// A harmless message.
#[derive(Serialize, JsonSchema)]
struct Noise {
    /// The number of the line, from 1.
    line: u64,
    /// The text.
    text: String,
    /// What kind of message it is.
    kind: String,
}

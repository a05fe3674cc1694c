//! Which causes are there, and what is to be said about each?
//!
//! The words are in causes.yaml; here they are read once and found by id.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize, Serializer};

use crate::yaml::{self, Limits};

const TEXT: &str = include_str!("causes.yaml");
const LIMITS: Limits = Limits { bytes: 256 * 1024, depth: 8 };

/// The name of a cause: kebab-case, never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CauseId(&'static str);

impl CauseId {
    /// For constants in steps; a registry test checks that the vocabulary has each of them.
    pub const fn new(id: &'static str) -> Self {
        Self(id)
    }

    /// The id as text.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for CauseId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl Serialize for CauseId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

/// A healthy log, or one with harmless messages only.
pub const NO_ERROR_FOUND: CauseId = CauseId::new("no-error-found");
/// An error that no cause explains.
pub const UNKNOWN: CauseId = CauseId::new("unknown");

/// Why Docker-in-Docker fails, and what makes it work.
#[derive(Debug, Clone, Serialize)]
pub struct Cause {
    /// Its name.
    pub id: CauseId,
    /// The part of the ladder that fails first.
    pub stage: String,
    /// What is wrong.
    pub meaning: String,
    /// A command or setting that can be copied.
    pub remedy: String,
    /// Where the fact can be read, or how it was learnt.
    pub source: String,
    /// How it looks in a log; `None` where no log names it.
    pub shows: Option<String>,
    /// The step that finds it on the machine itself.
    pub live: Option<String>,
    /// What a log alone cannot always tell from it.
    pub neighbours: Vec<String>,
    /// What log messages say that mean it.
    #[serde(skip)]
    pub signatures: Vec<Signature>,
}

/// What a message says that means a cause.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// A regular expression on the bare message, without regard to case.
    pub text: String,
    /// A message that says this too means something else.
    pub unless: Option<String>,
    /// It only says what came of an earlier failure.
    #[serde(default)]
    pub weak: bool,
    /// It counts on a warning as well.
    #[serde(default)]
    pub quiet: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    stage: String,
    meaning: String,
    remedy: String,
    source: String,
    shows: Option<String>,
    live: Option<String>,
    #[serde(default)]
    neighbours: Vec<String>,
    #[serde(default)]
    signatures: Vec<Signature>,
}

impl From<Entry> for Cause {
    fn from(entry: Entry) -> Self {
        // Leaked once for the life of the program: the vocabulary is a static.
        Self {
            id: CauseId(entry.id.leak()),
            stage: entry.stage,
            meaning: entry.meaning,
            remedy: entry.remedy,
            source: entry.source,
            shows: entry.shows,
            live: entry.live,
            neighbours: entry.neighbours,
            signatures: entry.signatures,
        }
    }
}

static CAUSES: LazyLock<Vec<Cause>> = LazyLock::new(|| match yaml::from_str::<Vec<Entry>>(TEXT, LIMITS) {
    Ok(entries) => entries.into_iter().map(Cause::from).collect(),
    Err(error) => panic!("causes.yaml is part of this program and does not read: {error}"),
});

static INDEX: LazyLock<HashMap<&'static str, usize>> =
    LazyLock::new(|| CAUSES.iter().enumerate().map(|(index, cause)| (cause.id.as_str(), index)).collect());

/// All causes, in the order in which their signatures are tried.
pub fn all() -> &'static [Cause] {
    &CAUSES
}

/// The cause of that name, if there is one.
pub fn find(id: &str) -> Option<&'static Cause> {
    INDEX.get(id).map(|&index| &CAUSES[index])
}

/// What is to be said about a cause. A registry test keeps the source free of ids that the vocabulary lacks; a report
/// with one of them says `unknown` rather than nothing.
pub fn cause(id: CauseId) -> &'static Cause {
    find(id.as_str()).or_else(|| find(UNKNOWN.as_str())).unwrap_or(&CAUSES[0])
}

/// A cause in full, for people.
pub fn explain(cause: &Cause) -> String {
    let others = cause.neighbours.join(", ");
    let parts = [
        ("Shows in a log as", cause.shows.as_deref().unwrap_or_default()),
        ("Found by the step", cause.live.as_deref().unwrap_or_default()),
        ("A log alone may mean as well", others.as_str()),
        ("Remedy", cause.remedy.as_str()),
        ("Source", cause.source.as_str()),
    ];
    let written = parts.iter().filter(|(_, text)| !text.is_empty());
    let written: String = written.map(|(title, text)| format!("\n{title}:\n  {text}\n")).collect();
    format!("{} ({})\n\n{}\n{written}", cause.id, cause.stage, cause.meaning)
}

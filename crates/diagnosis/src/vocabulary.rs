//! The vocabulary of causes: one constant each, and a table of what is known about them.
//!
//! Both are generated from causes.yaml when this crate is built.

use std::fmt;

use serde::{Serialize, Serializer};

/// A cause of the vocabulary.
///
/// A value comes from a constant of [`causes`], or from looking a name up with [`find`]; so each has an entry in the
/// vocabulary, and a cause that does not exist does not compile:
///
/// ```
/// use dindcheck_diagnosis::{CauseId, causes};
/// const CAUSE: CauseId = causes::CGROUP_V1_DEVICES_NOT_MOUNTED;
/// assert_eq!(CAUSE.as_str(), "cgroup-v1-devices-not-mounted");
/// ```
///
/// ```compile_fail,E0425
/// use dindcheck_diagnosis::{CauseId, causes};
/// const CAUSE: CauseId = causes::CGROUP_V1_DEVICES_NOT_MOUNTD;
/// assert_eq!(CAUSE.as_str(), "cgroup-v1-devices-not-mounted");
/// ```
///
/// The order is that of the vocabulary, in which signatures are tried.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CauseId(u16);

impl CauseId {
    /// The id as text: kebab-case, never renamed.
    pub const fn as_str(self) -> &'static str {
        ALL[self.0 as usize].name
    }
}

impl fmt::Debug for CauseId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CauseId({})", self.as_str())
    }
}

impl fmt::Display for CauseId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for CauseId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One constant for each cause, named as its id.
pub mod causes {
    use super::CauseId;

    include!(concat!(env!("OUT_DIR"), "/causes.rs"));
}

/// Why Docker-in-Docker fails, and what makes it work.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Cause {
    /// Which cause it is.
    pub id: CauseId,
    #[serde(skip)]
    name: &'static str,
    /// The part of the ladder that fails first.
    pub stage: &'static str,
    /// What is wrong.
    pub meaning: &'static str,
    /// A command or setting that can be copied.
    pub remedy: &'static str,
    /// Where the fact is documented, or how it was measured.
    pub source: &'static str,
    /// How it looks in a log; `None` where no log names it.
    pub shows: Option<&'static str>,
    /// The step that finds it on the machine itself.
    pub live: Option<&'static str>,
    /// Causes that a log alone cannot always tell from this one.
    pub neighbours: &'static [CauseId],
    /// What log messages say that mean it.
    #[serde(skip)]
    pub signatures: &'static [Signature],
}

/// What a message says that means a cause.
#[derive(Debug, Clone, Copy)]
pub struct Signature {
    /// A regular expression on the bare message, without regard to case.
    pub text: &'static str,
    /// A message that matches this too means something else.
    pub unless: Option<&'static str>,
    /// It only reports a consequence of an earlier failure.
    pub weak: bool,
    /// It counts on a warning as well.
    pub quiet: bool,
}

static ALL: &[Cause] = include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// All causes, in the order in which their signatures are tried.
pub const fn all() -> &'static [Cause] {
    ALL
}

/// The cause with this id; `None` if the vocabulary has none.
pub fn find(id: &str) -> Option<&'static Cause> {
    ALL.iter().find(|cause| cause.name == id)
}

/// What is known about a cause.
pub const fn cause(id: CauseId) -> &'static Cause {
    &ALL[id.0 as usize]
}

/// A cause in full, for people.
pub fn explain(cause: &Cause) -> String {
    let others: Vec<&str> = cause.neighbours.iter().map(|other| other.as_str()).collect();
    let others = others.join(", ");
    let parts = [
        ("Shows in a log as", cause.shows.unwrap_or_default()),
        ("Found by the step", cause.live.unwrap_or_default()),
        ("A log alone may mean as well", others.as_str()),
        ("Remedy", cause.remedy),
        ("Source", cause.source),
    ];
    let written = parts.iter().filter(|(_, text)| !text.is_empty());
    let written: String = written.map(|(title, text)| format!("\n{title}:\n  {text}\n")).collect();
    format!("{} ({})\n\n{}\n{written}", cause.id, cause.stage, cause.meaning)
}

//! Profiles: what a run requires of the environment, how it starts the daemon, and what the test container does.
//!
//! A profile is a YAML file. Every key is optional; `extends` names the profile that the other values come from. Unknown
//! keys are refused with line and column.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use crate::finding::{Level, Reach};

pub use sources::{built_in, built_in_text, default_skips, load};

mod layers;
mod raw;
mod sources;

/// How the failure of a step counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As a failure.
    Require,
    /// As a warning; the run goes on.
    Warn,
    /// The step does not run.
    Skip,
}

/// Which repairs may be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Grant {
    /// No repairs: nothing is changed.
    None,
    /// Repairs that affect this container alone.
    Container,
    /// Also repairs that affect the host.
    Host,
}

impl Grant {
    /// Whether a repair of this reach may be applied.
    pub fn allows(self, reach: Reach) -> bool {
        match self {
            Self::None => false,
            Self::Container => reach == Reach::Container,
            Self::Host => true,
        }
    }
}

/// How the findings of a cause count, instead of the level that the step gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// As no problem.
    Pass,
    /// As a warning.
    Warn,
    /// As a failure.
    Fail,
}

impl From<Weight> for Level {
    fn from(weight: Weight) -> Self {
        match weight {
            Weight::Pass => Self::Pass,
            Weight::Warn => Self::Warn,
            Weight::Fail => Self::Fail,
        }
    }
}

/// What an entrypoint does if the daemon dies before its command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DaemonDeath {
    /// Report it; the command goes on.
    Report,
    /// Restart the daemon, a few times.
    Restart,
    /// Stop the command, and exit with 1.
    Stop,
}

/// A profile with the values of all keys.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// The name, or the file that it was read from.
    pub name: String,
    /// What the profile is for.
    pub description: String,
    /// How each step counts; other steps are required.
    pub steps: BTreeMap<String, Mode>,
    /// How the findings of a cause count; for other causes the step decides.
    pub causes: BTreeMap<String, Weight>,
    /// Which repairs may be applied.
    pub repair: Grant,
    /// The cgroup controllers.
    pub controllers: Controllers,
    /// The room that the data root must have.
    pub storage: Storage,
    /// What must be reachable from an inner container.
    pub network: Network,
    /// The inner daemon.
    pub daemon: Daemon,
    /// The test image.
    pub image: Image,
    /// The test container.
    pub container: Container,
    /// The format of the report on stdout, by its name.
    pub format: String,
}

/// The cgroup controllers that must or should exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Controllers {
    /// A missing one is a failure. On cgroup v1 the engine always needs `devices`.
    pub required: Vec<String>,
    /// A missing one is a warning.
    pub wanted: Vec<String>,
}

/// The room that the data root must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Storage {
    /// Free space, in MiB.
    pub min_free_mib: u64,
    /// Free inodes, if the file system counts them.
    pub min_free_inodes: u64,
}

/// What must be reachable from an inner container; empty by default, since dindcheck needs no internet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Names that must resolve.
    pub names: Vec<String>,
    /// `host:port` that must accept a TCP connection.
    pub endpoints: Vec<String>,
}

/// How the inner daemon is started and stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Daemon {
    /// The program: a name to find in PATH, or a path.
    pub command: String,
    /// Its arguments; they follow those that dindcheck adds.
    #[serde(serialize_with = "as_shown")]
    pub args: Vec<String>,
    /// `--data-root`; by default dockerd's own.
    pub data_root: Option<PathBuf>,
    /// Whether to start it with `--debug`.
    pub debug: bool,
    /// How long it may take from its start to its first answer.
    #[serde(serialize_with = "as_human")]
    pub start_timeout: Duration,
    /// How long it may take to end after SIGTERM; SIGKILL follows.
    #[serde(serialize_with = "as_human")]
    pub stop_timeout: Duration,
    /// What an entrypoint does if the daemon dies before the command ends.
    pub on_death: DaemonDeath,
}

/// The test image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Image {
    /// `builtin`, or an image reference.
    pub reference: String,
    /// How long the pull or the load may take.
    #[serde(serialize_with = "as_human")]
    pub timeout: Duration,
}

/// The test container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Container {
    /// The command; if empty, the image's own (the probe, in the built-in image).
    pub command: Vec<String>,
    /// The exit code that is expected.
    pub exit_code: i64,
    /// A text that the output must contain.
    pub output: Option<String>,
    /// How long it may take from its creation to its end.
    #[serde(serialize_with = "as_human")]
    pub timeout: Duration,
    /// Whether an inner privileged container must be able to run a dockerd with a container of its own.
    pub third_level: bool,
}

/// Arguments of dockerd, without values that may be secrets: a profile is serialized only to be shown.
fn as_shown<S: serde::Serializer>(args: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    crate::redact::arguments(args).serialize(serializer)
}

/// Writes a duration as people do: `1m 30s`.
fn as_human<S: serde::Serializer>(duration: &Duration, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(&humantime::format_duration(*duration))
}

impl Profile {
    /// Refuses invalid values that the types accept.
    fn validate(&self) -> anyhow::Result<()> {
        let name = &self.name;
        for id in self.causes.keys() {
            ensure!(
                crate::diagnosis::find(id).is_some(),
                "profile {name}: causes: `{id}` is not a valid cause; `dindcheck explain --list` lists them"
            );
        }
        ensure!(!self.daemon.command.is_empty(), "profile {name}: daemon.command is empty");
        for (key, value) in [
            ("daemon.start_timeout", self.daemon.start_timeout),
            ("container.timeout", self.container.timeout),
        ] {
            ensure!(!value.is_zero(), "profile {name}: {key} is zero");
        }
        Ok(())
    }
}

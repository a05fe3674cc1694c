//! What does a profile say, and how do profiles build on each other?
//!
//! A profile is a YAML file: what is wanted of the environment, how the daemon is started, what the test
//! container does. Every key may be left out; `extends` names the profile that fills the gaps. Unknown keys
//! are refused with line and column.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use crate::finding::{Level, Reach};

pub use sources::{built_in, built_in_text, load};

mod layers;
mod raw;
mod sources;

/// How a step counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It must pass.
    Require,
    /// Its failures are reported as warnings, and the run goes on.
    Warn,
    /// It does not run.
    Skip,
}

/// What the machine may be changed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Grant {
    /// Nothing is changed.
    None,
    /// Repairs that this container alone feels.
    Container,
    /// Also repairs that the host feels.
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

/// How a finding of a cause counts, whatever the step thinks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Not as a problem.
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

/// What an entrypoint does where the daemon dies before its command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DaemonDeath {
    /// It says so, and the command goes on.
    Report,
    /// It starts the daemon again, a few times.
    Restart,
    /// It ends the command, and itself with 1.
    Stop,
}

/// A profile with every question answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// Its name, or the file it was read from.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// How each step counts; a step that is not named is required.
    pub steps: BTreeMap<String, Mode>,
    /// How findings of a cause count, where the profile disagrees with the step.
    pub causes: BTreeMap<String, Weight>,
    /// What may be repaired.
    pub repair: Grant,
    /// Controllers.
    pub controllers: Controllers,
    /// The data root's needs.
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

/// Which cgroup controllers are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Controllers {
    /// Their absence is a failure. `devices` is always among what the engine needs on cgroup v1.
    pub required: Vec<String>,
    /// Their absence is a warning.
    pub wanted: Vec<String>,
}

/// What the data root must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Storage {
    /// Free space in MiB.
    pub min_free_mib: u64,
    /// Free inodes, where the file system counts them.
    pub min_free_inodes: u64,
}

/// What must be reachable from an inner container; empty unless a profile says so, since dindcheck works
/// without any internet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Names that must resolve.
    pub names: Vec<String>,
    /// `host:port` that must accept a TCP connection.
    pub endpoints: Vec<String>,
}

/// How the inner daemon is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Daemon {
    /// The program: a name to be found in PATH, or a path.
    pub command: String,
    /// Its arguments, after those that dindcheck adds.
    pub args: Vec<String>,
    /// `--data-root`, where it is not dockerd's own choice.
    pub data_root: Option<PathBuf>,
    /// Whether it is started with `--debug`.
    pub debug: bool,
    /// From its start to its first answer.
    #[serde(serialize_with = "as_human")]
    pub start_timeout: Duration,
    /// From SIGTERM to its end; SIGKILL follows.
    #[serde(serialize_with = "as_human")]
    pub stop_timeout: Duration,
    /// Where it dies before the command of an entrypoint.
    pub on_death: DaemonDeath,
}

/// The image that is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Image {
    /// `builtin`, or an image reference.
    pub reference: String,
    /// For the pull or load.
    #[serde(serialize_with = "as_human")]
    pub timeout: Duration,
}

/// What the test container does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Container {
    /// Its command; empty: the image's own (the probe, in the built-in image).
    pub command: Vec<String>,
    /// The exit code that is expected.
    pub exit_code: i64,
    /// A text that its output must contain.
    pub output: Option<String>,
    /// From its creation to its end.
    #[serde(serialize_with = "as_human")]
    pub timeout: Duration,
    /// Whether an inner privileged container must be able to run a dockerd, and a container under it.
    pub third_level: bool,
}

/// Durations as people write them.
fn as_human<S: serde::Serializer>(duration: &Duration, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(&humantime::format_duration(*duration))
}

impl Profile {
    /// Refuses what the types cannot.
    fn validate(&self) -> anyhow::Result<()> {
        let name = &self.name;
        for id in self.causes.keys() {
            ensure!(
                crate::diagnosis::find(id).is_some(),
                "profile {name}: causes: there is no cause {id}; `dindcheck explain --list` names them"
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

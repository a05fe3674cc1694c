//! The request as it was typed, and the options of a run that every layer below the plan may know.

use serde::{Deserialize, Serialize};

use crate::facts::daemon::Invocation;
use crate::facts::endpoint::Endpoint;
use crate::profile::{Grant, Profile};
use crate::text::any_path::AnyPath;

/// The arguments that a plan is made from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct PlanRequest {
    /// `--profile`: a name or a file.
    pub profile: Option<AnyPath>,
    /// `--repair`.
    pub repair: Option<Grant>,
    /// `--until`: the last step to run.
    pub until: Option<String>,
    /// `--only`: the steps to run.
    pub only: Vec<String>,
    /// `--keep-going`.
    pub keep_going: bool,
    /// `--keep-daemon`.
    pub keep_daemon: bool,
    /// `--attach`.
    pub attach: Option<String>,
    /// `--image`.
    pub image: Option<String>,
    /// `--format`: the name of a format.
    pub format: Option<String>,
    /// Steps of the environment phase only (a replay).
    pub environment_only: bool,
    /// In a replay: the steps of the recording, as no other step can be answered from it.
    #[serde(skip)]
    pub recorded_steps: Option<Vec<String>>,
    /// Further arguments of dockerd.
    pub daemon_args: Vec<String>,
    /// Start the daemon without `--debug`, whatever the profile says, since it is to live long.
    pub quiet_daemon: bool,
}

/// The image that the workload runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageChoice {
    /// Made in memory from this binary: needs no registry.
    Builtin,
    /// A reference; the image is pulled if it is not present.
    Reference(String),
}

/// What a step needs that the run prepares once, for all steps that need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The version of dockerd, which is asked for when the run starts, since the answer takes a while.
    DockerdVersion,
    /// Limits of memory, processes and CPU on the first container.
    Limits,
    /// A volume and a tmpfs in the first container.
    Storage,
    /// A published port of the first container, and destinations that it connects to.
    Network,
    /// The first container restarted, with a neighbour beside it.
    Restart,
    /// An inner privileged container.
    Privileged,
}

/// The options of a run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// A short id of this run; whatever dindcheck creates carries it.
    pub run: String,
    /// The profile, overridden by the arguments.
    pub profile: Profile,
    /// A running daemon to use instead of starting one.
    pub attach: Option<Endpoint>,
    /// The image to run.
    pub image: ImageChoice,
    /// Leave the inner daemon running after success.
    pub keep_daemon: bool,
    /// The ids of the steps that run, in order.
    pub runs: Vec<&'static str>,
    /// What these steps need.
    pub needs: Vec<Need>,
}

impl RunOptions {
    /// Whether the step of this id runs.
    pub fn runs(&self, id: &str) -> bool {
        self.runs.contains(&id)
    }

    /// Whether a step that runs needs this.
    pub fn needs(&self, need: Need) -> bool {
        self.needs.contains(&need)
    }

    /// How the inner daemon is started.
    pub fn daemon(&self) -> Invocation<'_> {
        let daemon = &self.profile.daemon;
        Invocation {
            command: &daemon.command,
            args: &daemon.args,
            data_root: daemon.data_root.as_deref(),
            debug: daemon.debug,
        }
    }
}

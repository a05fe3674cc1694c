//! The interface to Docker, [`Engine`]: an inner daemon that is started or attached to, and what runs under it.
//!
//! Its methods are plain calls with a deadline each; the user's signals and the death of the daemon end every one of them
//! early. Only the engine waits asynchronously.

use std::time::Duration;

use crate::diagnosis::Diagnosis;
use crate::facts::endpoint::Endpoint;
use crate::options::RunOptions;

pub mod cleanup;
pub mod containers;
pub mod docker;
pub mod dockerd;
#[doc(hidden)]
pub mod fake;
pub mod image;
pub mod live;
mod no_engine;

pub use containers::restart_pair::{PairRun, RestartPair};
pub use containers::{ContainerRun, ContainerSpec, Stage};
pub use docker::error::{Death, EngineError, EngineResult};
pub use image::build::Built;
pub use no_engine::NoEngine;

/// The label of everything that dindcheck creates; its value is the run's id.
pub const LABEL: &str = "dindcheck.run";

/// Operations on Docker.
pub trait Engine {
    /// Whether a daemon was started or attached to, so that there is something to tear down.
    fn is_used(&self) -> bool;
    /// What of ours could not be removed, for people.
    fn leftovers(&self) -> Vec<String>;
    /// The diagnosis of the daemon's log, after the first failure that may be the daemon's.
    fn diagnosis(&self) -> Option<Diagnosis>;

    /// Starts dockerd and waits until it answers, or attaches to the daemon of the options.
    fn start(&self, options: &RunOptions) -> EngineResult<Started>;
    /// Asks for the daemon's versions; from then on every request carries the version agreed on.
    fn negotiate(&self, within: Duration) -> EngineResult<Versions>;
    /// The answer to `GET /info`, unchanged.
    fn info(&self, within: Duration) -> EngineResult<serde_json::Value>;
    /// The answer to `GET /networks/bridge`, unchanged; `None` where the daemon has no default network.
    fn default_network(&self, within: Duration) -> EngineResult<Option<serde_json::Value>>;
    /// Loads the built-in image; its reference.
    fn load_builtin(&self, options: &RunOptions) -> EngineResult<String>;
    /// Inspects an image; `None` where the daemon has none of this name.
    fn find_image(&self, reference: &str, within: Duration) -> EngineResult<Option<serde_json::Value>>;
    /// Pulls an image; `progress` is called with a line now and then.
    fn pull(&self, reference: &str, within: Duration, progress: &dyn Fn(&str)) -> EngineResult<()>;
    /// Runs a container to its end and removes it. Errors are in the result, with the stage that was reached.
    fn run(&self, options: &RunOptions, spec: &ContainerSpec, within: Duration) -> ContainerRun;
    /// Restarts a container that was kept, runs others beside it, and removes them all.
    fn run_pair(&self, options: &RunOptions, pair: &RestartPair, within: Duration) -> PairRun;
    /// Builds an image from the built-in one.
    fn build(&self, options: &RunOptions, within: Duration) -> EngineResult<Built>;
    /// Removes what is ours, and stops the daemon that we started unless `keep_daemon`.
    fn tear_down(&self, options: &RunOptions, keep_daemon: bool) -> TornDown;
}

/// A daemon that answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Started {
    /// Where it answers.
    pub endpoint: Endpoint,
    /// The time from its start to its first answer.
    pub took: Duration,
    /// The process that we started; `None` where we attached.
    pub pid: Option<i32>,
    /// Its command line; empty where we attached.
    pub command: Vec<String>,
    /// Its log, where it is kept with the daemon.
    pub log: Option<String>,
    /// What was removed of earlier runs that were killed before they could clean up.
    pub recovered: Vec<String>,
}

/// The versions of `GET /version`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    /// The engine's own version.
    pub engine: String,
    /// Its newest API version.
    pub max: String,
    /// Its oldest API version; empty where it reports none.
    pub min: String,
    /// The API version that is used; `None` where there is none in common.
    pub used: Option<String>,
}

/// The result of a teardown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TornDown {
    /// What was removed, for people.
    pub removed: Vec<String>,
    /// What of ours is left, for people.
    pub left: Vec<String>,
    /// What this run brought, and others use by now, for people.
    pub in_use: Vec<String>,
    /// How the daemon ended.
    pub daemon: DaemonEnd,
    /// How many bytes of its log were dropped.
    pub log_dropped: u64,
}

/// How a daemon ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DaemonEnd {
    /// There was none.
    #[default]
    None,
    /// It was not ours, so it runs on.
    Attached(Endpoint),
    /// It was kept, as requested.
    Kept {
        /// Where it answers.
        endpoint: Endpoint,
        /// Its process.
        pid: i32,
    },
    /// It had died before.
    Dead(Death),
    /// It stopped after SIGTERM, within this time.
    Stopped(Duration),
    /// It had to be killed, after this time.
    Killed(Duration),
    /// It does not end even by SIGKILL; its pid.
    StillThere(i32),
}

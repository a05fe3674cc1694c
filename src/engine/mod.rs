//! How is Docker reached? Through this door alone; the only place that waits asynchronously.
//!
//! [`Engine`] is the door: an inner daemon that we start or attach to, and what runs under it. Its methods are
//! plain calls with a deadline each; an interrupt, or the death of the daemon, ends every one of them early.

use crate::facts::endpoint::Endpoint;
use std::time::Duration;

use crate::diagnosis::Diagnosis;
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

pub use containers::restart_pair::{Pair, Together};
pub use containers::{ContainerRun, ContainerSpec, Stage};
pub use docker::error::{Death, EngineError, EngineResult};
pub use image::build::Built;
pub use no_engine::NoEngine;

/// What everything that dindcheck makes carries, with the run's id as its value.
pub const LABEL: &str = "dindcheck.run";

/// The door to Docker.
pub trait Engine {
    /// Whether anything was started, attached to or made, so that there is something to tear down.
    fn is_used(&self) -> bool;
    /// What is ours and could not be removed.
    fn leftovers(&self) -> Vec<String>;
    /// The daemon's log, read from its first error, where the daemon or a container failed.
    fn diagnosis(&self) -> Option<Diagnosis>;

    /// Starts dockerd and waits until it answers, or attaches to the daemon of the options.
    fn start(&self, options: &RunOptions) -> EngineResult<Started>;
    /// What the daemon says of its versions; from then on every request carries the version agreed on.
    fn negotiate(&self, within: Duration) -> EngineResult<Versions>;
    /// `GET /info`, as it came.
    fn info(&self, within: Duration) -> EngineResult<serde_json::Value>;
    /// Loads the image made of this program; its reference.
    fn load_builtin(&self, options: &RunOptions) -> EngineResult<String>;
    /// What the daemon knows of an image, as it came; `None` where it has none of this name.
    fn find_image(&self, reference: &str, within: Duration) -> EngineResult<Option<serde_json::Value>>;
    /// Pulls an image; `say` is told how it goes.
    fn pull(&self, reference: &str, within: Duration, say: &dyn Fn(&str)) -> EngineResult<()>;
    /// Runs a container to its end and removes it. An error is in the result, with how far it came.
    fn run(&self, options: &RunOptions, spec: &ContainerSpec, within: Duration) -> ContainerRun;
    /// Starts a container again that was kept, and others beside it; then removes them all.
    fn run_together(&self, options: &RunOptions, pair: &Pair, within: Duration) -> Together;
    /// Builds an image on top of the built-in one.
    fn build(&self, options: &RunOptions, within: Duration) -> EngineResult<Built>;
    /// Removes what is ours; stops the daemon that we started unless it is to be kept.
    fn tear_down(&self, options: &RunOptions, keep_daemon: bool) -> TornDown;
}

/// A daemon that answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Started {
    /// Where.
    pub endpoint: Endpoint,
    /// From its start to its answer.
    pub took: Duration,
    /// The process that we started; `None` where we attached.
    pub pid: Option<i32>,
    /// Its command line; empty where we attached.
    pub command: Vec<String>,
    /// Its log, where it is kept with the daemon.
    pub log: Option<String>,
    /// What of earlier runs, killed before they could clean up, was removed first.
    pub recovered: Vec<String>,
}

/// What `GET /version` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    /// The engine's own version.
    pub engine: String,
    /// The newest API version it speaks.
    pub max: String,
    /// The oldest.
    pub min: String,
    /// The one that is used; `None` where there is none in common.
    pub used: Option<String>,
}

/// What came of a teardown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TornDown {
    /// What was removed, in words.
    pub removed: Vec<String>,
    /// What is ours and is still there, in words.
    pub left: Vec<String>,
    /// What became of the daemon.
    pub daemon: DaemonEnd,
}

/// What became of the daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DaemonEnd {
    /// There was none.
    #[default]
    None,
    /// It was not ours to stop.
    Attached(Endpoint),
    /// It was kept, as asked.
    Kept {
        /// Where it answers.
        endpoint: Endpoint,
        /// Its process.
        pid: i32,
    },
    /// It had ended by itself.
    Dead(Death),
    /// It ended when told to.
    Stopped(Duration),
    /// It had to be killed.
    Killed(Duration),
    /// It is still there.
    StillThere(i32),
}

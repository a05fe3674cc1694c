//! The specification of a container, and the result of its run.

use std::time::Duration;

use serde_json::Value;

use crate::engine::containers::connectivity::Visit;
use crate::engine::containers::exec::Executed;
use crate::engine::containers::start_times::StartTimes;
use crate::engine::docker::error::{EngineError, EngineResult};

/// A container to run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerSpec {
    /// What follows `dindcheck-<run>-` in its name.
    pub role: &'static str,
    /// The body of `POST /containers/create`; the label is added.
    pub body: Value,
    /// It prints a line and waits for one (the probe's `hold`); meanwhile it is inspected from outside.
    pub hold: bool,
    /// Its TCP port that is visited meanwhile, at the container's address and wherever it is published.
    pub visit: Option<u16>,
    /// It is not removed at its end, so that it can be started again.
    pub keep: bool,
    /// The command lines that are run in it meanwhile (docker exec).
    pub execs: Vec<Vec<String>>,
    /// A network that is created meanwhile, for the next run.
    pub network: Option<String>,
    /// A container that the daemon is expected to refuse; it is tried meanwhile.
    pub refused: Option<Box<ContainerSpec>>,
    /// The signal that ends a held container; without one a line on its standard input does.
    pub signal: Option<&'static str>,
}

/// How far a container came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The creation.
    Create,
    /// The attachment and the start.
    Start,
    /// From the start to the end.
    Run,
}

/// The result of a container's run, however far it came.
#[derive(Debug)]
pub struct ContainerRun {
    /// Its id, once it was created.
    pub id: Option<String>,
    /// How far it came.
    pub stage: Stage,
    /// Its exit code, or the error of that stage.
    pub end: EngineResult<i64>,
    /// Its standard output, at most 1 MiB.
    pub stdout: Vec<u8>,
    /// Its standard error, at most 1 MiB.
    pub stderr: Vec<u8>,
    /// /proc/PID/cgroup of its first process as seen from here, where it was held.
    pub outside: Option<String>,
    /// The results of visiting its port, where it was held.
    pub visits: Vec<Visit>,
    /// The programs that were run in it.
    pub execs: Vec<Executed>,
    /// Its standard output in the daemon's log, where it was held.
    pub logged: Option<EngineResult<Vec<u8>>>,
    /// Why it was started without an init, where the first start with one failed.
    pub init: Option<EngineError>,
    /// The result of creating the network.
    pub network: Option<EngineResult<()>>,
    /// The result of the container that was expected to be refused.
    pub refused: Option<Box<ContainerRun>>,
    /// The daemon's warnings about the request (limits that it drops).
    pub warnings: Vec<String>,
    /// It was killed, and something in it was OOM-killed.
    pub oom_killed: bool,
    /// From its creation to its end.
    pub took: Duration,
    /// Of that, the creation and the start.
    pub times: StartTimes,
}

impl ContainerRun {
    /// A run that has not begun.
    pub fn new() -> Self {
        Self {
            id: None,
            stage: Stage::Create,
            end: Ok(0),
            stdout: Vec::new(),
            stderr: Vec::new(),
            outside: None,
            visits: Vec::new(),
            execs: Vec::new(),
            logged: None,
            init: None,
            network: None,
            refused: None,
            warnings: Vec::new(),
            oom_killed: false,
            took: Duration::ZERO,
            times: StartTimes::default(),
        }
    }
}

impl Default for ContainerRun {
    fn default() -> Self {
        Self::new()
    }
}

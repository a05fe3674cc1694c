//! What is wanted of a container, and what is known of it afterwards?

use std::time::Duration;

use serde_json::Value;

use crate::engine::containers::connectivity::Visit;
use crate::engine::containers::exec::Executed;
use crate::engine::docker::error::{EngineError, EngineResult};

/// A container that is wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerSpec {
    /// What follows `dindcheck-<run>-` in its name.
    pub role: &'static str,
    /// The body of `POST /containers/create`; the label is added.
    pub body: Value,
    /// It prints a line and waits for one (the probe's `hold`): meanwhile it is looked at from outside.
    pub hold: bool,
    /// Its TCP port that is visited meanwhile, at its own address and wherever it is published.
    pub visit: Option<u16>,
    /// It is not removed at its end, so that it can be started again.
    pub keep: bool,
    /// The programs that are run in it meanwhile.
    pub execs: Vec<Vec<String>>,
    /// The network that is made meanwhile, for what comes next.
    pub network: Option<String>,
    /// A container that will be refused, as far as is known: it is tried meanwhile.
    pub refused: Option<Box<ContainerSpec>>,
    /// The signal that is its end; without one a held container is let go by a line.
    pub signal: Option<&'static str>,
}

/// How far a container came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It was to be created.
    Create,
    /// It was to be attached to and started.
    Start,
    /// It was to end.
    Run,
}

/// What is known of a container that ran, or did not get that far.
#[derive(Debug)]
pub struct ContainerRun {
    /// Its id, once it was created.
    pub id: Option<String>,
    /// How far it came.
    pub stage: Stage,
    /// Its exit code, or what was in the way at that stage.
    pub end: EngineResult<i64>,
    /// Its standard output, at most 1 MiB.
    pub stdout: Vec<u8>,
    /// Its standard error, at most 1 MiB.
    pub stderr: Vec<u8>,
    /// /proc/PID/cgroup of its first process as seen from here, where it was held.
    pub outside: Option<String>,
    /// What came of visiting it, where it was held.
    pub visits: Vec<Visit>,
    /// What came of the programs that were run in it.
    pub execs: Vec<Executed>,
    /// What the daemon logged of it, where it was held.
    pub logged: Option<EngineResult<Vec<u8>>>,
    /// Why it did not start with an init, where it was started without one then.
    pub init: Option<EngineError>,
    /// What came of the network that was made meanwhile.
    pub network: Option<EngineResult<()>>,
    /// What came of the container that was tried meanwhile.
    pub refused: Option<Box<ContainerRun>>,
    /// What the daemon said against the request while it carried it out (limits that it drops).
    pub warnings: Vec<String>,
    /// It was killed, and the kernel killed something in it for memory.
    pub oom_killed: bool,
    /// From its creation to its end.
    pub took: Duration,
}

impl ContainerRun {
    /// One that has not begun.
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
        }
    }
}

impl Default for ContainerRun {
    fn default() -> Self {
        Self::new()
    }
}

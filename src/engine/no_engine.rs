//! The engine of a plan and of a replay: there is no daemon, and every operation is an error.

use std::time::Duration;

use serde_json::Value;

use crate::diagnosis::Diagnosis;
use crate::engine::{
    Built, ContainerRun, ContainerSpec, Engine, EngineError, EngineResult, PairRun, RestartPair, Started,
    TornDown, Versions,
};
use crate::options::RunOptions;

/// No engine at all. The steps that need one are not among those that a plan or a replay checks.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEngine;

/// The error of every operation.
fn unavailable<T>(doing: &str) -> EngineResult<T> {
    Err(EngineError::NotAvailable { doing: doing.to_owned() })
}

impl Engine for NoEngine {
    fn is_used(&self) -> bool {
        false
    }

    fn leftovers(&self) -> Vec<String> {
        Vec::new()
    }

    fn diagnosis(&self) -> Option<Diagnosis> {
        None
    }

    fn start(&self, _options: &RunOptions) -> EngineResult<Started> {
        unavailable("start the daemon")
    }

    fn negotiate(&self, _within: Duration) -> EngineResult<Versions> {
        unavailable("ask for the daemon's version")
    }

    fn info(&self, _within: Duration) -> EngineResult<Value> {
        unavailable("ask for daemon information")
    }

    fn default_network(&self, _within: Duration) -> EngineResult<Option<Value>> {
        unavailable("ask for the default network")
    }

    fn load_builtin(&self, _options: &RunOptions) -> EngineResult<String> {
        unavailable("load the built-in image")
    }

    fn find_image(&self, _reference: &str, _within: Duration) -> EngineResult<Option<Value>> {
        unavailable("look for an image")
    }

    fn pull(&self, _reference: &str, _within: Duration, _progress: &dyn Fn(&str)) -> EngineResult<()> {
        unavailable("pull an image")
    }

    fn run(&self, _options: &RunOptions, _spec: &ContainerSpec, _within: Duration) -> ContainerRun {
        ContainerRun { end: unavailable("run a container"), ..ContainerRun::new() }
    }

    fn run_pair(&self, _options: &RunOptions, _pair: &RestartPair, _within: Duration) -> PairRun {
        let first = ContainerRun { end: unavailable("run containers"), ..ContainerRun::new() };
        PairRun { first, ..PairRun::default() }
    }

    fn build(&self, _options: &RunOptions, _within: Duration) -> EngineResult<Built> {
        unavailable("build an image")
    }

    fn tear_down(&self, _options: &RunOptions, _keep_daemon: bool) -> TornDown {
        TornDown::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::causes;

    #[test]
    fn an_operation_is_an_error_and_never_a_finding_about_a_daemon() {
        let error = NoEngine.info(Duration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), "ask for daemon information: not available in a plan or a replay");
        assert!(error.into_finding(causes::DAEMON_HANGS, causes::DAEMON_HANGS).is_err());
        assert!(NoEngine.pull("x", Duration::ZERO, &|_| {}).is_err() && !NoEngine.is_used());
    }
}

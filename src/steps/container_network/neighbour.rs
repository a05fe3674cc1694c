//! Checks that a container finds another one by name on a user-defined network.

use crate::diagnosis::{CauseId, causes};
use crate::engine::{ContainerRun, EngineError, PairRun, Stage};
use crate::facts::daemon::{Expected, Off};
use crate::finding::Finding;
use crate::probe::reach::Kind;
use crate::workload;

const NONE: CauseId = super::NONE;
const NAMES: CauseId = causes::CONTAINER_NAME_RESOLUTION_BROKEN;

/// The findings of the neighbour.
pub(super) fn judge(together: &PairRun, expected: &Expected) -> anyhow::Result<Vec<Finding>> {
    if let Some(Err(error)) = &together.network {
        return Ok(vec![workload::failure(Stage::Create, error.clone(), NONE)?]);
    }
    let Some(run) = ran(together) else {
        // The last one was not privileged: it was not refused for lack of privileges.
        let last = together.others.last().and_then(|run| Some((run.stage, run.end.as_ref().err()?)));
        return match last {
            Some((stage, error)) => Ok(vec![workload::failure(stage, error.clone(), NONE)?]),
            None => first_failed(together),
        };
    };
    let document = match workload::read(run) {
        Ok(document) => document,
        Err(finding) => return Ok(vec![finding]),
    };
    let reached = document.reached.unwrap_or_default();
    Ok(reached
        .of(Kind::PeerName)
        .map(|attempt| judge_name(attempt, expected.names.as_ref()))
        .chain(reached.of(Kind::Peer).map(judge_connection))
        .collect())
}

/// The neighbour that ran to its end.
fn ran(together: &PairRun) -> Option<&ContainerRun> {
    together.others.iter().find(|run| run.end.is_ok())
}

/// Why no neighbour was started: the first container did not restart.
fn first_failed(together: &PairRun) -> anyhow::Result<Vec<Finding>> {
    match &together.first.end {
        Err(error @ (EngineError::Interrupted(_) | EngineError::System(_))) => Err(error.clone().into()),
        Err(error) => Ok(vec![workload::failure(together.first.stage, error.clone(), NONE)?]),
        Ok(_) => Ok(Vec::new()),
    }
}

/// Name resolution.
fn judge_name(attempt: &crate::probe::reach::Attempt, off: Option<&Off>) -> Finding {
    match (&attempt.error, off) {
        (None, _) => {
            Finding::pass(format!("a container on the same user-defined network resolves {}", attempt.to))
        }
        (Some(error), Some(off)) => {
            let what =
                "containers on a user-defined network do not resolve each other's names, nor any other";
            super::switched_off(what, off).with("tried", error)
        }
        (Some(error), None) => Finding::fail(
            NAMES,
            format!("a container on the same user-defined network does not resolve {}: {error}", attempt.to),
        )
        .with("errno", error.errno),
    }
}

/// The connection.
fn judge_connection(attempt: &crate::probe::reach::Attempt) -> Finding {
    match &attempt.error {
        None => Finding::pass(format!("and connects to it at {}", attempt.answer)),
        Some(error) => {
            let what = format!(
                "a container on the same user-defined network resolves the other one but cannot connect to it: {error}"
            );
            Finding::fail(NONE, what).with("to", &attempt.to).with("errno", error.errno)
        }
    }
}

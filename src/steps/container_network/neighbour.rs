//! Does a container find another by name on a network of their own?

use crate::diagnosis::{CauseId, causes};
use crate::engine::{ContainerRun, EngineError, Stage, Together};
use crate::finding::Finding;
use crate::probe::reach::Kind;
use crate::workload;

const NONE: CauseId = super::NONE;
const NAMES: CauseId = causes::CONTAINER_NAME_RESOLUTION_BROKEN;

/// What the neighbour found.
pub(super) fn judge(together: &Together) -> anyhow::Result<Vec<Finding>> {
    if let Some(Err(error)) = &together.network {
        return Ok(vec![workload::failure(Stage::Create, error.clone(), NONE)?]);
    }
    let Some(run) = ran(together) else {
        // The last one was plain: what refuses it is no lack of privileges.
        let last = together.others.last().and_then(|run| Some((run.stage, run.end.as_ref().err()?)));
        return match last {
            Some((stage, error)) => Ok(vec![workload::failure(stage, error.clone(), NONE)?]),
            None => first_in_the_way(together),
        };
    };
    let document = match workload::read(run) {
        Ok(document) => document,
        Err(finding) => return Ok(vec![finding]),
    };
    let reached = document.reached.unwrap_or_default();
    Ok(reached.of(Kind::PeerName).map(judge_name).chain(reached.of(Kind::Peer).map(judge_meeting)).collect())
}

/// The one that came to its end.
fn ran(together: &Together) -> Option<&ContainerRun> {
    together.others.iter().find(|run| run.end.is_ok())
}

/// No neighbour was tried: the first container did not come so far.
fn first_in_the_way(together: &Together) -> anyhow::Result<Vec<Finding>> {
    match &together.first.end {
        Err(error @ (EngineError::Interrupted(_) | EngineError::System(_))) => Err(error.clone().into()),
        Err(error) => Ok(vec![workload::failure(together.first.stage, error.clone(), NONE)?]),
        Ok(_) => Ok(Vec::new()),
    }
}

/// The name.
fn judge_name(attempt: &crate::probe::reach::Attempt) -> Finding {
    match &attempt.error {
        None => Finding::pass(format!("a container on the same user network finds {}", attempt.to)),
        Some(error) => Finding::fail(
            NAMES,
            format!("a container on the same user network does not find {}: {error}", attempt.to),
        )
        .with("errno", error.errno),
    }
}

/// The meeting.
fn judge_meeting(attempt: &crate::probe::reach::Attempt) -> Finding {
    match &attempt.error {
        None => Finding::pass(format!("and is greeted by it at {}", attempt.answer)),
        Some(error) => {
            let what =
                format!("a container on the same user network does not reach the one that it found: {error}");
            Finding::fail(NONE, what).with("errno", error.errno)
        }
    }
}

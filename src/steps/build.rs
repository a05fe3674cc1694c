//! Can an image be built inside?
//!
//! A Dockerfile of two lines on top of the built-in image, by the builder that every engine has behind
//! `POST /build`: a context is taken, a program runs in a container of the builder, its layer is kept. A profile asks
//! for it (`steps: {build: require}`); most outer containers that only run images have no need of it.

use crate::diagnosis::{CauseId, causes};
use crate::engine::{EngineResult, Stage};
use crate::finding::{Finding, Level};
use crate::options::ImageChoice;
use crate::step::{Cx, Phase, Step};
use crate::workload;

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "build",
    title: "An image that is built inside",
    why: "What CI does most with Docker-in-Docker is `docker build`, which takes a context, runs programs and keeps layers.",
    phase: Phase::Workload,
    worst: Level::Fail,
    needs: &[],
    check,
    repair: None,
};

const FAILED: CauseId = causes::IMAGE_BUILD_FAILED;

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    // The profile's own image was brought in by the step `image`; this one is built on the built-in one.
    let missing = cx.options.image != ImageChoice::Builtin;
    if let Some(error) = missing.then(|| cx.engine.load_builtin(cx.options).err()).flatten() {
        return Ok(vec![workload::failure(Stage::Create, error, FAILED)?]);
    }
    let within = cx.options.profile.image.timeout;
    let built = cx.engine.build(cx.options, within);
    let found = match &built {
        Ok(built) => cx.engine.find_image(&built.reference, within),
        Err(error) => Err(error.clone()),
    };
    judge(found.and_then(|found| Ok((built?, found.is_some()))))
}

/// What the builder said, and whether the image is there.
fn judge(built: EngineResult<(crate::engine::Built, bool)>) -> anyhow::Result<Vec<Finding>> {
    let (built, is_there) = match built {
        Ok(built) => built,
        Err(error) => return Ok(vec![workload::failure(Stage::Start, error, FAILED)?]),
    };
    if !is_there {
        let what = format!("the builder came to its end, and there is no image {}", built.reference);
        return Ok(vec![Finding::fail(FAILED, what).with("said", built.said)]);
    }
    Ok(vec![Finding::pass("an image is built from a Dockerfile: a program ran, and its layer is kept")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Built, EngineError};
    use crate::finding::Level;

    #[test]
    fn a_build_must_end_and_leave_an_image() {
        let built = || Built { reference: "x:1".into(), said: "Step 1/2".into() };
        assert_eq!(judge(Ok((built(), true))).unwrap()[0].level, Level::Pass);
        let gone = &judge(Ok((built(), false))).unwrap()[0];
        assert_eq!((gone.level, gone.cause), (Level::Fail, Some(FAILED)));
        let refused = |message: &str| {
            let error = EngineError::Refused { doing: "build".into(), status: 0, message: message.into() };
            judge(Err(error)).unwrap()[0].cause
        };
        assert_eq!(refused("something new"), Some(FAILED));
        assert_eq!(refused("write /x: no space left on device"), Some(causes::DISK_FULL));
        assert!(judge(Err(EngineError::Interrupted("SIGINT"))).is_err());
    }
}

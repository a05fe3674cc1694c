//! Builds an image inside.
//!
//! A Dockerfile of two lines on top of the built-in image goes to the builder that every engine has behind
//! `POST /build`: it takes a context, runs a program in a container, and keeps the layer. The step runs where a profile
//! asks for it (`steps: {build: require}`): many outer containers only run images.

use crate::diagnosis::{CauseId, causes};
use crate::engine::{EngineResult, Stage};
use crate::finding::{Finding, Level};
use crate::options::ImageChoice;
use crate::step::{Cx, Phase, Step};
use crate::workload;

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "build",
    title: "Image build",
    why: "What CI does most with Docker-in-Docker is `docker build`, which needs more of the engine than `docker run`: it takes a context, runs programs and keeps layers.",
    phase: Phase::Workload,
    worst: Level::Fail,
    needs: &[],
    rests_on: &["image"],
    check,
    repair: None,
};

const FAILED: CauseId = causes::IMAGE_BUILD_FAILED;

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    // The step `image` loaded the profile's own image; this one is built on the built-in one.
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

/// The finding on the output of the builder and on the image.
fn judge(built: EngineResult<(crate::engine::Built, bool)>) -> anyhow::Result<Vec<Finding>> {
    let (built, is_there) = match built {
        Ok(built) => built,
        Err(error) => return Ok(vec![workload::failure(Stage::Start, error, FAILED)?]),
    };
    if !is_there {
        let what = format!("the builder finished, but the image {} does not exist", built.reference);
        return Ok(vec![Finding::fail(FAILED, what).with("said", built.said)]);
    }
    Ok(vec![Finding::pass("an image can be built from a Dockerfile")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Built, EngineError};
    use crate::finding::Level;

    #[test]
    fn build_without_an_image_fails() {
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

//! Loads the built-in image, which needs no registry, or finds or pulls the image of the profile.

use std::time::Duration;

use crate::diagnosis::{self, causes};
use crate::engine::EngineError;
use crate::engine::image::architecture;
use crate::finding::{Finding, Level};
use crate::options::ImageChoice;
use crate::step::{Cx, Phase, Step};
use crate::workload;

mod pull;

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "image",
    title: "Test image",
    why: "Loading an image unpacks layers with the storage driver; without one there is no container.",
    phase: Phase::Workload,
    worst: Level::Fail,
    needs: &[],
    rests_on: &["daemon-start"],
    check,
    repair: None,
};

/// The deadline of a small request.
const PATIENCE: Duration = Duration::from_secs(20);

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    match &cx.options.image {
        ImageChoice::Builtin => builtin(cx),
        ImageChoice::Reference(reference) => named(cx, reference),
    }
}

/// Loads the built-in image and checks that the daemon knows it.
fn builtin(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let failed = causes::IMAGE_LOAD_FAILED;
    let loaded = cx.engine.load_builtin(cx.options);
    let found = loaded.and_then(|name| Ok((cx.engine.find_image(&name, PATIENCE)?, name)));
    let finding = match found {
        Ok((Some(_), name)) => {
            Finding::pass("the built-in image is loaded, without a registry").with("image", name)
        }
        Ok((None, name)) => {
            Finding::fail(failed, format!("the daemon loaded the built-in image but does not know {name}"))
        }
        Err(EngineError::Refused { ref message, .. }) if is_full(message) => {
            Finding::fail(causes::DISK_FULL, "there is no space for the built-in image")
                .with("message", message)
        }
        Err(error) => {
            let message = if let EngineError::Refused { message, .. } = &error { message } else { "" };
            let cause = diagnosis::of_message(message).unwrap_or(failed);
            error.into_finding(cause, failed)?
        }
    };
    Ok(vec![workload::blame_filter(cx.host, finding)])
}

/// Whether a message says that a disk is full (`ENOSPC`, `EDQUOT` in Go's words).
fn is_full(message: &str) -> bool {
    message.contains("no space left on device") || message.contains("disk quota exceeded")
}

/// Finds an image by its name, or pulls it.
fn named(cx: &Cx<'_>, reference: &str) -> anyhow::Result<Vec<Finding>> {
    let missing = causes::IMAGE_NOT_FOUND;
    let hangs = causes::DAEMON_HANGS;
    let mut how = "is present";
    let mut found = match cx.engine.find_image(reference, PATIENCE) {
        Ok(found) => found,
        Err(error) => return Ok(vec![error.into_finding(missing, hangs)?]),
    };
    if found.is_none() {
        how = "was pulled";
        (cx.progress)(&format!("pulling {reference}"));
        if let Err(error) = cx.engine.pull(reference, cx.options.profile.image.timeout, cx.progress) {
            return Ok(vec![pull::judge(reference, error)?]);
        }
        found = match cx.engine.find_image(reference, PATIENCE) {
            Ok(found) => found,
            Err(error) => return Ok(vec![error.into_finding(missing, hangs)?]),
        };
    }
    Ok(match found {
        Some(image) => judge_image(reference, how, &image),
        None => vec![Finding::fail(missing, format!("{reference} was pulled but is not present"))],
    })
}

/// An image that is present: its architecture should be that of this machine.
fn judge_image(reference: &str, how: &str, image: &serde_json::Value) -> Vec<Finding> {
    let text = |key: &str| image.get(key).and_then(|value| value.as_str()).unwrap_or("?");
    let mut findings = vec![
        Finding::pass(format!("the image {reference} {how}"))
            .with("id", text("Id"))
            .with("architecture", text("Architecture")),
    ];
    let (theirs, ours) = (text("Architecture"), architecture());
    // 64-bit processors run the 32-bit programs of their family.
    let runs = matches!((ours, theirs), ("amd64", "386") | ("arm64", "arm"));
    if theirs != ours && theirs != "?" && !runs {
        findings.push(Finding::warn(
            causes::IMAGE_FOR_OTHER_ARCHITECTURE,
            format!("{reference} is for {theirs}, but this machine is {ours}"),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::finding::Level;

    #[test]
    fn image_for_another_architecture_warns() {
        let other = if architecture() == "s390x" { "arm64" } else { "s390x" };
        let findings = judge_image("x", "is there", &json!({"Id": "i", "Architecture": other}));
        assert_eq!(findings[1].level, Level::Warn);
        assert_eq!(judge_image("x", "is there", &json!({"Architecture": architecture()})).len(), 1);
        assert_eq!(judge_image("x", "is there", &json!({})).len(), 1);
    }
}

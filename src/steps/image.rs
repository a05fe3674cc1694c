//! Test image.

use crate::step::{Cx, Finding, Phase, Step};

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "image",
    title: "Test image",
    why: "Without an image nothing can be run; the built-in one needs no registry.",
    phase: Phase::Workload,
    check,
    repair: None,
};

fn check(_cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    anyhow::bail!("not built yet")
}

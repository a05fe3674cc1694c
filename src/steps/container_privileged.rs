//! An inner privileged container.

use crate::step::{Cx, Finding, Phase, Step};

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "container-privileged",
    title: "An inner privileged container",
    why: "Builders and nested engines start with --privileged, which asks for every capability that this container holds.",
    phase: Phase::Workload,
    check,
    repair: None,
};

fn check(_cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    anyhow::bail!("not built yet")
}

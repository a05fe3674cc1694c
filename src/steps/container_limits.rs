//! Limits of an inner container.

use crate::step::{Cx, Finding, Phase, Step};

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "container-limits",
    title: "Limits of an inner container",
    why: "A limit that is accepted and not enforced lets one job take the machine down.",
    phase: Phase::Workload,
    check,
    repair: None,
};

fn check(_cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    anyhow::bail!("not built yet")
}

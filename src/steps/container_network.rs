//! Network of an inner container.

use crate::step::{Cx, Finding, Phase, Step};

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "container-network",
    title: "Network of an inner container",
    why: "Names, routes, published ports and packet sizes are what jobs inside fail over, long after the daemon has started.",
    phase: Phase::Workload,
    check,
    repair: None,
};

fn check(_cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    anyhow::bail!("not built yet")
}

//! File system of an inner container.

use crate::step::{Cx, Finding, Phase, Step};

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "container-storage",
    title: "File system of an inner container",
    why: "Copy-up, whiteouts and volumes are where a storage driver that seems to work goes wrong.",
    phase: Phase::Workload,
    check,
    repair: None,
};

fn check(_cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    anyhow::bail!("not built yet")
}

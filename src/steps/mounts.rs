//! Kernel file systems and mount propagation.

use crate::step::{Cx, Finding, Phase, Step};

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "mounts",
    title: "Kernel file systems and mount propagation",
    why: "The inner daemon writes to /proc/sys, /sys and /dev, and mounts them anew for each container.",
    phase: Phase::Environment,
    check,
    repair: None,
};

fn check(_cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    anyhow::bail!("not built yet")
}

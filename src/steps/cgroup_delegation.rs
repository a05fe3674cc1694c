//! Cgroup delegation.

use crate::step::{Cx, Finding, Phase, Step};

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "cgroup-delegation",
    title: "Cgroup delegation",
    why: "Controllers can only be enabled for inner containers when the root cgroup of this container is free of processes and owned by it.",
    phase: Phase::Environment,
    check,
    repair: None,
};

fn check(_cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    anyhow::bail!("not built yet")
}

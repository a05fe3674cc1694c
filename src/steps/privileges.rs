//! Privileges of the outer container.

use crate::step::{Cx, Finding, Phase, Step};

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "privileges",
    title: "Privileges of the outer container",
    why: "Starting containers takes mounts, namespaces and network interfaces, which the kernel gives only to a privileged container.",
    phase: Phase::Environment,
    check,
    repair: None,
};

fn check(_cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    anyhow::bail!("not built yet")
}

//! What the inner daemon says of itself.

use crate::step::{Cx, Finding, Phase, Step};

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "daemon-info",
    title: "What the inner daemon says of itself",
    why: "The daemon may have fallen back silently: to another storage driver, another cgroup version, without limits.",
    phase: Phase::Daemon,
    check,
    repair: None,
};

fn check(_cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    anyhow::bail!("not built yet")
}

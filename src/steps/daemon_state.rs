//! State left by another daemon.

use crate::step::{Cx, Finding, Phase, Step};

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "daemon-state",
    title: "State left by another daemon",
    why: "A stale pid file, a foreign socket or a second daemon keeps dockerd from starting, or makes a test talk to the wrong daemon.",
    phase: Phase::Environment,
    check,
    repair: None,
};

fn check(_cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    anyhow::bail!("not built yet")
}

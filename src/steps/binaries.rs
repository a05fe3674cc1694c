//! Programs of the engine.

use crate::step::{Cx, Finding, Phase, Step};

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "binaries",
    title: "Programs of the engine",
    why: "dockerd starts containerd, runc, docker-proxy and iptables by name: each must be found in its PATH and run here.",
    phase: Phase::Environment,
    check,
    repair: None,
};

fn check(_cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    anyhow::bail!("not built yet")
}

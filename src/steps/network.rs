//! Bridge, NAT and addresses.

use crate::step::{Cx, Finding, Phase, Step};

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "network",
    title: "Bridge, NAT and addresses",
    why: "Every inner container needs a veth pair, a bridge, a nat table and addresses that nobody else uses.",
    phase: Phase::Environment,
    check,
    repair: None,
};

fn check(_cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    anyhow::bail!("not built yet")
}

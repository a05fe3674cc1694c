//! Start of the inner daemon.

use crate::step::{Cx, Finding, Phase, Step};

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "daemon-start",
    title: "Start of the inner daemon",
    why: "Without an inner daemon that answers there is no Docker-in-Docker.",
    phase: Phase::Daemon,
    check,
    repair: None,
};

fn check(_cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    anyhow::bail!("not built yet")
}

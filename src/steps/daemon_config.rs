//! Configuration of the inner daemon.

use crate::step::{Cx, Finding, Phase, Step};

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "daemon-config",
    title: "Configuration of the inner daemon",
    why: "dockerd ends at once over a wrong daemon.json, or a setting that is given twice.",
    phase: Phase::Environment,
    check,
    repair: None,
};

fn check(_cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    anyhow::bail!("not built yet")
}

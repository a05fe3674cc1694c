//! Cgroup hierarchies under /sys/fs/cgroup.

use crate::step::{Cx, Finding, Phase, Step};

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "cgroup-mounts",
    title: "Cgroup hierarchies under /sys/fs/cgroup",
    why: "dockerd refuses to start without the devices hierarchy of cgroup v1, and every limit of a container is a file below these mounts.",
    phase: Phase::Environment,
    check,
    repair: None,
};

fn check(_cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    anyhow::bail!("not built yet")
}

//! Checks that controllers can be enabled for inner containers.
//!
//! On cgroup v2 a cgroup that contains processes cannot enable domain controllers (memory, io, ...) for its
//! children ("no internal processes", Documentation/admin-guide/cgroup-v2.rst). An outer container's root
//! cgroup holds its processes, so they must move to a leaf before the first inner container starts. On v1
//! there is no such rule, but an empty cpuset refuses processes, and a device cgroup cannot give more than it has.

use std::path::Path;

use crate::diagnosis::{CauseId, causes};
use crate::facts::cgroup::{Cgroups, Mode, ROOT};
use crate::finding::{Finding, Level, Reach};
use crate::step::{Cx, Phase, Repair, Step};

mod cpuset;
mod devices;
mod evacuate;
mod untangle;
mod v2;

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "cgroup-delegation",
    title: "Cgroup delegation",
    why: "Controllers can only be enabled for inner containers when the root cgroup of this container is free \
          of processes and owned by it.",
    phase: Phase::Environment,
    worst: Level::Fail,
    needs: &[],
    rests_on: &[],
    check,
    repair: Some(Repair {
        title: "Move this container's processes to a leaf cgroup and enable controllers",
        reach: Reach::Container,
        apply: evacuate::apply,
    }),
};

/// The cause if the mounted tree is the host's.
const HOST_NAMESPACE: CauseId = causes::CGROUP_HOST_NAMESPACE;

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let cgroups = Cgroups::read(cx.host)?;
    match cgroups.mode {
        Mode::V2 if cgroups.sees_host_tree() => Ok(vec![host_namespace(&cgroups)]),
        Mode::V2 => Ok(v2::judge(&v2::Root::read(cx.host, &cgroups)?)),
        _ => {
            let mut findings = cpuset::check(cx.host, &cgroups)?;
            findings.extend(devices::check(cx, &cgroups)?);
            Ok(findings)
        }
    }
}

/// Nothing is moved in the host's namespace: these are the host's processes.
fn host_namespace(cgroups: &Cgroups) -> Finding {
    let own = cgroups.v2_path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let what = "this container sees the host's cgroup tree, so inner containers are outside of its cgroup and its limits";
    let remedy = if cgroups.private_namespace {
        format!("Start the outer container without a bind mount of {ROOT}")
    } else {
        format!(
            "Start the outer container with `--cgroupns=private`, or the inner daemon with `--cgroup-parent={own}/docker`"
        )
    };
    let shown = cgroups.mounts.at(Path::new(ROOT)).map(|mount| mount.root.display().to_string());
    Finding::warn(HOST_NAMESPACE, what)
        .with("/proc/self/cgroup", format!("0::{own}"))
        .with("root of the mount", shown.unwrap_or_default())
        .hint(format!("{remedy}; dindcheck never moves processes of the host's root cgroup"))
}

//! Checks that every cgroup hierarchy is mounted under /sys/fs/cgroup, writable, and shows this container's own subtree.

use std::path::Path;

use crate::diagnosis::{CauseId, causes};
use crate::facts::cgroup::{Cgroups, Mode, ROOT};
use crate::facts::mounts::Mount;
use crate::finding::{Finding, Level, Reach, quoted};
use crate::profile::Controllers;
use crate::step::{Cx, Phase, Repair, Step};

mod remedy;
mod repair;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "cgroup-mounts",
    title: "Cgroup hierarchies under /sys/fs/cgroup",
    why: "dockerd refuses to start without the devices hierarchy of cgroup v1, and every limit of a container \
          is a file below these mounts.",
    phase: Phase::Environment,
    worst: Level::Fail,
    needs: &[],
    rests_on: &[],
    check,
    repair: Some(Repair {
        title: "Mount what is missing under /sys/fs/cgroup",
        reach: Reach::Container,
        apply: repair::apply,
    }),
};

/// The cause if a controller is not mounted.
const CONTROLLER_UNAVAILABLE: CauseId = causes::CGROUP_LIMIT_CONTROLLER_UNAVAILABLE;
/// The cause if a cgroup mount is read-only.
const READ_ONLY: CauseId = causes::CGROUP_MOUNTED_READ_ONLY;
/// The command that repairs what this step finds.
const REPAIR: &str = "`dindcheck verify --until cgroup-mounts --repair container`";
/// The cause if the devices hierarchy, or all of them, are missing.
const NOT_MOUNTED: CauseId = causes::CGROUP_V1_DEVICES_NOT_MOUNTED;

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let cgroups = Cgroups::read(cx.host)?;
    cx.environment.borrow_mut().cgroup = Some(cgroups.mode.name().to_owned());
    let wants = &cx.options.profile.controllers;
    Ok(match cgroups.mode {
        Mode::V2 => v2::judge(&cgroups, &v2::offered(cx.host, &cgroups)?, wants),
        _ => judge_v1(&cgroups, wants),
    })
}

/// The findings on v1 and hybrid mode, and if nothing is mounted.
fn judge_v1(cgroups: &Cgroups, wants: &Controllers) -> Vec<Finding> {
    let mut findings = v1::judge(cgroups, wants);
    if findings.is_empty() {
        let shown = cgroups.hierarchies.iter().filter(|h| v1::mount_of(cgroups, h).is_some()).count();
        findings.push(Finding::pass(format!(
            "cgroup {}: {shown} hierarchies are mounted, writable, and show this container's own subtree",
            cgroups.mode.name()
        )));
    }
    findings
}

/// A finding about a read-only mount.
fn read_only(mount: &Mount, subject: &str) -> Finding {
    let finding = Finding::fail(READ_ONLY, format!("{subject} is mounted read-only"))
        .with("path", mount.target.display())
        .with("options", options(mount));
    if mount.is_super_read_only() {
        return finding.hint(format!(
            "The whole file system is read-only, not just this mount: start the outer container with \
             --privileged and without a :ro bind mount of {ROOT}"
        ));
    }
    finding.hint(format!(
        "`mount -o remount,bind,rw {}`; {REPAIR} does it for every cgroup mount",
        quoted(&mount.target)
    ))
}

/// A mount's options as a list.
fn options(mount: &Mount) -> String {
    mount.options.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

/// The mount of /sys/fs/cgroup itself.
fn root_mount(cgroups: &Cgroups) -> Option<&Mount> {
    cgroups.mounts.at(Path::new(ROOT))
}

//! Finds v1 hierarchies of this kernel that are not usable here.
//!
//! /proc/self/cgroup lists the hierarchies, mountinfo the mounts. /proc/cgroups does not prove that a controller
//! works: a kernel without `CONFIG_MEMCG_V1` says `enabled` 1 for a memory controller that cannot
//! be mounted (seen with Debian's 6.12).

use std::path::Path;

use super::{CONTROLLER_UNAVAILABLE, NOT_MOUNTED, read_only, remedy, root_mount};
use crate::diagnosis::{CauseId, causes};
use crate::facts::cgroup::{Cgroups, Hierarchy, Mode, ROOT};
use crate::facts::mounts::Mount;
use crate::finding::{Finding, quoted};
use crate::profile::Controllers;

/// The controller that dockerd (`daemon.NewDaemon`) and runc (`initPaths`) require.
const DEVICES: &str = "devices";

/// The cause if this kernel has only the v2 tree, and it is not mounted.
const NOTHING_MOUNTED: CauseId = causes::CGROUP_NOT_MOUNTED;
/// The cause if a hierarchy exists and is not mounted.
const MOUNTABLE: CauseId = causes::CGROUP_V1_CONTROLLER_MISSING;

/// Whether the profile requires a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    Required,
    Wanted,
    Unneeded,
}

/// The visible mount of a hierarchy; the one below /sys/fs/cgroup if there are several.
pub(super) fn mount_of<'c>(cgroups: &'c Cgroups, hierarchy: &Hierarchy) -> Option<&'c Mount> {
    let shown = |m: &&Mount| hierarchy.is_shown_by(m) && cgroups.mounts.is_visible(m);
    let mut all = cgroups.mounts.0.iter().filter(shown);
    let first = all.next()?;
    all.chain([first]).find(|mount| mount.target.starts_with(ROOT)).or(Some(first))
}

/// Every problem.
pub(super) fn judge(cgroups: &Cgroups, wants: &Controllers) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(devices(cgroups));
    for hierarchy in &cgroups.hierarchies {
        findings.extend(judge_one(cgroups, hierarchy, wants));
    }
    findings.extend(without_hierarchy(cgroups, wants));
    findings
}

/// The controller that the engine requires.
fn devices(cgroups: &Cgroups) -> Option<Finding> {
    let hierarchy = cgroups.hierarchy_of(DEVICES);
    if hierarchy.is_some_and(|hierarchy| mount_of(cgroups, hierarchy).is_some()) {
        return None;
    }
    let what = match (cgroups.mode, hierarchy) {
        (Mode::None, None) => format!("no cgroup file system is mounted below {ROOT}"),
        (Mode::None, Some(_)) => {
            format!("nothing is mounted below {ROOT}, so dockerd finds no devices cgroup")
        }
        (_, Some(_)) => "the devices hierarchy exists in this kernel but is not mounted here".to_owned(),
        (_, None) => {
            "this kernel has no v1 devices hierarchy, and /sys/fs/cgroup does not show the v2 tree".to_owned()
        }
    };
    let cause = if cgroups.hierarchies.is_empty() { NOTHING_MOUNTED } else { NOT_MOUNTED };
    let hint = match (cgroups.mode, hierarchy) {
        (Mode::None, Some(_)) => Some(remedy::all()),
        (_, Some(hierarchy)) => Some(remedy::one(cgroups, hierarchy)),
        (_, None) => None,
    };
    let root = root_mount(cgroups).map_or("not a mount point".to_owned(), |mount| mount.fstype.clone());
    let finding = Finding::fail(cause, what)
        .with("path", format!("{ROOT}/{DEVICES}"))
        .with(ROOT, root)
        .with("/proc/self/cgroup", hierarchy.map_or_else(|| "has no devices line".to_owned(), line));
    Some(match hint {
        Some(hint) => finding.hint(hint),
        None => finding,
    })
}

/// A hierarchy as /proc/self/cgroup writes it.
fn line(hierarchy: &Hierarchy) -> String {
    format!("{}:{}:{}", hierarchy.id, hierarchy.controllers.join(","), hierarchy.path.display())
}

/// The finding on one hierarchy.
fn judge_one(cgroups: &Cgroups, hierarchy: &Hierarchy, wants: &Controllers) -> Option<Finding> {
    let want = strongest(hierarchy, wants);
    let Some(mount) = mount_of(cgroups, hierarchy) else {
        return missing(cgroups, hierarchy, want);
    };
    let subject = format!("the {} hierarchy", hierarchy.dir());
    if mount.is_read_only() || mount.is_super_read_only() {
        return Some(read_only(mount, &subject));
    }
    if mount.super_options.contains("noprefix") {
        let cause = causes::CPUSET_MOUNTED_NOPREFIX;
        let what = format!(
            "{subject} is mounted with noprefix: runc needs cpuset.cpus, but the file is called cpus"
        );
        return Some(Finding::fail(cause, what).with("path", mount.target.display()));
    }
    view(cgroups, hierarchy, mount, &subject)
}

/// Whether a mount shows the container's own part of the hierarchy.
fn view(cgroups: &Cgroups, hierarchy: &Hierarchy, mount: &Mount, subject: &str) -> Option<Finding> {
    let root = Path::new("/");
    if cgroups.private_namespace
        || hierarchy.path == root
        || hierarchy.path.starts_with(&mount.root) && mount.root != root
    {
        return None;
    }
    let own = hierarchy.path.display();
    let finding = if mount.root == root {
        let what = format!(
            "{subject} shows the host's root: inner containers are outside of this container's cgroup and its limits"
        );
        Finding::warn(causes::CGROUP_V1_FOREIGN_ROOT, what)
            .hint(format!("dockerd --cgroup-parent={}", quoted(&hierarchy.path.join("docker"))))
    } else {
        let what = format!("{subject} does not show this container's own subtree");
        Finding::warn(causes::CGROUP_ROOT_MISCOMPUTED, what).hint(remedy::instead(
            cgroups,
            hierarchy,
            &mount.target,
        ))
    };
    Some(finding.with("path", mount.target.display()).with("shown", mount.root.display()).with("own", own))
}

/// A hierarchy that exists and is not mounted here.
fn missing(cgroups: &Cgroups, hierarchy: &Hierarchy, want: Want) -> Option<Finding> {
    if hierarchy.controllers.iter().any(|c| c == DEVICES) {
        return None; // reported by `devices`
    }
    let name = hierarchy.dir();
    if cgroups.is_unmanaged(hierarchy) {
        let what = format!(
            "the {name} hierarchy is not managed by the outer engine: this container has no cgroup of its own in it"
        );
        return graded(CONTROLLER_UNAVAILABLE, want, what)
            .map(|finding| finding.with("/proc/self/cgroup", line(hierarchy)));
    }
    let what = format!("the {name} hierarchy exists in this kernel but is not mounted here");
    let finding = if hierarchy.is_named() {
        Some(Finding::warn(causes::CGROUP_V1_SYSTEMD_HIERARCHY_NOT_MOUNTED, what))
    } else {
        graded(MOUNTABLE, want, what)
    };
    finding.map(|finding| {
        finding
            .with("path", format!("{ROOT}/{name}"))
            .with("/proc/self/cgroup", line(hierarchy))
            .hint(remedy::one(cgroups, hierarchy))
    })
}

/// Wanted controllers that have no v1 hierarchy: this container cannot mount them, since a first mount would create the
/// hierarchy for the whole host and take the controller from the v2 tree.
fn without_hierarchy(cgroups: &Cgroups, wants: &Controllers) -> Vec<Finding> {
    let absent = |name: &&String| cgroups.hierarchy_of(name).is_none() && name.as_str() != DEVICES;
    let required = wants.required.iter().filter(absent).map(|name| (name, Want::Required));
    let wanted = wants.wanted.iter().filter(absent).map(|name| (name, Want::Wanted));
    let all = required.chain(wanted);
    all.filter_map(|(name, want)| {
        let what = format!("no v1 hierarchy of this kernel has the {name} controller, so its limits have no effect");
        let listed = cgroups.controllers.iter().find(|c| c.name == *name);
        let listed = listed.map_or("absent".to_owned(), |c| format!("hierarchy {}, enabled {}", c.hierarchy, u8::from(c.enabled)));
        Some(graded(CONTROLLER_UNAVAILABLE, want, what)?.with("/proc/cgroups", listed).hint(format!(
            "Only the host can change this: boot it with cgroup_enable={name}, or mount the {name} hierarchy there \
             before the outer daemon starts"
        )))
    })
    .collect()
}

/// A finding about a controller, at the level that the profile sets.
fn graded(cause: CauseId, want: Want, what: String) -> Option<Finding> {
    match want {
        Want::Required => Some(Finding::fail(cause, what)),
        Want::Wanted => Some(Finding::warn(cause, what)),
        Want::Unneeded => None,
    }
}

/// The strongest of a hierarchy's controllers.
fn strongest(hierarchy: &Hierarchy, wants: &Controllers) -> Want {
    let any = |list: &[String]| hierarchy.controllers.iter().any(|c| list.contains(c));
    match (any(&wants.required), any(&wants.wanted)) {
        (true, _) => Want::Required,
        (false, true) => Want::Wanted,
        (false, false) => Want::Unneeded,
    }
}

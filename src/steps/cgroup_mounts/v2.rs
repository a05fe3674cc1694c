//! Checks that the cgroup v2 tree is writable and has the wanted controllers.

use std::path::Path;

use super::{read_only, root_mount};
use crate::diagnosis::{CauseId, causes};
use crate::facts::cgroup::{Cgroups, ROOT};
use crate::finding::Finding;
use crate::host::SystemReader;
use crate::profile::Controllers;

/// The cause if a controller is not delegated.
const NOT_OFFERED: CauseId = causes::CGROUP_CONTROLLERS_MISSING;

/// The controllers of the mounted root (`cgroup.controllers`).
pub(super) fn offered(host: &dyn SystemReader, cgroups: &Cgroups) -> anyhow::Result<Vec<String>> {
    let dir = cgroups.v2_dir();
    let text = host.read_text(&dir.join("cgroup.controllers"))?;
    Ok(text.split_whitespace().map(ToOwned::to_owned).collect())
}

/// The v2 controller that replaces a v1 one; `None` if v2 needs none (devices are a BPF program,
/// the freezer is part of the core).
pub(crate) fn counterpart(name: &str) -> Option<&str> {
    match name {
        "devices" | "freezer" | "perf_event" => None,
        "blkio" => Some("io"),
        "cpuacct" => Some("cpu"),
        other => Some(other),
    }
}

/// The findings on the v2 tree.
pub(super) fn judge(cgroups: &Cgroups, offered: &[String], wants: &Controllers) -> Vec<Finding> {
    let mut findings: Vec<_> = root_mount(cgroups)
        .filter(|mount| mount.is_read_only() || mount.is_super_read_only())
        .map(|mount| read_only(mount, "the cgroup v2 tree"))
        .into_iter()
        .collect();
    findings.extend(
        lacking(offered, &wants.required)
            .map(|what| evidence(Finding::fail(NOT_OFFERED, what), cgroups, offered)),
    );
    findings.extend(
        lacking(offered, &wants.wanted)
            .map(|what| evidence(Finding::warn(NOT_OFFERED, what), cgroups, offered)),
    );
    if findings.is_empty() {
        findings
            .push(Finding::pass(format!("cgroup v2 is mounted and writable, with {}", offered.join(" "))));
    }
    findings
}

/// A text for each missing controller of a list.
fn lacking<'l>(offered: &'l [String], list: &'l [String]) -> impl Iterator<Item = String> + 'l {
    let mut absent: Vec<&str> = list.iter().filter_map(|name| counterpart(name)).collect();
    absent.sort_unstable();
    absent.dedup();
    absent.retain(|name| offered.iter().all(|o| o != name));
    absent.into_iter().map(|name| {
        format!("the {name} controller is not delegated to this container, so its limits cannot be set")
    })
}

/// Adds the path and the value of `cgroup.controllers`.
fn evidence(finding: Finding, cgroups: &Cgroups, offered: &[String]) -> Finding {
    let path = cgroups.v2_dir().join("cgroup.controllers");
    let value = if offered.is_empty() { "(empty)".to_owned() } else { offered.join(" ") };
    debug_assert!(path.starts_with(Path::new(ROOT)));
    finding.with("path", path.display()).with("value", value)
}

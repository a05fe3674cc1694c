//! Storage: can the directory that this engine will really use hold images and containers?
//!
//! Which directory that is depends on version and configuration: a graphdriver keeps layers below the data
//! root, the containerd store in containerd's own root, which a system containerd has elsewhere.

mod driver;
mod look;
mod place;
#[cfg(test)]
mod tests;

use crate::facts::daemon::Daemon;
use crate::facts::filesystem;
use crate::finding::{Finding, Level};
use crate::options::Need;
use crate::step::{Cx, Phase, Step};

use look::Seen;
pub(super) use look::begin;

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "storage",
    title: "Storage of images and containers",
    why: "Layers are stacked by overlay on the data root: on the wrong file system dockerd falls back to copying every layer, or fails at the first container.",
    phase: Phase::Environment,
    worst: Level::Fail,
    needs: &[Need::DockerdVersion],
    check,
    repair: None,
};

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    if let Some(endpoint) = &cx.options.attach {
        let what = format!("a daemon that runs already is used ({endpoint}): its storage is its own matter");
        return Ok(vec![Finding::pass(what)]);
    }
    let daemon = Daemon::read(cx.host, &cx.options.daemon())?;
    let seen = look::look(cx, &daemon)?;
    let findings = judge(&seen);
    if findings.iter().all(|finding| finding.level != Level::Fail) {
        cx.environment.borrow_mut().storage_driver = Some(driver::expected(&seen).to_owned());
    }
    Ok(findings)
}

/// The directory first, then what the driver makes of it.
fn judge(seen: &Seen) -> Vec<Finding> {
    let mut findings = place::judge(seen);
    if findings.iter().all(|finding| finding.level != Level::Fail) {
        findings.extend(driver::judge(seen));
        findings.extend(place::flags(seen));
    }
    if findings.iter().all(|finding| finding.level != Level::Fail) {
        findings.insert(0, summary(seen));
    }
    findings
}

/// What it is, and how much of it.
fn summary(seen: &Seen) -> Finding {
    let (kind, free) = (filesystem::name(seen.fs.magic), filesystem::free(&seen.fs));
    let driver = driver::expected(seen);
    let what = format!("{} is on {kind} with {free} free: {driver} works there", seen.dir.display());
    let mut finding = Finding::pass(what).with("tried", seen.base.display()).with("driver", driver);
    if seen.fs.inodes > 0 {
        finding = finding.with("inodes_free", seen.fs.inodes_free);
    }
    match &seen.mount {
        Some(mount) => finding.with("mount", format!("{} {}", mount.target.display(), mount.source)),
        None => finding,
    }
}

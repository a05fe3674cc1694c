//! Checks that the directory that this engine will use can store images and containers.
//!
//! Which directory that is depends on version and configuration: a graphdriver keeps layers below the data
//! root, the containerd store in containerd's own root, which a system containerd has elsewhere.

mod attached;
mod directory;
mod driver;
mod look;
mod quota;
mod root;
#[cfg(test)]
mod tests;

use crate::facts::daemon::Daemon;
use crate::facts::filesystem;
use crate::finding::{Finding, Level};
use crate::host::recorded::if_recorded;
use crate::options::Need;
use crate::step::{Cx, Phase, Step};

use look::Seen;
pub(super) use look::begin;

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "storage",
    title: "Storage of images and containers",
    why: "Overlay stacks layers on the data root: on an unsuitable file system dockerd copies every layer, or fails at the first container.",
    phase: Phase::Environment,
    worst: Level::Fail,
    needs: &[Need::DockerdVersion],
    rests_on: &[],
    check,
    repair: None,
};

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    if let Some(endpoint) = &cx.options.attach {
        return attached::check(cx, endpoint);
    }
    let daemon = Daemon::read(cx.host, &cx.options.daemon())?;
    if let Some(finding) = if_recorded(root::judge(cx.host, &daemon.settings))?.flatten() {
        return Ok(vec![finding]);
    }
    let seen = look::look(cx, &daemon)?;
    let mut findings = judge(&seen);
    findings.extend(root::temporary(cx.host, &daemon)?);
    if findings.iter().all(|finding| finding.level != Level::Fail) {
        cx.environment.borrow_mut().storage_driver = Some(driver::expected(&seen).to_owned());
    }
    Ok(findings)
}

/// The directory first, then the driver.
fn judge(seen: &Seen) -> Vec<Finding> {
    let mut findings = directory::judge(seen);
    if findings.iter().all(|finding| finding.level != Level::Fail) {
        findings.extend(driver::judge(seen));
        findings.extend(quota::judge(seen));
        findings.extend(directory::flags(seen));
    }
    if findings.iter().all(|finding| finding.level != Level::Fail) {
        findings.insert(0, summary(seen));
    }
    findings
}

/// The directory, its file system and its free space.
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

//! Checks the file systems of an inner container: root, volume and tmpfs, also over a restart.
//!
//! `probe/storage` says what is tried in the first run and what after the restart.

use crate::diagnosis::{CauseId, causes};
use crate::engine::{EngineError, PairRun};
use crate::facts::confinement::UserNamespace;
use crate::finding::{Finding, Level};
use crate::host::trial::Attempt;
use crate::options::Need;
use crate::probe::Document;
use crate::probe::storage::Storage;
use crate::step::{Cx, Phase, Step};
use crate::workload::{self, Part, Shown};
use nix::errno::Errno;

mod slow;

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "container-storage",
    title: "File system of an inner container",
    why: "An image can load and a container start, and files can still change wrongly, vanish, or never reach the disk.",
    phase: Phase::Workload,
    worst: Level::Fail,
    needs: &[Need::Storage, Need::Restart],
    rests_on: &["image"],
    check,
    repair: None,
};

const REFUSED: CauseId = causes::CONTAINER_START_FAILED;
const VOLUME: CauseId = causes::VOLUME_NOT_WORKING;
const NEVER_TRIED: &str = "the probe did not test the file system";

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let shown = match cx.workload.shown(Part::Storage, VOLUME)? {
        Ok(shown) => shown,
        Err(finding) => return Ok(vec![finding]),
    };
    let mut findings = judge(shown.document());
    if UserNamespace::read(cx.host)? != UserNamespace::Initial {
        findings.iter_mut().for_each(soften);
    }
    if let (Shown::First(..), Some(together)) = (&shown, cx.workload.together()) {
        findings.extend(judge_later(together)?);
    }
    if findings.iter().all(|finding| finding.level == Level::Pass) {
        findings.push(Finding::pass(headline(&shown)));
    }
    Ok(findings)
}

/// overlay in a user namespace does not record where a file was copied up from (overlayfs.rst, `userxattr`): a hard link
/// of a file of the image has another inode number, and is the same file.
fn soften(finding: &mut Finding) {
    let linked = finding.evidence.contains(&("tried", "hard-link".to_owned()));
    if linked && finding.evidence.contains(&("errno", (Errno::EIO as i32).to_string())) {
        finding.level = Level::Warn;
        finding.what =
            "in a container a file of the image changes its inode number when it is hard-linked: overlay in a user namespace".into();
    }
}

/// The first run.
fn judge(document: &Document) -> Vec<Finding> {
    let Some(storage) = &document.storage else { return vec![Finding::fail(REFUSED, NEVER_TRIED)] };
    let root = document.mounts.iter().rfind(|line| line.starts_with("/ "));
    let mut findings = judge_tried(storage);
    let us = |time: Option<u64>| time.map_or_else(|| "unknown".to_owned(), millis);
    let times = format!(
        "fsync of a small file takes {} in the root, {} in a volume",
        us(storage.sync_root_us),
        us(storage.sync_volume_us)
    );
    findings.extend(slow::judge(storage));
    findings.push(
        Finding::pass(times)
            .with("root", root.map_or("?", String::as_str))
            .with("tried", storage.tried.attempts.iter().map(said).collect::<Vec<_>>().join("; ")),
    );
    findings
}

/// A finding for each failed attempt.
fn judge_tried(storage: &Storage) -> Vec<Finding> {
    let failed = storage.tried.attempts.iter().filter_map(|attempt| Some((attempt, attempt.error.as_ref()?)));
    let finding = |(attempt, error): (&Attempt, &crate::host::HostError)| {
        let (cause, words) = meaning(&attempt.name);
        let full = matches!(error.errno(), Errno::ENOSPC | Errno::EDQUOT);
        let cause = if full { causes::DISK_FULL } else { cause };
        Finding::fail(cause, format!("in a container {words}: {error}"))
            .with("tried", &attempt.name)
            .with("path", error.path.display())
            .with("errno", error.errno)
    };
    failed.map(finding).collect()
}

/// Cause and text of a failed attempt.
fn meaning(attempt: &str) -> (CauseId, &'static str) {
    let wrong = causes::CONTAINER_FILESYSTEM_WRONG;
    let lost = causes::CONTAINER_DATA_LOST_ON_RESTART;
    match attempt {
        "copy-up" => (wrong, "a file of the image cannot be changed"),
        "whiteout" => (wrong, "a file of the image cannot be removed"),
        "opaque" => (wrong, "a directory of the image cannot be replaced"),
        "rename" => (wrong, "a file of the image cannot be renamed"),
        "rename-directory" => (wrong, "a directory can be neither renamed nor copied"),
        "hard-link" => (wrong, "a file cannot be hard-linked"),
        "attribute" => (wrong, "an extended attribute is not kept"),
        "root-write" => (wrong, "the root file system does not take a file"),
        "tmpfs-mounted" | "tmpfs-write" => (wrong, "a tmpfs does not work"),
        "tmpfs-emptied" => (wrong, "a tmpfs kept its content over a restart"),
        "root-read-only" => (wrong, "a read-only root file system takes writes"),
        "root-kept" => (lost, "a new file is missing after a restart"),
        "change-kept" => (lost, "a changed file has lost its content after a restart"),
        "removal-kept" => (lost, "a removed file is back after a restart"),
        "volume-kept" => (causes::VOLUME_NOT_WORKING, "the volume's content is missing after a restart"),
        "volume-seen" => (causes::VOLUME_NOT_WORKING, "a volume does not show what another container wrote"),
        _ => (causes::VOLUME_NOT_WORKING, "a volume does not work"),
    }
}

/// An attempt and its result, for the evidence.
fn said(attempt: &Attempt) -> String {
    let end = attempt.error.as_ref().map(ToString::to_string).or_else(|| attempt.detail.clone());
    end.map_or_else(|| attempt.name.clone(), |end| format!("{}: {end}", attempt.name))
}

/// Microseconds as milliseconds.
fn millis(us: u64) -> String {
    format!("{}.{} ms", us / 1000, us % 1000 / 100)
}

/// The second run, the neighbour, and the volume after both.
fn judge_later(together: &PairRun) -> anyhow::Result<Vec<Finding>> {
    if let Err(error) = &together.first.end {
        return Ok(vec![workload::failure(together.first.stage, error.clone(), REFUSED)?]);
    }
    let mut findings = match workload::read(&together.first) {
        Ok(document) => document.storage.as_ref().map(judge_tried).unwrap_or_default(),
        Err(finding) => vec![finding],
    };
    // Later steps report a neighbour that did not run.
    let neighbour = together.others.iter().find(|run| run.end.is_ok());
    findings.extend(neighbour.into_iter().flat_map(|run| match workload::read(run) {
        Ok(document) => document.storage.as_ref().map(judge_tried).unwrap_or_default(),
        Err(finding) => vec![finding],
    }));
    match &together.volume {
        Some(Ok(false)) => {
            findings.push(Finding::fail(VOLUME, "a named volume was removed with its containers"));
        }
        Some(Err(error @ (EngineError::Interrupted(_) | EngineError::Died(_)))) => {
            findings.push(error.clone().into_finding(VOLUME, causes::DAEMON_HANGS)?);
        }
        _ => {}
    }
    Ok(findings)
}

/// The finding of a passed step.
fn headline(shown: &Shown<'_>) -> String {
    let what = "files of an image can be changed, replaced and removed, and a volume keeps its content";
    match shown {
        Shown::First(..) => format!("{what}, also over a restart"),
        Shown::Alone(..) => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ContainerRun;
    use crate::host::HostError;
    use crate::host::trial::TrialReport;
    use crate::probe::storage::Life;
    use crate::testing::problems;

    fn lived(life: Life, failed: &[(&str, Errno)]) -> Document {
        let mut tried = TrialReport::default();
        tried.attempt("copy-up", Ok(()));
        for (name, errno) in failed {
            tried.attempt(name, Err(HostError::new("touch", "/x", *errno)));
        }
        let mut document = crate::probe::look(&crate::host::fake::Fake::new());
        document.storage = Some(Storage { life, tried, sync_root_us: Some(1250), sync_volume_us: None });
        document
    }

    fn ran(document: &Document) -> ContainerRun {
        ContainerRun { stdout: serde_json::to_vec(document).unwrap(), ..ContainerRun::new() }
    }

    #[test]
    fn sound_first_run_reports_its_latency() {
        let findings = judge(&lived(Life::First, &[]));
        assert_eq!(problems(&findings), []);
        assert!(
            findings[0].what.contains("1.2 ms") && findings[0].what.contains("unknown"),
            "{}",
            findings[0].what
        );
    }

    #[test]
    fn each_failed_attempt_has_its_cause() {
        for (name, cause) in [
            ("whiteout", "container-filesystem-wrong"),
            ("root-kept", "container-data-lost-on-restart"),
            ("volume-seen", "volume-not-working"),
        ] {
            assert_eq!(problems(&judge(&lived(Life::First, &[(name, Errno::EIO)]))), [(Level::Fail, cause)]);
        }
        let full = judge(&lived(Life::First, &[("root-write", Errno::ENOSPC)]));
        assert_eq!(problems(&full), [(Level::Fail, "disk-full")]);
    }

    #[test]
    fn link_with_another_inode_number_in_a_user_namespace_warns() {
        let level = |errno| {
            let mut findings = judge(&lived(Life::First, &[("hard-link", errno)]));
            findings.iter_mut().for_each(soften);
            problems(&findings)[0].0
        };
        assert_eq!([level(Errno::EIO), level(Errno::EPERM)], [Level::Warn, Level::Fail]);
    }

    #[test]
    fn lost_file_and_lost_volume_fail() {
        let mut together = PairRun {
            first: ran(&lived(Life::Second, &[("root-kept", Errno::ENOENT)])),
            others: vec![ran(&lived(Life::Visitor, &[]))],
            volume: Some(Ok(false)),
            ..PairRun::default()
        };
        let causes = ["container-data-lost-on-restart", "volume-not-working"];
        assert_eq!(problems(&judge_later(&together).unwrap()), causes.map(|cause| (Level::Fail, cause)));
        together.first.end = Err(EngineError::Interrupted("SIGINT"));
        assert!(judge_later(&together).is_err());
    }
}

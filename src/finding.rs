//! What a check finds, what a repair changes, and what the runner concludes: the data that every layer shares.
//!
//! A finding is data, not an error: a check returns findings, or an error where it could not check.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::diagnosis::{self, CauseId, redact};

/// How far a change reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// This container only.
    Container,
    /// The kernel of the host, and with it every other container.
    Host,
}

impl Reach {
    /// The name in reports and of `--repair`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Host => "host",
        }
    }
}

/// The weight of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// No problem.
    Pass,
    /// A problem with which Docker still works.
    Warn,
    /// A problem with which Docker does not work.
    Fail,
}

/// One result of a check. It is data: the runner concludes from all findings of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its weight.
    pub level: Level,
    /// One sentence without a full stop.
    pub what: String,
    /// Pairs of a key and a path, value or errno that a reader can look up. The keys are part of the JSON report.
    pub evidence: Vec<(&'static str, String)>,
    /// The cause, from causes.yaml; every failing finding has one.
    pub cause: Option<CauseId>,
    /// What to do here, where the remedy of the cause is not exact enough.
    pub hint: Option<String>,
}

impl Finding {
    /// A finding without a problem. Logins in what is said, here and below, are covered.
    pub fn pass(what: impl Into<String>) -> Self {
        Self { level: Level::Pass, what: shown(what.into()), evidence: Vec::new(), cause: None, hint: None }
    }

    /// A finding with which Docker still works.
    pub fn warn(cause: CauseId, what: impl Into<String>) -> Self {
        Self { level: Level::Warn, cause: Some(cause), ..Self::pass(what) }
    }

    /// A finding with which Docker does not work.
    pub fn fail(cause: CauseId, what: impl Into<String>) -> Self {
        Self { level: Level::Fail, cause: Some(cause), ..Self::pass(what) }
    }

    /// Adds a piece of evidence.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.evidence.push((key, shown(value.to_string())));
        self
    }

    /// Sets what to do about it here.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(shown(hint.into()));
        self
    }

    /// What to do: the hint, or else the remedy of the cause.
    pub fn remedy(&self) -> Option<&str> {
        self.hint.as_deref().or_else(|| Some(diagnosis::cause(self.cause?).remedy))
    }
}

/// A text without secrets: it may repeat a line of the daemon's log or an address.
fn shown(text: String) -> String {
    match redact::message(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(covered) => covered,
    }
}

/// What the runner concludes about a step.
#[derive(Debug)]
pub enum Outcome {
    /// No problems found.
    Passed,
    /// Warnings, and no failure.
    Warned,
    /// It failed, was repaired, and then the same check passed.
    Repaired,
    /// A check failed, and no repair helped.
    Failed,
    /// It did not run, and why.
    Skipped(String),
    /// The check ended with an error, so that nothing is known.
    Errored(anyhow::Error),
}

impl Outcome {
    /// The name in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "warned",
            Self::Repaired => "repaired",
            Self::Failed => "failed",
            Self::Skipped(_) => "skipped",
            Self::Errored(_) => "errored",
        }
    }
}

/// A change that a repair made, and its undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What was done, in the past tense.
    pub did: String,
    /// What undoes it.
    pub undo: Undo,
}

/// What undoes a change. Its text is a command that can be pasted into a POSIX shell: paths and values are quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Unmount a mount point.
    Unmount(PathBuf),
    /// Remove a directory that was created.
    RemoveDir(PathBuf),
    /// Remove a file or link that was created.
    RemoveFile(PathBuf),
    /// Write back the former content of a file.
    Restore(PathBuf, Vec<u8>),
    /// Create a directory again that was removed.
    MakeDir(PathBuf),
    /// Write these process IDs to a `cgroup.procs`, one per write(2).
    MoveBack(Vec<i32>, PathBuf),
    /// Mount read-only again, by a bind remount with these `MS_*` flags.
    Remount(PathBuf, u64),
    /// A command for people, quoted by whoever writes it; dindcheck does not run it.
    Manual(String),
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmount(path) => write!(f, "umount {}", quoted(path)),
            Self::RemoveDir(path) => write!(f, "rmdir {}", quoted(path)),
            Self::RemoveFile(path) => write!(f, "rm {}", quoted(path)),
            Self::Restore(path, bytes) => {
                write!(f, "printf %s {} > {}", quoted_text(bytes.trim_ascii_end()), quoted(path))
            }
            Self::MakeDir(path) => write!(f, "mkdir {}", quoted(path)),
            Self::MoveBack(pids, procs) => {
                let pids: Vec<_> = pids.iter().map(ToString::to_string).collect();
                write!(f, "for pid in {}; do echo $pid > {}; done", pids.join(" "), quoted(procs))
            }
            Self::Remount(path, _) => write!(f, "mount -o remount,bind,ro {}", quoted(path)),
            Self::Manual(command) => f.write_str(command),
        }
    }
}

/// A path as one word of a POSIX shell. What is not UTF-8 shows as U+FFFD, since a report is UTF-8.
pub fn quoted(path: &Path) -> String {
    quoted_text(path.as_os_str().as_encoded_bytes())
}

/// A text as one word of a POSIX shell, which cannot hold a NUL: it is left out.
fn quoted_text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace('\0', "");
    shlex::try_quote(&text).map(Cow::into_owned).unwrap_or_default()
}

/// A repair as the report keeps it.
#[derive(Debug)]
pub struct RepairRecord {
    /// The title of the repair.
    pub title: &'static str,
    /// Its reach.
    pub reach: Reach,
    /// Its changes, in order.
    pub changes: Vec<Change>,
    /// Why it stopped before its end, if it did.
    pub error: Option<String>,
}

/// What the run found out about the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Environment {
    /// Release of the kernel, as in uname(2).
    pub kernel: Option<String>,
    /// `v1`, `v2`, `hybrid` or `none`.
    pub cgroup: Option<String>,
    /// Version of the inner engine.
    pub engine: Option<String>,
    /// Docker Engine API version in use.
    pub api: Option<String>,
    /// Storage driver of the inner engine.
    pub storage_driver: Option<String>,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "runs a shell in a directory of its own")]

    use super::*;

    /// Runs an undo as a shell reads it, in a directory whose name a shell would split or interpret.
    fn paste(undo: impl Fn(&Path) -> Undo, before: impl Fn(&Path)) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("it's a $(touch gone) `x` \"y\" \\ * é\n;");
        std::fs::create_dir(&odd).unwrap();
        before(&odd);
        let command = undo(&odd).to_string();
        let status = std::process::Command::new("sh").args(["-c", &command]).status().unwrap();
        assert!(status.success(), "{command}");
        dir
    }

    #[test]
    fn login_reaches_no_part_of_a_finding() {
        let url = "http://me:canary@proxy:3128";
        let finding = Finding::fail(crate::diagnosis::causes::DAEMON_EXITED, format!("a {url}"));
        let finding = finding.with("message", url).hint(format!("unset {url}"));
        assert!(!format!("{finding:?}").contains("canary"), "{finding:?}");
    }

    #[test]
    fn plain_path_is_not_quoted() {
        assert_eq!(Undo::Unmount("/sys/fs/cgroup".into()).to_string(), "umount /sys/fs/cgroup");
        assert_eq!(Undo::Restore("/p".into(), b"1\n".to_vec()).to_string(), "printf %s 1 > /p");
        assert_eq!(Undo::Restore("/p".into(), Vec::new()).to_string(), "printf %s '' > /p");
    }

    #[test]
    fn path_with_spaces_and_quotes_is_one_word() {
        for (undo, expected) in [
            (Undo::Unmount("/a b".into()), "umount '/a b'"),
            (Undo::Remount("/a b".into(), 0), "mount -o remount,bind,ro '/a b'"),
            (
                Undo::MoveBack(vec![1, 2], "/a b/cgroup.procs".into()),
                "for pid in 1 2; do echo $pid > '/a b/cgroup.procs'; done",
            ),
            (Undo::RemoveFile("/it's".into()), "rm \"/it's\""),
        ] {
            assert_eq!(undo.to_string(), expected);
        }
    }

    #[test]
    fn pasted_undo_acts_on_the_odd_path_alone() {
        let dir = paste(|odd| Undo::RemoveDir(odd.to_owned()), |_| {});
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let dir =
            paste(|odd| Undo::RemoveFile(odd.join("f")), |odd| std::fs::write(odd.join("f"), "").unwrap());
        let odd = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        assert_eq!(std::fs::read_dir(odd).unwrap().count(), 0);
        let made = paste(|odd| Undo::MakeDir(odd.join("new dir")), |_| {});
        let odd = std::fs::read_dir(made.path()).unwrap().next().unwrap().unwrap().path();
        assert!(odd.join("new dir").is_dir());
    }

    #[test]
    fn pasted_restore_writes_the_same_value() {
        let value = "it's 50% \"of\" $HOME \\n `x`";
        let dir = paste(|odd| Undo::Restore(odd.join("f"), value.into()), |_| {});
        let odd = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        assert_eq!(std::fs::read_to_string(odd.join("f")).unwrap(), value);
    }

    #[test]
    fn move_back_writes_each_pid() {
        let dir = paste(|odd| Undo::MoveBack(vec![7, 8], odd.join("cgroup.procs")), |_| {});
        let odd = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        assert_eq!(std::fs::read_to_string(odd.join("cgroup.procs")).unwrap(), "8\n");
    }
}

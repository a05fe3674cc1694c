//! Recordings of real worlds, sound and broken, with three engines, give the findings that stand beside them.
//!
//! They are played by a user who owns nothing. `tests/sandbox` makes the recordings (see its README); `make snapshots`
//! writes the findings anew from them and needs no root.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the machine themselves")]

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use dindcheck::plan::NOT_RECORDED;
use serde_json::Value;

mod snapshot;

/// `nobody`.
const ORDINARY: u32 = 65534;

/// The recordings, by name.
fn recordings() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/worlds");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    all.sort();
    all
}

/// Starts the program as an ordinary user: root takes another's place, and the program along to where that one may look.
fn play(recording: &Path, folder: &Path) -> Value {
    let program = Path::new(env!("CARGO_BIN_EXE_dindcheck"));
    let mut command = if nix::unistd::geteuid().is_root() {
        let own = folder.join("recording.json");
        std::fs::copy(recording, &own).unwrap();
        let mut command = Command::new(folder.join("dindcheck"));
        command.uid(ORDINARY).gid(ORDINARY).arg("--replay").arg(own);
        command
    } else {
        let mut command = Command::new(program);
        command.arg("--replay").arg(recording);
        command
    };
    let out = command.env_clear().args(["--format", "json"]).output().unwrap();
    serde_json::from_slice(&out.stdout).unwrap_or_else(|error| {
        panic!("{}: {error}: {}", recording.display(), String::from_utf8_lossy(&out.stderr))
    })
}

/// The steps of the environment phase that the recording has, one a line, without times.
fn findings(report: &Value) -> String {
    let steps = report["steps"].as_array().unwrap().iter();
    let environment = steps.filter(|step| step["phase"] == "environment" && step["reason"] != NOT_RECORDED);
    let timeless = |step: &Value| {
        let mut fields = step.as_object().unwrap().clone();
        fields.retain(|name, _| !name.ends_with("_ms"));
        serde_json::to_string(&fields).unwrap() + "\n"
    };
    environment.map(timeless).collect()
}

#[test]
fn recordings_give_the_findings_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_dindcheck"), folder.path().join("dindcheck")).unwrap();
    let all = recordings();
    assert!(all.len() >= 20, "only {} recordings", all.len());
    for recording in &all {
        snapshot::check(&recording.with_extension("findings"), &findings(&play(recording, folder.path())));
    }
}

#[test]
fn recordings_hold_no_secrets_and_no_paths_of_a_machine() {
    for recording in recordings() {
        let text = std::fs::read_to_string(&recording).unwrap();
        for word in ["/var/cache/", "/home/", "-----BEGIN", "PASSWORD", "TOKEN="] {
            assert!(!text.contains(word), "{}: {word}", recording.display());
        }
    }
}

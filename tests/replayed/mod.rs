//! Recordings of one step, whose replay ends in the same way on any machine.
#![expect(clippy::disallowed_methods, reason = "tests read and write files")]

use std::path::PathBuf;
use std::sync::LazyLock;

/// A world in which the one step passes.
pub(crate) static SOUND: LazyLock<String> = LazyLock::new(|| of("healthy-trixie", "kernel"));

/// A recording with this step alone, in a file that is there for all tests of this run.
pub(crate) fn of(world: &str, step: &str) -> String {
    let from = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/worlds/{world}.json"));
    let mut recording: serde_json::Value = serde_json::from_slice(&std::fs::read(from).unwrap()).unwrap();
    recording["steps"] = serde_json::json!([step]);
    let name = format!("{world}-{}.json", std::process::id());
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, recording.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

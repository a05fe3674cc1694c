//! Replays a recording as an ordinary user, outside of its world, and compares the findings.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::world::{self, World};

/// `nobody`: it owns nothing.
const ORDINARY: u32 = 65534;

/// The first difference between the report of a world and the replay of its recording.
pub(crate) fn complaint(world: &World, recording: &str, report: &Value) -> Option<String> {
    let path = world.outside(recording);
    if let Err(error) = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)) {
        return Some(format!("no recording: {error}"));
    }
    let (seen, played) = (findings(report), findings(&play(&path)));
    let changed = seen.iter().zip(&played).find(|(one, other)| one != other);
    match changed {
        Some((seen, played)) => Some(format!("replay: {played} instead of {seen}")),
        None if seen.is_empty() || seen.len() != played.len() => {
            Some(format!("replay: {} steps", played.len()))
        }
        None => None,
    }
}

/// The report of a replay by an ordinary user.
pub(crate) fn play(recording: &Path) -> Value {
    let mut command = Command::new(world::program().expect("the program under test"));
    command.arg("--replay").arg(recording).args(["--format", "json"]);
    let out = command.env_clear().uid(ORDINARY).gid(ORDINARY).output().expect("start dindcheck");
    serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out.stderr)))
}

/// The steps of the environment phase, as texts, without times.
pub(crate) fn findings(report: &Value) -> Vec<String> {
    let steps = report["steps"].as_array().into_iter().flatten();
    let environment = steps.filter(|step| step["phase"] == "environment");
    environment.map(|step| serde_json::to_string(&timeless(step.clone())).expect("JSON")).collect()
}

/// Removes durations.
fn timeless(mut step: Value) -> Value {
    if let Value::Object(fields) = &mut step {
        fields.retain(|name, _| !name.ends_with("_ms"));
    }
    step
}

//! Replays of a recording whose reports are written to paths, with the real program.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read directories and run programs"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::replayed::SOUND;

/// The program, without what the environment of the tests may set.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dindcheck"));
    command.env_remove("DINDCHECK_PROFILE").env_remove("DINDCHECK_REPAIR").stdin(Stdio::null());
    command
}

/// A replay with these arguments.
fn replay(args: &[&str]) -> Output {
    program().args(["--replay", &SOUND, "--format", "brief"]).args(args).output().unwrap()
}

/// A replay with its report written to a path.
pub(crate) fn output_to(format: &str, path: &Path) -> Output {
    replay(&["--output", &format!("{format}={}", path.display())])
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The names in a directory.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

//! `__trial`: performs a trial, in a child process of its own.

use anyhow::Context;

use crate::host::trial::Trial;
use crate::{exit, talk, trial};

/// Performs the trial that is given as JSON, and prints its result as JSON.
pub fn trial(json: &str) -> anyhow::Result<u8> {
    let trial: Trial = serde_json::from_str(json).context("__trial: invalid JSON")?;
    let report = serde_json::to_string(&trial::perform(&trial))? + "\n";
    talk::print_bytes(report.as_bytes())?;
    Ok(exit::SOUND)
}

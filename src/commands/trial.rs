//! `__trial`: the child in which something is tried.

use anyhow::Context;

use crate::host::trial::Trial;
use crate::{exit, trial};

/// Tries what the JSON says and prints what came of it.
pub fn trial(asked: &str) -> anyhow::Result<u8> {
    let trial: Trial = serde_json::from_str(asked).context("this is no trial")?;
    anstream::println!("{}", serde_json::to_string(&trial::perform(&trial))?);
    Ok(exit::SOUND)
}

//! The exit codes of the program, and the verdicts behind them.

use schemars::JsonSchema;
use serde::Serialize;

/// No step that ran failed: where every step ran, Docker-in-Docker works here.
pub const SOUND: u8 = 0;
/// A step failed.
pub const BROKEN: u8 = 1;
/// A check could not be made, a deadline passed, the run was interrupted or is not over, or what it found could not be
/// written where it was asked for.
pub const UNKNOWN: u8 = 2;
/// An invalid argument, profile or reference; nothing was changed.
pub const USAGE: u8 = 64;

/// The machine or a daemon keeps something from being checked; no argument is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot check")]
pub struct CannotCheck;

/// The exit code where the report could not be written: nobody may take it for sound.
pub const fn unwritten(code: u8) -> u8 {
    if code == SOUND { UNKNOWN } else { code }
}

/// The result of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No step that ran failed.
    Sound,
    /// A step failed.
    Broken,
    /// Nothing failed, but something could not be checked, or the run is not over.
    Unknown,
}

impl Verdict {
    /// The exit code of the program.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Sound => SOUND,
            Self::Broken => BROKEN,
            Self::Unknown => UNKNOWN,
        }
    }

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Broken => "broken",
            Self::Unknown => "unknown",
        }
    }
}

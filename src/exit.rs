//! The exit codes of the program, and the verdicts behind them.

use schemars::JsonSchema;
use serde::Serialize;

/// Docker-in-Docker works here.
pub const SOUND: u8 = 0;
/// A step failed.
pub const BROKEN: u8 = 1;
/// A check could not be made, a deadline passed, or the run was interrupted or is not over.
pub const UNKNOWN: u8 = 2;
/// An invalid argument, profile or reference; nothing was changed.
pub const USAGE: u8 = 64;

/// The result of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every step that ran passed.
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

//! The options of `diagnose`.

use std::path::PathBuf;

use clap::Args;

use super::Plain;

/// The options of `diagnose`.
#[derive(Debug, Args)]
pub struct Diagnose {
    /// Logs of dockerd, containerd, runc, docker or a wrapper script; `-` is standard input.
    #[arg(default_value = "-", value_name = "FILE|-")]
    pub files: Vec<PathBuf>,
    /// The format of the diagnosis.
    #[arg(long, value_enum, default_value = "human")]
    pub format: Plain,
    /// Read on as the last log grows, and print each new diagnosis.
    #[arg(long, short)]
    pub follow: bool,
}

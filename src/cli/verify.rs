//! The options of `verify` and `plan`.

use std::path::PathBuf;

use clap::Args;

use super::values::output;
use crate::profile::Grant;
use crate::report::formats::Format;

/// Which steps run, and how far they may repair.
#[derive(Debug, Clone, Default, Args)]
pub struct Checks {
    /// A built-in profile or a file.
    #[arg(long, env = "DINDCHECK_PROFILE", value_name = "NAME|FILE")]
    pub profile: Option<PathBuf>,
    /// How far repairs may reach.
    #[arg(long, value_enum, env = "DINDCHECK_REPAIR")]
    pub repair: Option<Grant>,
    /// The last step to run.
    #[arg(long, value_name = "STEP")]
    pub until: Option<String>,
    /// Run only these steps and what they rest on: a daemon that is started and stopped, an image.
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    pub only: Vec<String>,
    /// After a failure, finish the phase.
    #[arg(long)]
    pub keep_going: bool,
    /// The image to run: a reference, or `builtin`, which needs no registry.
    #[arg(long, value_name = "REF|builtin")]
    pub image: Option<String>,
    /// Also write the report to a file, after every step.
    #[arg(long, value_name = "FORMAT=FILE", value_parser = output())]
    pub output: Vec<(String, PathBuf)>,
}

/// The options of `verify`.
#[derive(Debug, Clone, Default, Args)]
pub struct Verify {
    /// Which steps run.
    #[command(flatten)]
    pub checks: Checks,
    /// Use a running inner daemon: unix:///PATH or tcp://HOST:PORT; without a value `DOCKER_HOST`, else the
    /// usual socket.
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    pub attach: Option<String>,
    /// Leave the inner daemon running after success.
    #[arg(long)]
    pub keep_daemon: bool,
    /// The format of the report on stdout.
    #[arg(long, value_enum)]
    pub format: Option<&'static Format>,
    /// Save what the checks read, for `--replay`; passwords, keys and most of the environment are left out.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Replay the environment phase of a recording, with its options: needs no root, changes nothing.
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "profile", "repair", "until", "only", "keep_going", "attach", "keep_daemon", "image", "record", "daemon_args",
    ])]
    pub replay: Option<PathBuf>,
    /// Further arguments of dockerd.
    #[arg(last = true, value_name = "DOCKERD ARGS")]
    pub daemon_args: Vec<String>,
}

//! The options of `entrypoint`.

use std::time::Duration;

use clap::Args;

use super::Checks;
use super::values::duration;
use crate::entrypoint::OnFailure;
use crate::profile::DaemonDeath;

/// The options of `entrypoint`.
#[derive(Debug, Args)]
pub struct Entrypoint {
    /// Which steps run.
    #[command(flatten)]
    pub checks: Checks,
    /// What to do if the check fails.
    #[arg(long, value_enum, env = "DINDCHECK_ON_FAILURE", default_value = "stop")]
    pub on_failure: OnFailure,
    /// What to do if the daemon dies before the command ends; by default what the profile says.
    #[arg(long, value_enum)]
    pub on_daemon_death: Option<DaemonDeath>,
    /// How long dockerd may take to stop when the command has ended; `docker stop` gives 10 seconds in all.
    #[arg(long, value_parser = duration, default_value = "8s")]
    pub stop_timeout: Duration,
    /// A further argument of dockerd, beside a command.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub dockerd_arg: Vec<String>,
    /// The command. `dockerd` with its arguments, its options alone, or nothing: run the daemon itself, as
    /// docker-library's entrypoint does.
    #[arg(last = true, value_name = "CMD")]
    pub argv: Vec<String>,
}

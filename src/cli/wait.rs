//! The options of `wait`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Plain;
use super::values::duration;

/// The options of `wait`.
#[derive(Debug, Args)]
pub struct Wait {
    /// How long to wait at most.
    #[arg(long, value_parser = duration, default_value = "60s")]
    pub timeout: Duration,
    /// What to wait for.
    #[arg(long = "for", value_name = "WHAT", value_enum, default_value = "daemon")]
    pub until: Until,
    /// The daemon's address: unix:///PATH or tcp://HOST:PORT; else `DOCKER_HOST`, else the usual socket.
    #[arg(long, value_name = "URL")]
    pub attach: Option<String>,
    /// The daemon runs in another container, such as a sidecar, so its process is not visible here. Implied by a TCP
    /// address.
    #[arg(long)]
    pub elsewhere: bool,
    /// How long to wait for a process that is a dockerd or starts one.
    #[arg(long, value_parser = duration, default_value = "250ms")]
    pub grace: Duration,
    /// The format of the answer.
    #[arg(long, value_enum, default_value = "human")]
    pub format: Plain,
}

/// What `wait` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Until {
    /// The daemon answers.
    Daemon,
    /// The daemon answers, and has run the built-in container once.
    Container,
}

//! What can be typed? The types of the command line, and nothing else.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::entrypoint::OnFailure;
use crate::profile::{DaemonDeath, Format, Grant};

mod formats;
mod image;

use formats::output;
pub use image::Image;

/// Learn whether Docker-in-Docker works here, and if not, the first thing that fails, why, and what makes it
/// work.
#[derive(Debug, Parser)]
#[command(name = "dindcheck", version, max_term_width = 100, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; `verify` where nothing is named.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The options of `verify`.
    #[command(flatten)]
    pub verify: Verify,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run every step here and report the first that fails (the default).
    Verify(Verify),
    /// Print what `verify` would do, and which repairs this world would get; touches nothing.
    Plan(Verify),
    /// List the steps in their order.
    List {
        /// How to print.
        #[arg(long, value_enum, default_value = "human")]
        format: Plain,
    },
    /// Verify, keep the inner daemon, and be the init of a command: the entrypoint of an outer container.
    Entrypoint(Entrypoint),
    /// On the Docker host: start images as outer containers, and verify inside them.
    Image(Image),
    /// Wait until the inner daemon serves; at once where it has died or cannot come.
    Wait(Wait),
    /// Name the first real error in logs, its cause and what to do.
    Diagnose(Diagnose),
    /// Explain a step or a cause.
    Explain {
        /// A step id or a cause id.
        #[arg(required_unless_present = "list")]
        id: Option<String>,
        /// Name every step and cause.
        #[arg(long)]
        list: bool,
    },
    /// Profiles: what is wanted, and how the daemon and the test container are started.
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Print the JSON schema of the report.
    Schema,
    /// Print the completions of a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of every command.
    Man {
        /// A directory to write them to.
        #[arg(value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// What the built-in image runs.
    #[command(name = "probe", hide = true)]
    Probe {
        /// The words of the probe's own protocol.
        words: Vec<String>,
    },
    /// One trial in namespaces of its own.
    #[command(name = "__trial", hide = true)]
    Trial {
        /// The trial as JSON.
        trial: String,
    },
    /// The child of an entrypoint that checks.
    #[command(name = "__check", hide = true)]
    Check {
        /// The errand as JSON.
        errand: String,
    },
    /// Becomes a program of an entrypoint, with the signals and the place that belong to it.
    #[command(name = "__become", hide = true)]
    Become {
        /// In a process group of its own that has the terminal.
        #[arg(long)]
        foreground: bool,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        words: Vec<String>,
    },
    /// Becomes a program that ends with its parent.
    #[command(name = "__exec", hide = true)]
    Exec {
        /// The process that must still be the parent.
        parent: i32,
        /// The program and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        words: Vec<String>,
    },
}

/// The subcommands of `profile`.
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// Name the built-in profiles.
    List,
    /// Print a profile with every question answered.
    Show {
        /// A built-in name or a file.
        name: String,
    },
    /// Check profiles without running them.
    Validate {
        /// Built-in names or files.
        #[arg(required = true)]
        names: Vec<String>,
    },
}

/// How an answer is printed that is no report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Plain {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

/// What is checked, and how far it may be repaired.
#[derive(Debug, Clone, Default, Args)]
pub struct Checks {
    /// A built-in profile or a file.
    #[arg(long, env = "DINDCHECK_PROFILE", value_name = "NAME|FILE")]
    pub profile: Option<String>,
    /// How far repairs may reach.
    #[arg(long, value_enum, env = "DINDCHECK_REPAIR")]
    pub repair: Option<Grant>,
    /// The last step to run.
    #[arg(long, value_name = "STEP")]
    pub until: Option<String>,
    /// Run only these steps, with the start and the end of a daemon where one of them needs it.
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    pub only: Vec<String>,
    /// After a failure, finish its phase.
    #[arg(long)]
    pub keep_going: bool,
    /// The image to run: a reference, or `builtin`, which needs no registry.
    #[arg(long, value_name = "REF|builtin")]
    pub image: Option<String>,
    /// Also write the report to a file, after every step.
    #[arg(long, value_name = "FORMAT=FILE", value_parser = output)]
    pub output: Vec<(Format, PathBuf)>,
}

/// The options of `verify`.
#[derive(Debug, Clone, Default, Args)]
pub struct Verify {
    /// What is checked.
    #[command(flatten)]
    pub checks: Checks,
    /// Use a running inner daemon: unix:///PATH or tcp://HOST:PORT; without a value `DOCKER_HOST`, else the
    /// usual socket.
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    pub attach: Option<String>,
    /// Leave the inner daemon running after success.
    #[arg(long)]
    pub keep_daemon: bool,
    /// What stdout gets.
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Save what the checks saw, for `--replay`; passwords, keys and most of the environment are left out.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Play the environment phase of a recording: needs no root, touches nothing, takes its options from there.
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "profile", "repair", "until", "only", "keep_going", "attach", "keep_daemon", "image", "record", "daemon_args",
    ])]
    pub replay: Option<PathBuf>,
    /// Further arguments of dockerd.
    #[arg(last = true, value_name = "DOCKERD ARGS")]
    pub daemon_args: Vec<String>,
}

/// The options of `entrypoint`.
#[derive(Debug, Args)]
pub struct Entrypoint {
    /// What is checked.
    #[command(flatten)]
    pub checks: Checks,
    /// Where the check fails: end, run the command all the same, or run a shell instead.
    #[arg(long, value_enum, env = "DINDCHECK_ON_FAILURE", default_value = "stop")]
    pub on_failure: OnFailure,
    /// Where the daemon dies before the command: say so, start it again, or end; else as the profile says.
    #[arg(long, value_enum)]
    pub on_daemon_death: Option<DaemonDeath>,
    /// How long dockerd may take to stop when the command has ended; `docker stop` gives 10 seconds in all.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "8s")]
    pub stop_timeout: Duration,
    /// A further argument of dockerd, beside a command.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub dockerd_arg: Vec<String>,
    /// The command. `dockerd` with its arguments, or its options alone, or nothing: the daemon itself, as with
    /// docker-library's entrypoint.
    #[arg(last = true, value_name = "CMD")]
    pub words: Vec<String>,
}

/// The options of `wait`.
#[derive(Debug, Args)]
pub struct Wait {
    /// How long to wait at most.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "60s")]
    pub timeout: Duration,
    /// What to wait for: the daemon's answer, or also the built-in container, run once.
    #[arg(long = "for", value_name = "WHAT", value_enum, default_value = "daemon")]
    pub wanted: Until,
    /// Where the daemon is to answer: unix:///PATH or tcp://HOST:PORT; else `DOCKER_HOST`, else the usual socket.
    #[arg(long, value_name = "URL")]
    pub attach: Option<String>,
    /// The daemon runs in another container (a sidecar): its process cannot be seen from here. So it is with every
    /// TCP address.
    #[arg(long)]
    pub elsewhere: bool,
    /// How long no process at all may be there that is a dockerd or starts one.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "250ms")]
    pub grace: Duration,
    /// How to print.
    #[arg(long, value_enum, default_value = "human")]
    pub format: Plain,
}

/// What `wait` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Until {
    /// The daemon answers.
    Daemon,
    /// The built-in container ran.
    Container,
}

/// The options of `diagnose`.
#[derive(Debug, Args)]
pub struct Diagnose {
    /// Logs of dockerd, containerd, runc, docker or a wrapper script; `-` is standard input.
    #[arg(default_value = "-", value_name = "FILE|-")]
    pub files: Vec<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value = "human")]
    pub format: Plain,
    /// Go on reading as the last log grows; print anew when the answer changes.
    #[arg(long, short)]
    pub follow: bool,
}

//! The types of the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

mod entrypoint;
mod image;
mod logs;
mod parse;
mod values;
mod verify;
mod wait;

pub use entrypoint::Entrypoint;
pub use image::Image;
pub use logs::Diagnose;
pub use parse::parse;
pub use verify::{Checks, Verify};
pub use wait::{Until, Wait};

/// Check whether Docker-in-Docker works here, and if not, report the first thing that fails, why, and what makes it work.
#[derive(Debug, Parser)]
#[command(name = "dindcheck", version, max_term_width = 100, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// The subcommand; `verify` by default.
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
    /// Show what `verify` would do and repair; changes nothing.
    Plan(Verify),
    /// List the steps in their order.
    List {
        /// The format of the list.
        #[arg(long, value_enum, default_value = "human")]
        format: Plain,
    },
    /// Verify, keep the inner daemon, and be the init of a command: the entrypoint of an outer container.
    Entrypoint(Entrypoint),
    /// On the Docker host: start images as outer containers, and verify inside them.
    Image(Image),
    /// Wait until the inner daemon serves; stop at once if it has died or cannot start.
    Wait(Wait),
    /// Find the first real error in logs, its cause and what to do.
    Diagnose(Diagnose),
    /// Explain a step or a cause.
    Explain {
        /// The id of a step or a cause.
        #[arg(required_unless_present = "list")]
        id: Option<String>,
        /// List every step and cause.
        #[arg(long)]
        list: bool,
    },
    /// List, show and validate profiles: what is required here, and how the daemon and the test container are started.
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Print the JSON schema of the report.
    Schema,
    /// Print the completions of a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write the pages of all commands to a directory.
    Man {
        /// The directory.
        #[arg(value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// The program of the built-in image.
    #[command(name = "probe", hide = true)]
    Probe {
        /// The arguments of the probe.
        args: Vec<String>,
    },
    /// Perform a trial in namespaces of its own.
    #[command(name = "__trial", hide = true)]
    Trial {
        /// The trial as JSON.
        trial: String,
    },
    /// Run the check of an entrypoint, as its child.
    #[command(name = "__check", hide = true)]
    Check {
        /// The request as JSON.
        request: String,
    },
    /// Become the command of an entrypoint, with default signals and a process group of its own.
    #[command(name = "__become", hide = true)]
    Become {
        /// Let the process group have the terminal.
        #[arg(long)]
        foreground: bool,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        argv: Vec<String>,
    },
    /// Record what the dockerd of a run makes, also after a run that is killed.
    #[command(name = "__witness", hide = true)]
    Witness {
        /// The directory of the run.
        directory: PathBuf,
    },
    /// Become a program that ends with its parent.
    #[command(name = "__exec", hide = true)]
    Exec {
        /// The process that must still be the parent.
        parent: i32,
        /// The program and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        argv: Vec<String>,
    },
}

/// The subcommands of `profile`.
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// List the built-in profiles.
    List,
    /// Print a profile with the values of all keys.
    Show {
        /// A built-in name or a file.
        name: PathBuf,
    },
    /// Check profiles without running them.
    Validate {
        /// Built-in names or files.
        #[arg(required = true)]
        names: Vec<PathBuf>,
    },
}

/// The format of an output that is not a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Plain {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

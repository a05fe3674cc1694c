//! The subcommands, one file each; each returns an exit code.

pub mod diagnose;
pub mod entrypoint;
pub mod explain;
pub mod image;
pub mod list;
pub mod manual;
pub mod plan;
pub mod profile;
pub mod recording;
pub mod trial;
pub mod verify;
pub mod wait;

use crate::cli::{Cli, Command};
use crate::engine::dockerd::become_program;
use crate::engine::live::observe;
use crate::entrypoint::init::exec_program;
use crate::exit::{self, CannotCheck};
use crate::host::live::Live;
use crate::report::document;
use crate::talk::{self, StdoutError};

/// Runs the subcommand that was typed; returns the exit code.
pub fn dispatch(cli: Cli) -> u8 {
    let host = Live::default();
    let code = match cli.command {
        None => verify::verify(&host, &cli.verify),
        Some(Command::Verify(args)) => verify::verify(&host, &args),
        Some(Command::Plan(args)) => plan::plan(&host, &args),
        Some(Command::List { format }) => list::list(format),
        Some(Command::Entrypoint(args)) => entrypoint::entrypoint(&host, &args),
        Some(Command::Image(args)) => image::image(&host, &args),
        Some(Command::Wait(args)) => wait::wait(&host, &args),
        Some(Command::Diagnose(args)) => diagnose::diagnose(args),
        Some(Command::Explain { id, list }) => explain::explain(id.as_deref(), list),
        Some(Command::Profile(command)) => profile::profile(&host, &command),
        Some(Command::Schema) => schema(),
        Some(Command::Completions { shell }) => manual::completions(shell),
        Some(Command::Man { dir }) => manual::man(dir.as_deref()),
        Some(Command::Probe { args }) => Ok(crate::probe::main(&args)),
        Some(Command::Trial { trial }) => trial::trial(&trial),
        Some(Command::Check { request }) => entrypoint::check(&host, &request),
        Some(Command::Become { foreground, argv }) => Ok(exec_program(foreground, &argv)),
        Some(Command::Witness { directory }) => {
            observe(&host, &directory);
            Ok(exit::SOUND)
        }
        Some(Command::Exec { parent, argv }) => {
            let error = become_program(parent, &argv);
            talk::survive_broken_pipe();
            Err(error)
        }
    };
    code.unwrap_or_else(|error| {
        talk::say_error(&error);
        code_of(&error)
    })
}

/// The exit code of an error: all but these are found before anything is done.
fn code_of(error: &anyhow::Error) -> u8 {
    if error.is::<StdoutError>() || error.is::<CannotCheck>() { exit::UNKNOWN } else { exit::USAGE }
}

/// `schema`: prints the schema of the JSON report.
fn schema() -> anyhow::Result<u8> {
    talk::print_json(&document::schema())?;
    Ok(exit::SOUND)
}

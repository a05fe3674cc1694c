//! What does each subcommand do? One file a subcommand; each returns an exit code.

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

use crate::cli::{self, Cli, Command, Plain};
use crate::engine::dockerd::become_program;
use crate::entrypoint::init::exec_program;
use crate::exit;
use crate::host::live::Live;
use crate::interrupt::Interrupt;
use crate::report::document;

/// Carries out what was typed.
pub fn dispatch(cli: Cli) -> u8 {
    let host = Live::default();
    let done = match cli.command {
        None => verify::verify(&host, &cli.verify),
        Some(Command::Verify(args)) => verify::verify(&host, &args),
        Some(Command::Plan(args)) => plan::plan(&host, &args),
        Some(Command::List { format }) => list::list(format),
        Some(Command::Entrypoint(args)) => entrypoint::entrypoint(&host, &args),
        Some(Command::Image(args)) => image::image(&host, &args),
        Some(Command::Wait(args)) => wait::wait(&host, &args),
        Some(Command::Diagnose(args)) => logs(args),
        Some(Command::Explain { id, list }) => explain::explain(id.as_deref(), list),
        Some(Command::Profile(command)) => profile::profile(&host, &command),
        Some(Command::Schema) => schema(),
        Some(Command::Completions { shell }) => manual::completions(shell),
        Some(Command::Man { dir }) => manual::man(dir.as_deref()),
        Some(Command::Probe { words }) => Ok(crate::probe::main(&words)),
        Some(Command::Trial { trial }) => trial::trial(&trial),
        Some(Command::Check { errand }) => entrypoint::check(&host, &errand),
        Some(Command::Become { foreground, words }) => Ok(exec_program(foreground, &words)),
        Some(Command::Exec { parent, words }) => Err(become_program(parent, &words)),
    };
    done.unwrap_or_else(|error| {
        anstream::eprintln!("dindcheck: {error:#}");
        exit::USAGE
    })
}

/// `schema`: what the JSON report looks like.
fn schema() -> anyhow::Result<u8> {
    anstream::println!("{}", serde_json::to_string_pretty(&document::schema())?);
    Ok(exit::SOUND)
}

/// `diagnose`, with stdout and the signals that end a `--follow`.
fn logs(args: cli::Diagnose) -> anyhow::Result<u8> {
    let request =
        diagnose::Request { files: args.files, follow: args.follow, json: args.format == Plain::Json };
    let interrupt = if args.follow { Interrupt::listen()? } else { Interrupt::default() };
    let mut out = anstream::stdout().lock();
    let failed = diagnose::diagnose(&request, &mut out, &|| interrupt.signal().is_some())?;
    Ok(if failed { exit::BROKEN } else { exit::SOUND })
}

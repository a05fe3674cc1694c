//! Parses the command line, and reports what is invalid in it.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, CommandFactory, FromArgMatches};

use super::Cli;
use crate::exit;
use crate::talk::{print, say_error, tell};
use crate::text::shown::one_line;

/// The command line of these arguments. Help and errors are printed, and their exit code returned.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, u8> {
    let mut command = without_empty_variables(Cli::command());
    let matches = command.try_get_matches_from_mut(args);
    let parsed = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map_err(|error| report(shown(error.format(&mut command))))
}

/// The command in which a variable of the environment that is empty counts as unset, as Compose's `${X:-}` leaves it.
fn without_empty_variables(command: Command) -> Command {
    command.mut_args(without_empty_variable).mut_subcommands(without_empty_variables)
}

#[expect(clippy::disallowed_methods, reason = "the variables that clap reads, before anything else can")]
fn without_empty_variable(arg: Arg) -> Arg {
    let is_empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if is_empty { arg.env(None::<&'static str>) } else { arg }
}

/// The error with what was typed in one line.
fn shown(mut error: clap::Error) -> clap::Error {
    let line = |text: &String| one_line(text).into_owned();
    let typed: Vec<(ContextKind, ContextValue)> = error
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) => Some((kind, ContextValue::String(line(text)))),
            ContextValue::Strings(texts) => {
                Some((kind, ContextValue::Strings(texts.iter().map(line).collect())))
            }
            _ => None,
        })
        .collect();
    for (kind, value) in typed {
        error.insert(kind, value);
    }
    error
}

/// Prints help on stdout, an error on stderr; returns the exit code.
fn report(error: clap::Error) -> u8 {
    let text = error.render().ansi().to_string();
    if error.use_stderr() {
        tell(text.trim_end());
        return exit::USAGE;
    }
    match print(&text) {
        Ok(()) => exit::SOUND,
        Err(error) => {
            say_error(&error.into());
            exit::UNKNOWN
        }
    }
}

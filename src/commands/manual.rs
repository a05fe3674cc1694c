//! `completions` and `man`, generated from the definition of the command line.
#![expect(clippy::disallowed_methods, reason = "writes the pages to the directory that the user named")]

use std::path::Path;

use anyhow::{Context, anyhow};
use clap::{Args, Command, CommandFactory};

use crate::cli::{Cli, Verify};
use crate::report::target::{Access, Target};
use crate::text::shown;
use crate::{exit, talk, text};

/// Prints the completions of a shell.
pub fn completions(shell: clap_complete::Shell) -> anyhow::Result<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut visible(), "dindcheck", &mut text);
    talk::print_bytes(&text)?;
    Ok(exit::SOUND)
}

/// The command line without the subcommands that dindcheck runs itself with.
fn visible() -> Command {
    let all = Cli::command();
    let shown = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    Verify::augment_args(Command::new("dindcheck").version(env!("CARGO_PKG_VERSION"))).subcommands(shown)
}

/// Prints the manual page of dindcheck, or writes the pages of all commands to a directory.
pub fn man(dir: Option<&Path>) -> anyhow::Result<u8> {
    let Some(dir) = dir else {
        talk::print_bytes(&page(Cli::command())?.1)?;
        return Ok(exit::SOUND);
    };
    let failed = |error: &std::io::Error| {
        anyhow!("man: cannot write to {}: {}", shown::path(dir), text::errors::reason(error))
    };
    std::fs::create_dir_all(dir).map_err(|error| failed(&error))?;
    let mut command = Cli::command().disable_help_subcommand(true);
    // Each page has the name that its command has below dindcheck.
    command.build();
    for command in with_subcommands(&command) {
        let (name, text) = page(command)?;
        let mut target = Target::open(&dir.join(name), Access::Usual).context("man")?;
        target.write(&text).map_err(|error| failed(&error))?;
    }
    Ok(exit::SOUND)
}

/// A command, and those below it that are not hidden.
fn with_subcommands(command: &Command) -> Vec<Command> {
    let below = command.get_subcommands().filter(|command| !command.is_hide_set());
    std::iter::once(command.clone()).chain(below.flat_map(with_subcommands)).collect()
}

/// The file's name and the text of a command's page.
fn page(command: Command) -> anyhow::Result<(String, Vec<u8>)> {
    let page = clap_mangen::Man::new(command);
    let mut text = Vec::new();
    page.render(&mut text)?;
    Ok((page.get_filename(), text))
}

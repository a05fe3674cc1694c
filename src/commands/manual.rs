//! `completions` and `man`, generated from the definition of the command line.
#![expect(clippy::disallowed_methods, reason = "writes the pages to the directory that the user named")]

use std::path::Path;

use anyhow::Context;
use clap::{Args, Command, CommandFactory};

use crate::cli::{Cli, Verify};
use crate::{exit, talk};

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
    if let Some(dir) = dir {
        std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        clap_mangen::generate_to(Cli::command(), dir)
            .with_context(|| format!("write to {}", dir.display()))?;
        return Ok(exit::SOUND);
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut text)?;
    talk::print_bytes(&text)?;
    Ok(exit::SOUND)
}

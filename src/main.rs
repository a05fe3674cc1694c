//! The `dindcheck` program: parses, calls, and maps the verdict to an exit code.

use std::process::ExitCode;

use clap::Parser;
use dindcheck::cli::Cli;
use dindcheck::exit;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => ExitCode::from(dindcheck::commands::dispatch(cli)),
        Err(error) => {
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::SOUND })
        }
    }
}

//! The `dindcheck` program: parses, calls, and maps the verdict to an exit code.

use std::process::ExitCode;

use dindcheck::{cli, commands};

fn main() -> ExitCode {
    ExitCode::from(match cli::parse(std::env::args_os()) {
        Ok(cli) => commands::dispatch(cli),
        Err(code) => code,
    })
}

//! Temporary, until the real command line is there: `diagnose [--format json] [--follow] FILE..`.
use std::process::ExitCode;

use dindcheck::commands::diagnose::{Request, diagnose};

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let files = arguments.iter().filter(|word| !["--format", "json", "--follow"].contains(&word.as_str()));
    let request =
        Request { files: files.map(Into::into).collect(), follow: has("--follow"), json: has("json") };
    let failed = diagnose(&request, &mut std::io::stdout().lock(), &|| false)?;
    Ok(ExitCode::from(u8::from(failed)))
}

//! `diagnose`: what is the first real error of a log?
#![allow(clippy::disallowed_methods, reason = "the user's own log files")]

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::cli;
use crate::diagnosis::{Diagnoser, Diagnosis, LogLine};
use crate::interrupt::Interrupt;
use crate::profile::Format;
use crate::report::exit;

/// What is read at once.
const PIECE: usize = 128 << 10;
/// How often a log that is followed is looked at.
const PAUSE: Duration = Duration::from_millis(50);

/// Reads the logs and prints what they say; exit 1 where they say a failure.
pub fn diagnose(args: &cli::Diagnose) -> anyhow::Result<u8> {
    let mut sources = args.files.iter().map(|path| open(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut diagnoser = Diagnoser::new();
    for (path, source) in args.files.iter().zip(&mut sources) {
        drain(source, &mut diagnoser).with_context(|| format!("read {}", path.display()))?;
    }
    let diagnosis = diagnoser.finish();
    print(&diagnosis, args.format)?;
    match sources.pop() {
        Some(last) if args.follow => follow(last, &mut diagnoser, args.format, &diagnosis),
        _ => Ok(if diagnosis.is_failure() { exit::BROKEN } else { exit::SOUND }),
    }
}

/// A log, or standard input.
fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    ensure!(!file.metadata()?.is_dir(), "{} is a directory, not a log", path.display());
    Ok(Box::new(file))
}

/// Reads to the present end.
fn drain(source: &mut dyn Read, diagnoser: &mut Diagnoser) -> io::Result<usize> {
    let mut piece = vec![0; PIECE];
    let mut all = 0;
    loop {
        match source.read(&mut piece) {
            Ok(0) => return Ok(all),
            Ok(count) => {
                diagnoser.push(&piece[..count]);
                all += count;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Prints anew whenever the first error changes, until a signal ends it.
fn follow(
    mut log: Box<dyn Read>,
    diagnoser: &mut Diagnoser,
    format: Format,
    first: &Diagnosis,
) -> anyhow::Result<u8> {
    let interrupt = Interrupt::listen()?;
    let mut told = mark(first);
    let mut failed = first.is_failure();
    while interrupt.signal().is_none() {
        if drain(&mut *log, diagnoser)? == 0 {
            std::thread::sleep(PAUSE);
            continue;
        }
        let diagnosis = diagnoser.finish();
        if mark(&diagnosis) != told {
            told = mark(&diagnosis);
            failed = diagnosis.is_failure();
            print(&diagnosis, format)?;
        }
    }
    Ok(if failed { exit::BROKEN } else { exit::SOUND })
}

/// What makes an answer another one.
fn mark(diagnosis: &Diagnosis) -> (&'static str, Option<u64>) {
    (diagnosis.cause.id.as_str(), diagnosis.first_error.as_ref().map(|line| line.line))
}

/// Prints the answer.
fn print(diagnosis: &Diagnosis, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => anstream::println!("{}", serde_json::to_string_pretty(diagnosis)?),
        Format::Human => human(diagnosis),
    }
    Ok(())
}

/// For people: the first error leads.
fn human(diagnosis: &Diagnosis) {
    let cause = diagnosis.cause;
    anstream::println!("cause:        {}", cause.id.as_str());
    anstream::println!("meaning:      {}", cause.meaning);
    if let Some(first) = &diagnosis.first_error {
        anstream::println!("first error:  {}", told(first));
    }
    anstream::println!("remedy:       {}", cause.remedy);
    if let Some(hint) = &diagnosis.hint {
        anstream::println!("hint:         {hint}");
    }
    if let Some(last) = diagnosis
        .last_error
        .as_ref()
        .filter(|last| Some(last.line) != diagnosis.first_error.as_ref().map(|l| l.line))
    {
        anstream::println!("last message: {} (a consequence)", told(last));
    }
}

/// A line with its number.
fn told(line: &LogLine) -> String {
    format!("line {}: {}", line.line, line.text)
}

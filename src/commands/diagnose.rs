//! `diagnose`: finds the first real error of each log, its cause and what to do.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use nix::errno::Errno;

use crate::cli::{self, Plain};
use crate::diagnosis::{Diagnoser, Diagnosis, NotALog};
use crate::exit;
use crate::finding::quoted;
use crate::host::input::SILENCE;
use crate::interrupt::Interrupt;
use crate::talk::{print_report, say, say_error};
use crate::text::errors::reason;
use crate::text::{seconds, shown};

use log_file::{LogFile, PIECE, Piece};
use printer::Printer;

mod log_file;
mod printer;

/// So many bytes of a log are read, unless it is followed: an endless one ends here.
const LIMIT: u64 = 4 << 30;
/// How often a followed log that has ended is read again.
const POLL: Duration = Duration::from_millis(50);

/// The logs to diagnose, and how to print the answers.
#[derive(Debug, Clone)]
struct Request {
    /// The logs; `-` is standard input, and so is an empty list.
    files: Vec<PathBuf>,
    /// Read on as the (single) log grows, and print each new answer.
    follow: bool,
    /// One JSON object a line instead of text.
    json: bool,
    /// The most bytes to read of a log that is not followed.
    limit: u64,
}

/// The answer for all logs.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Answer {
    /// A log shows a failure.
    failed: bool,
    /// A log without a failure has more than was read.
    cut: bool,
}

/// Diagnoses the logs until they end, or with `--follow` until a signal comes.
pub fn diagnose(args: cli::Diagnose) -> anyhow::Result<u8> {
    let json = args.format == Plain::Json;
    let request = Request { files: args.files, follow: args.follow, json, limit: LIMIT };
    let interrupt = if args.follow { Interrupt::listen()? } else { Interrupt::default() };
    let mut lost = false;
    // What cannot be printed does not keep the exit code from saying what was found.
    let mut out = |text: &str| {
        if let (Err(error), false) = (print_report(text), lost) {
            say_error(&error.into());
            lost = true;
        }
        Ok(())
    };
    let answer = answer(&request, &mut out, &|| interrupt.signal().is_some())?;
    let code = match answer {
        Answer { failed: true, .. } => exit::BROKEN,
        Answer { cut: true, .. } => exit::UNKNOWN,
        Answer { .. } => exit::SOUND,
    };
    Ok(if lost { exit::unwritten(code) } else { code })
}

/// Prints the diagnosis of each log.
fn answer(
    request: &Request,
    out: &mut dyn FnMut(&str) -> anyhow::Result<()>,
    stop: &dyn Fn() -> bool,
) -> anyhow::Result<Answer> {
    let standard_input = [PathBuf::from("-")];
    let files = if request.files.is_empty() { &standard_input[..] } else { &request.files };
    ensure!(!request.follow || files.len() == 1, "only one log can be followed");
    let mut answer = Answer::default();
    for path in files {
        // JSON has a name as it is, where it is text.
        let name = || path.to_str().map_or_else(|| shown::path(path), ToOwned::to_owned);
        let name = (files.len() > 1).then(name);
        let mut printer = Printer { name, json: request.json, out, last: None };
        let (diagnosis, cut) = read(path, request, &mut printer, stop)?;
        answer.failed |= diagnosis.is_failure();
        answer.cut |= cut && !diagnosis.is_failure();
    }
    Ok(answer)
}

/// Reads a log; its diagnosis, and whether it has more than was read.
fn read(
    path: &Path,
    request: &Request,
    printer: &mut Printer<'_>,
    stop: &dyn Fn() -> bool,
) -> anyhow::Result<(Diagnosis, bool)> {
    let failed = |error: io::Error| unreadable(path, &error);
    let patience = if request.follow { Duration::MAX } else { SILENCE };
    let mut log = LogFile::open(path, patience).map_err(failed)?;
    let mut diagnoser = Diagnoser::new();
    let (mut buffer, mut length) = (vec![0; PIECE], 0_u64);
    loop {
        let piece = log.read(&mut buffer).map_err(failed)?;
        if let Piece::Bytes(read) = piece {
            length += read as u64;
            diagnoser.push(&buffer[..read]);
            if diagnoser.has_decided() {
                refuse(path, &diagnoser)?;
            }
        }
        let cut = !request.follow && length >= request.limit;
        let is_over = piece == Piece::End && (!request.follow || path == Path::new("-"));
        if cut || is_over || (request.follow && stop()) {
            refuse(path, &diagnoser)?;
            return conclude(path, &mut diagnoser, cut.then_some(request.limit), printer);
        }
        if request.follow
            && follow(&piece, &mut log, &mut diagnoser, printer).with_context(|| shown::path(path))?
        {
            diagnoser = Diagnoser::new();
        }
    }
}

/// Prints what is known so far of a log that grows, or waits for more; whether it was truncated.
fn follow(
    piece: &Piece,
    log: &mut LogFile,
    diagnoser: &mut Diagnoser,
    printer: &mut Printer<'_>,
) -> anyhow::Result<bool> {
    match piece {
        Piece::Bytes(_) => printer.print(&diagnoser.finish()).map(|()| false),
        Piece::Nothing => Ok(false),
        Piece::End => {
            std::thread::sleep(POLL);
            Ok(log.was_truncated()?)
        }
    }
}

/// Prints the diagnosis of a log that has ended, or of which only so many bytes were read.
fn conclude(
    path: &Path,
    diagnoser: &mut Diagnoser,
    limit: Option<u64>,
    printer: &mut Printer<'_>,
) -> anyhow::Result<(Diagnosis, bool)> {
    if let Some(limit) = limit {
        say(&format!("{}: only the first {} were read", shown::path(path), indicatif::BinaryBytes(limit)));
    }
    let diagnosis = diagnoser.finish();
    printer.print(&diagnosis)?;
    Ok((diagnosis, limit.is_some()))
}

/// Refuses what is no log.
fn refuse(path: &Path, diagnoser: &Diagnoser) -> anyhow::Result<()> {
    let name = shown::path(path);
    match diagnoser.not_a_log() {
        None => Ok(()),
        Some(NotALog::Packed(what, command)) => {
            let file = if path == Path::new("-") { "FILE".to_owned() } else { quoted(path) };
            bail!("cannot diagnose {name}: it is {what}; use `{command} {file} | dindcheck diagnose -`")
        }
        Some(NotALog::Binary) => {
            bail!(
                "cannot diagnose {name}: it is no text; use the log that dockerd, containerd or `docker logs` wrote"
            )
        }
    }
}

/// The error of a log that cannot be read.
fn unreadable(path: &Path, error: &io::Error) -> anyhow::Error {
    let name = shown::path(path);
    match error.raw_os_error() {
        Some(errno) if errno == Errno::ETIMEDOUT as i32 => {
            anyhow!(
                "cannot read {name}: nothing came for {} (ETIMEDOUT); is its writer running?",
                seconds(SILENCE)
            )
        }
        _ => anyhow!("cannot read {name}: {}", reason(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn request(files: Vec<PathBuf>) -> Request {
        Request { files, follow: false, json: false, limit: LIMIT }
    }

    fn diagnose(request: &Request) -> (bool, String) {
        let mut text = String::new();
        let answer = answer(request, &mut append(&mut text), &|| true).unwrap();
        (answer.failed, text)
    }

    fn append(text: &mut String) -> impl FnMut(&str) -> anyhow::Result<()> {
        |piece| {
            text.push_str(piece);
            Ok(())
        }
    }

    fn log(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn text_begins_with_the_first_error_and_has_the_remedy() {
        let file = log("level=info msg=x\nfailed to start daemon: Devices cgroup isn't mounted\n");
        let (failed, text) = diagnose(&request(vec![file.path().into()]));
        assert!(failed);
        assert!(
            text.starts_with("cgroup-v1-devices-not-mounted (cgroup)\n  first error  line 2: failed"),
            "{text}"
        );
        assert!(text.contains("\n  remedy       "));
    }

    #[test]
    fn several_logs_print_one_object_each() {
        let (bad, good) = (log("iptables: not found\n"), log("all is well\n"));
        let files = vec![bad.path().into(), good.path().into()];
        let (failed, text) = diagnose(&Request { json: true, ..request(files) });
        let ids: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(failed);
        assert_eq!(ids[0]["cause"]["id"], "iptables-program-missing");
        assert_eq!(
            (&ids[1]["cause"]["id"], &ids[1]["schema_version"]),
            (&"no-error-found".into(), &1.into())
        );
        assert!(ids[0]["file"].is_string());
    }

    #[test]
    fn an_unreadable_log_is_an_error_with_its_name() {
        let request = request(vec!["/nonexistent/x".into()]);
        let error = answer(&request, &mut |_| Ok(()), &|| true).unwrap_err();
        assert!(format!("{error:#}").contains("/nonexistent/x"));
    }

    #[test]
    fn a_followed_log_prints_each_change_once() {
        let file = log("x\n");
        let (path, ended) = (file.path().to_owned(), std::cell::Cell::new(0));
        let stop = || {
            ended.set(ended.get() + 1);
            if ended.get() == 1 {
                let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
                file.write_all(b"failed to find runc binary\n").unwrap();
            }
            ended.get() > 3
        };
        let mut text = String::new();
        let request = Request { follow: true, json: true, ..request(vec![path.clone()]) };
        assert!(answer(&request, &mut append(&mut text), &stop).unwrap().failed);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.lines().last().unwrap().contains("runc-program-missing"));
    }

    #[test]
    fn endless_log_is_cut_and_is_not_healthy() {
        let endless = log(&"level=info msg=x\n".repeat(100_000));
        let request = Request { limit: 300_000, ..request(vec![endless.path().into()]) };
        let answer = answer(&request, &mut |_| Ok(()), &|| true).unwrap();
        assert_eq!(answer, Answer { failed: false, cut: true });
    }

    #[test]
    fn failure_before_the_cut_is_a_failure() {
        let text = "failed to find runc binary\n".to_owned() + &"level=info msg=x\n".repeat(100_000);
        let long = log(&text);
        let request = Request { limit: 300_000, ..request(vec![long.path().into()]) };
        let answer = answer(&request, &mut |_| Ok(()), &|| true).unwrap();
        assert_eq!(answer, Answer { failed: true, cut: false });
    }
}

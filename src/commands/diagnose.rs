//! `diagnose`: finds the first real error of each log, its cause and what to do.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use crate::cli::{self, Plain};
use crate::diagnosis::{Diagnoser, Diagnosis, LogLine};
use crate::exit;
use crate::host::input::{self, Input};
use crate::interrupt::Interrupt;

/// So many bytes are read at once.
const PIECE: usize = 128 * 1024;
/// How often a followed log is read again.
const POLL: Duration = Duration::from_millis(50);
/// So many characters of a line are shown to people; JSON has all of them.
const SHOWN: usize = 300;

/// The logs to diagnose, and how to print the answers.
#[derive(Debug, Clone, Default)]
struct Request {
    /// The logs; `-` is standard input, and so is an empty list.
    files: Vec<PathBuf>,
    /// Read on as the (single) log grows, and print each new answer.
    follow: bool,
    /// One JSON object a line instead of text.
    json: bool,
}

/// Diagnoses the logs until they end, or with `--follow` until a signal comes.
pub fn diagnose(args: cli::Diagnose) -> anyhow::Result<u8> {
    let request = Request { files: args.files, follow: args.follow, json: args.format == Plain::Json };
    let interrupt = if args.follow { Interrupt::listen()? } else { Interrupt::default() };
    let mut out = anstream::stdout().lock();
    let failed = answer(&request, &mut out, &|| interrupt.signal().is_some())?;
    Ok(if failed { exit::BROKEN } else { exit::SOUND })
}

/// Prints the diagnosis of each log; true if one of them shows a failure.
fn answer(request: &Request, out: &mut dyn Write, stop: &dyn Fn() -> bool) -> anyhow::Result<bool> {
    let standard_input = [PathBuf::from("-")];
    let files = if request.files.is_empty() { &standard_input[..] } else { &request.files };
    anyhow::ensure!(!request.follow || files.len() == 1, "only one log can be followed");
    let mut failed = false;
    for path in files {
        let name = (files.len() > 1).then(|| path.display().to_string());
        let mut printer = Printer { name, json: request.json, out, last: None };
        let diagnosis = read(path, request.follow, &mut printer, stop)
            .with_context(|| format!("cannot read {}", path.display()))?;
        failed |= diagnosis.is_failure();
    }
    Ok(failed)
}

fn read(
    path: &Path,
    follow: bool,
    printer: &mut Printer<'_>,
    stop: &dyn Fn() -> bool,
) -> io::Result<Diagnosis> {
    let mut diagnoser = Diagnoser::new();
    if path == Path::new("-") {
        return follow_to_end(&mut io::stdin().lock(), &mut diagnoser, follow, printer);
    }
    let silence = if follow { POLL } else { input::SILENCE };
    let mut log = Input::open(path, silence).map_err(|error| io::Error::from_raw_os_error(error.errno))?;
    loop {
        let diagnosis = follow_to_end(&mut log, &mut diagnoser, follow, printer)?;
        if !follow || stop() {
            return Ok(diagnosis);
        }
        std::thread::sleep(POLL);
        let file = log.file();
        let meta = file.metadata()?;
        if meta.is_file() && meta.len() < file.stream_position()? {
            file.seek(SeekFrom::Start(0))?; // the log was truncated
            diagnoser = Diagnoser::new();
        }
    }
}

/// Reads to the current end, and answers; with `follow` also after each piece.
fn follow_to_end(
    reader: &mut dyn Read,
    diagnoser: &mut Diagnoser,
    follow: bool,
    printer: &mut Printer<'_>,
) -> io::Result<Diagnosis> {
    let mut piece = vec![0; PIECE];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => diagnoser.push(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A followed pipe is silent for now.
            Err(error) if follow && error.kind() == io::ErrorKind::TimedOut => break,
            Err(error) => return Err(error),
        }
        if follow {
            printer.print(&diagnoser.finish())?;
        }
    }
    let diagnosis = diagnoser.finish();
    printer.print(&diagnosis)?;
    Ok(diagnosis)
}

/// Prints a diagnosis, unless it equals the last one.
struct Printer<'a> {
    name: Option<String>,
    json: bool,
    out: &'a mut dyn Write,
    last: Option<(&'static str, Option<u64>)>,
}

#[derive(Serialize)]
struct Named<'a> {
    file: &'a str,
    #[serde(flatten)]
    diagnosis: &'a Diagnosis,
}

impl Printer<'_> {
    fn print(&mut self, diagnosis: &Diagnosis) -> io::Result<()> {
        let now = (diagnosis.cause.id.as_str(), diagnosis.first_error.as_ref().map(|first| first.line));
        if self.last.replace(now) == Some(now) {
            return Ok(());
        }
        let text = match (&self.name, self.json) {
            (Some(file), true) => serde_json::to_string(&Named { file, diagnosis })? + "\n",
            (None, true) => serde_json::to_string(diagnosis)? + "\n",
            (name, false) => human(name.as_deref(), diagnosis),
        };
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

/// A diagnosis for people.
fn human(name: Option<&str>, diagnosis: &Diagnosis) -> String {
    let cause = diagnosis.cause;
    let mut rows: Vec<(&str, String)> = Vec::new();
    rows.extend(diagnosis.first_error.as_ref().map(|first| ("first error", shown(first))));
    rows.push(("meaning", cause.meaning.to_owned()));
    rows.push(("remedy", cause.remedy.to_owned()));
    rows.extend(diagnosis.hint.as_ref().map(|hint| ("note", hint.clone())));
    rows.extend(diagnosis.consequences.iter().map(|later| ("then", shown(later))));
    rows.extend(
        diagnosis
            .ignored_noise
            .iter()
            .map(|noise| ("harmless", format!("line {}: {}", noise.line, noise.kind))),
    );
    let before = name.map(|name| format!("{name}: ")).unwrap_or_default();
    let rows = rows.iter().map(|(label, text)| format!("  {label:<12} {text}\n"));
    format!("{before}{} ({})\n", cause.id, cause.stage) + &rows.collect::<String>()
}

fn shown(line: &LogLine) -> String {
    let mut text: String = line.text.trim().chars().take(SHOWN).collect();
    if text.len() < line.text.trim().len() {
        text.push('…');
    }
    format!("line {}: {text}", line.line)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{Request, answer};

    fn diagnose(request: &Request) -> (bool, String) {
        let mut out = Vec::new();
        let failed = answer(request, &mut out, &|| true).unwrap();
        (failed, String::from_utf8(out).unwrap())
    }

    fn log(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn text_begins_with_the_first_error_and_has_the_remedy() {
        let file = log("level=info msg=x\nfailed to start daemon: Devices cgroup isn't mounted\n");
        let (failed, text) = diagnose(&Request { files: vec![file.path().into()], ..Request::default() });
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
        let (failed, text) = diagnose(&Request { files, json: true, follow: false });
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
        let request = Request { files: vec!["/nonexistent/x".into()], ..Request::default() };
        let error = answer(&request, &mut Vec::new(), &|| true).unwrap_err();
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
        let mut out = Vec::new();
        let request = Request { files: vec![path.clone()], follow: true, json: true };
        assert!(answer(&request, &mut out, &stop).unwrap());
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.lines().last().unwrap().contains("runc-program-missing"));
    }
}

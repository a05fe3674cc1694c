//! What has been seen so far in a log?
//!
//! Of everything only the first occurrence is kept, so that a log of any length needs the same memory.

use std::collections::HashMap;

use serde::Serialize;

use super::log::{self, Level, Record};
use super::signatures::{self, Meaning};
use super::vocabulary::UNKNOWN;
use super::{noise, refine, vocabulary};

/// How many lines of a kind are kept for showing.
const KEPT: usize = 8;
/// Over how many lines a message is followed, and up to which length.
const JOINED: usize = 10;
const JOINED_BYTES: usize = 8 * 1024;
/// In how many lines of a trace the program that crashed is looked for.
const TRACE: usize = 12;

/// A line of the log, as it stands there (without control characters).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Counted from 1.
    pub line: u64,
    /// Its text, at most 16 KiB.
    pub text: String,
}

/// A line that was passed over, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Noise {
    /// Counted from 1.
    pub line: u64,
    /// Its text.
    pub text: String,
    /// The kind of harmless message that it is.
    pub kind: &'static str,
}

/// Where a cause showed first, by how much the line counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    /// A failure.
    pub(super) loud: Option<LogLine>,
    /// What came of an earlier failure.
    pub(super) weak: Option<LogLine>,
    /// A warning.
    pub(super) warned: Option<LogLine>,
    /// Less than a warning.
    pub(super) quiet: Option<LogLine>,
}

/// A message that may go on in the next line.
#[derive(Debug, Clone)]
struct Open {
    first: LogLine,
    text: String,
    lines: usize,
}

/// Everything seen so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    pub(super) evidence: HashMap<usize, Evidence>,
    /// The first error without a known cause: of the daemon, and of anybody.
    pub(super) unexplained: Option<LogLine>,
    /// The same, in the daemon's own log.
    pub(super) logged: Option<LogLine>,
    pub(super) complaint: Option<LogLine>,
    pub(super) last_error: Option<LogLine>,
    pub(super) errors: Vec<LogLine>,
    pub(super) noise: Vec<Noise>,
    pub(super) rootless: bool,
    /// Where the kernel of WSL 1 is named.
    pub(super) wsl1: Option<LogLine>,
    /// The storage driver that was chosen in the end.
    pub(super) chosen_driver: Option<String>,
    open: Option<Open>,
    /// The daemon came up.
    served: bool,
    /// The daemon was told to stop: what breaks off then is no failure.
    stopping: bool,
    /// A program crashed; which one stands in the next few lines.
    panic: Option<(LogLine, usize)>,
}

impl Open {
    /// Whether a line goes on with the message: it comes bare, after a colon or in the middle of a sentence.
    fn takes(&self, next: &Record) -> bool {
        !next.formed && (refine::goes_on(&self.text) || refine::is_middle(&next.text))
    }

    fn joined(&self, next: &Record) -> String {
        format!("{} {}", self.text.trim_end(), next.text)
    }
}

impl Ledger {
    /// Takes a line; says whether it wants the next one too, whatever it says.
    pub(super) fn take(&mut self, number: u64, raw: &str) -> bool {
        let mut record = log::read(raw);
        let before = self.open.take().filter(|open| open.takes(&record));
        let joined = before.as_ref().map(|open| open.joined(&record));
        let own = LogLine { line: number, text: log::shown(raw) };
        self.mark(&record, &own);
        self.trace(&record);
        if let (Some(open), Some(text)) = (&before, joined) {
            record.text = text;
            let first = if refine::is_bare_status(&open.text) { own } else { open.first.clone() };
            let known = self.file(&record, &first);
            self.leave_open(first, record.text, open.lines + 1, known);
        } else {
            let known = self.file(&record, &own);
            let wrapped = !record.formed && refine::is_failure_of_the_daemon(&record);
            if wrapped || refine::goes_on(&record.text) {
                self.leave_open(own, record.text, 1, known);
            }
        }
        self.open.is_some() || self.panic.is_some()
    }

    /// Remembers a message that is not complete or not understood yet.
    fn leave_open(&mut self, first: LogLine, text: String, lines: usize, known: bool) {
        if !known && lines < JOINED && text.len() < JOINED_BYTES {
            self.open = Some(Open { first, text, lines });
        }
    }

    /// Errors of the daemon without a known cause.
    pub(super) fn unexplained_errors(&self) -> impl Iterator<Item = &LogLine> {
        let crash = self.panic.as_ref().map(|(line, _)| line);
        self.unexplained.iter().chain(&self.logged).chain(crash)
    }

    /// Looks for the program that crashed in the trace that follows.
    fn trace(&mut self, record: &Record) {
        let Some((line, left)) = self.panic.take() else { return };
        match refine::crashed(&record.text) {
            Some(id) if id == UNKNOWN => self.unexplained = self.unexplained.take().or(Some(line)),
            Some(id) => {
                let entry = self.evidence.entry(refine::index(id)).or_default();
                entry.loud.get_or_insert(line);
            }
            None if left > 0 => self.panic = Some((line, left - 1)),
            None => self.unexplained = self.unexplained.take().or(Some(line)),
        }
    }

    /// Notes how far the daemon came and in what world it runs.
    fn mark(&mut self, record: &Record, line: &LogLine) {
        let text = record.text.as_str();
        if refine::is_success(text) {
            self.succeed();
        }
        self.rootless |= refine::is_rootless(text);
        if self.wsl1.is_none() && text.contains("4.4.0-") && text.contains("-Microsoft") {
            self.wsl1 = Some(line.clone());
        }
        if record.level == Level::Quiet {
            self.stopping = (self.stopping || refine::is_told_to_stop(text)) && text != "Starting up";
            self.served &= text != "Starting up";
            if text.contains("completed initialization") {
                self.survive();
            }
            self.chosen_driver = refine::chosen_driver(text).or(self.chosen_driver.take());
        }
    }

    /// The daemon came up: what it complained about before without a known cause did not stop it.
    fn survive(&mut self) {
        self.served = true;
        for cause in refine::START_FAILURES {
            self.evidence.entry(refine::index(cause)).or_default().weak = None;
        }
        if let Some(line) = self.logged.take() {
            self.errors.retain(|error| *error != line);
            self.pass_over(line, "error that did not stop the daemon");
        }
    }

    /// The job went well: what nobody knows in it was no failure of the job.
    fn succeed(&mut self) {
        for line in [self.unexplained.take(), self.logged.take(), self.complaint.take()].into_iter().flatten()
        {
            self.errors.retain(|error| *error != line);
            self.pass_over(line, "error that did not fail the job");
        }
    }

    /// Puts a line where it belongs; says whether its cause is known.
    fn file(&mut self, record: &Record, line: &LogLine) -> bool {
        if let Some(kind) = noise::name(record) {
            if refine::takes_back(&record.text) {
                self.take_back(line.line);
            } else if let Some(meaning) =
                signatures::meaning(&record.text).filter(|_| refine::is_mount(&record.text))
            {
                self.evidence.entry(meaning.cause).or_default().quiet.get_or_insert_with(|| line.clone());
            }
            if record.level >= Level::Warning {
                self.pass_over(line.clone(), kind);
            }
            return true;
        }
        let meaning = signatures::meaning(&record.text);
        if let Some(meaning) = meaning {
            if vocabulary::all()[meaning.cause].id == refine::CRASH {
                self.panic.get_or_insert_with(|| (line.clone(), TRACE));
                self.error(line);
                return true;
            }
            self.note(meaning, record, line);
        } else {
            self.complain(record, line);
        }
        meaning.is_some()
    }

    fn note(&mut self, meaning: Meaning, record: &Record, line: &LogLine) {
        if self.served && meaning.weak && meaning.quiet && refine::is_of_the_start(meaning.cause) {
            return;
        }
        let loud = refine::is_loud(record) || (meaning.quiet && !meaning.weak);
        let entry = self.evidence.entry(meaning.cause).or_default();
        let slot = match (loud || meaning.quiet, meaning.weak) {
            (true, false) => &mut entry.loud,
            (true, true) => &mut entry.weak,
            (false, true) => return,
            (false, false) if record.level == Level::Warning => &mut entry.warned,
            (false, false) => &mut entry.quiet,
        };
        slot.get_or_insert_with(|| line.clone());
        if loud {
            self.error(line);
        }
    }

    fn complain(&mut self, record: &Record, line: &LogLine) {
        if self.stopping && record.formed && record.level >= Level::Warning {
            return self.pass_over(line.clone(), "error while the daemon was told to stop");
        }
        if refine::is_failure_of_the_daemon(record) {
            let slot = if record.formed { &mut self.logged } else { &mut self.unexplained };
            slot.get_or_insert_with(|| line.clone());
        } else if refine::is_complaint(record) {
            self.complaint.get_or_insert_with(|| line.clone());
        } else {
            return;
        }
        self.error(line);
    }

    fn error(&mut self, line: &LogLine) {
        if self.errors.len() < KEPT && self.errors.iter().all(|error| error.text != line.text) {
            self.errors.push(line.clone());
        }
        self.last_error = Some(line.clone());
    }

    fn pass_over(&mut self, line: LogLine, kind: &'static str) {
        if self.noise.len() < KEPT && self.noise.iter().all(|noise| noise.kind != kind) {
            self.noise.push(Noise { line: line.line, text: line.text, kind });
        }
    }

    /// A refused mount that the next line explains as harmless is forgotten.
    fn take_back(&mut self, number: u64) {
        let Some(index) = vocabulary::all().iter().position(|cause| cause.id == refine::NOT_PRIVILEGED)
        else {
            return;
        };
        let Some(evidence) = self.evidence.get_mut(&index) else { return };
        if let Some(line) = evidence.loud.take_if(|line| line.line + 1 == number) {
            evidence.quiet.get_or_insert_with(|| line.clone());
            self.errors.retain(|error| *error != line);
            self.last_error.take_if(|error| *error == line);
            self.pass_over(line, "securityfs not mounted");
        }
    }
}

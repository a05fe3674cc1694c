//! The state of a log while it is read: causes, unexplained errors, noise, and how far the daemon came.
//!
//! Only the first occurrence of each is kept, so that a log of any length takes the same memory.

use std::collections::HashMap;

use serde::Serialize;

use super::log::{self, Level, Record};
use super::signatures::{self, Meaning};
use super::vocabulary::{CauseId, causes};
use super::{noise, redact, refine};

/// How many lines of a kind are kept for showing.
const KEPT: usize = 8;
/// How many lines of a wrapped message are joined, and how many bytes.
const JOINED: usize = 10;
const JOINED_BYTES: usize = 8 * 1024;
/// How many lines of a stack trace are searched for the program that crashed.
const TRACE: usize = 12;

/// A line of the log, verbatim except for control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Counted from 1.
    pub line: u64,
    /// Its text, at most 16 KiB.
    pub text: String,
}

/// A line that is not an error although it reads like one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Noise {
    /// Counted from 1.
    pub line: u64,
    /// Its text.
    pub text: String,
    /// The kind of harmless message.
    pub kind: &'static str,
}

/// The first line of a cause, by how much that line counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    /// A failure.
    pub(super) loud: Option<LogLine>,
    /// A consequence of an earlier failure.
    pub(super) weak: Option<LogLine>,
    /// A warning.
    pub(super) warned: Option<LogLine>,
    /// Less than a warning.
    pub(super) quiet: Option<LogLine>,
}

/// A message that may continue in the next line.
#[derive(Debug, Clone)]
struct Open {
    first: LogLine,
    text: String,
    lines: usize,
}

/// What the lines so far have shown.
#[derive(Debug, Clone, Default)]
pub(super) struct LogState {
    pub(super) evidence: HashMap<CauseId, Evidence>,
    /// The first error of the daemon or of a request to it, without a known cause.
    pub(super) unexplained: Option<LogLine>,
    /// The same, in the daemon's own log format.
    pub(super) logged: Option<LogLine>,
    /// The first error of any other program, without a known cause.
    pub(super) complaint: Option<LogLine>,
    pub(super) last_error: Option<LogLine>,
    pub(super) errors: Vec<LogLine>,
    pub(super) noise: Vec<Noise>,
    pub(super) rootless: bool,
    /// The line that names a kernel of WSL 1.
    pub(super) wsl1: Option<LogLine>,
    /// The storage driver that the daemon runs with.
    pub(super) chosen_driver: Option<String>,
    open: Option<Open>,
    /// The daemon has started.
    served: bool,
    /// The daemon is stopping, so what it aborts is no failure.
    stopping: bool,
    /// A program crashed; the next lines name it. The number of lines left to search.
    panic: Option<(LogLine, usize)>,
}

impl Open {
    /// Whether a line continues the message: it is bare, and follows a colon or begins in mid-sentence.
    fn is_continued_by(&self, next: &Record) -> bool {
        !next.formed && (refine::continues(&self.text) || refine::is_middle(&next.text))
    }

    fn joined(&self, next: &Record) -> String {
        format!("{} {}", self.text.trim_end(), next.text)
    }
}

impl LogState {
    /// Takes a line; returns whether the next one is needed too, whatever it contains.
    pub(super) fn take(&mut self, number: u64, raw: &str) -> bool {
        let mut record = log::read(raw);
        let before = self.open.take().filter(|open| open.is_continued_by(&record));
        let joined = before.as_ref().map(|open| open.joined(&record));
        let own = LogLine { line: number, text: redact::message(&log::shown(raw)).into_owned() };
        self.track_progress(&record, &own);
        self.search_trace(&record);
        if let (Some(open), Some(text)) = (&before, joined) {
            record.text = text;
            let first = if refine::is_bare_status(&open.text) { own } else { open.first.clone() };
            let known = self.classify(&record, &first);
            self.leave_open(first, record.text, open.lines + 1, known);
        } else {
            let known = self.classify(&record, &own);
            let wrapped = !record.formed && refine::is_failure_of_the_daemon(&record);
            if wrapped || refine::continues(&record.text) {
                self.leave_open(own, record.text, 1, known);
            }
        }
        self.open.is_some() || self.panic.is_some()
    }

    /// Keeps a message without a known cause, which the next line may complete.
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

    /// Looks for the program that crashed in the stack trace.
    fn search_trace(&mut self, record: &Record) {
        let Some((line, left)) = self.panic.take() else { return };
        match refine::crashed(&record.text) {
            Some(causes::UNKNOWN) => self.unexplained = self.unexplained.take().or(Some(line)),
            Some(cause) => {
                let entry = self.evidence.entry(cause).or_default();
                entry.loud.get_or_insert(line);
            }
            None if left > 0 => self.panic = Some((line, left - 1)),
            None => self.unexplained = self.unexplained.take().or(Some(line)),
        }
    }

    /// Notes how far the daemon came, and what kind of daemon and kernel it is.
    fn track_progress(&mut self, record: &Record, line: &LogLine) {
        let text = record.text.as_str();
        if refine::is_success(text) {
            self.mark_succeeded();
        }
        self.rootless |= refine::is_rootless(text);
        if self.wsl1.is_none() && text.contains("4.4.0-") && text.contains("-Microsoft") {
            self.wsl1 = Some(line.clone());
        }
        if record.level == Level::Quiet {
            self.stopping = (self.stopping || refine::is_stop_signal(text)) && text != "Starting up";
            self.served &= text != "Starting up";
            if text.contains("completed initialization") {
                self.mark_started();
            }
            self.chosen_driver = refine::chosen_driver(text).or(self.chosen_driver.take());
        }
    }

    /// The daemon has started: earlier errors without a known cause did not prevent that.
    fn mark_started(&mut self) {
        self.served = true;
        for cause in refine::START_FAILURES {
            self.evidence.entry(cause).or_default().weak = None;
        }
        if let Some(line) = self.logged.take() {
            self.errors.retain(|error| *error != line);
            self.record_noise(line, "error that did not stop the daemon");
        }
    }

    /// The job succeeded: errors without a known cause did not fail it.
    fn mark_succeeded(&mut self) {
        for line in [self.unexplained.take(), self.logged.take(), self.complaint.take()].into_iter().flatten()
        {
            self.errors.retain(|error| *error != line);
            self.record_noise(line, "error that did not fail the job");
        }
    }

    /// Records a line as noise, a cause or an unexplained error; returns whether its cause is known.
    fn classify(&mut self, record: &Record, line: &LogLine) -> bool {
        if let Some(kind) = noise::name(record) {
            if refine::retracts_mount(&record.text) {
                self.retract_mount(line.line);
            } else if let Some(meaning) =
                signatures::meaning(&record.text).filter(|_| refine::is_mount(&record.text))
            {
                self.evidence.entry(meaning.cause).or_default().quiet.get_or_insert_with(|| line.clone());
            }
            if record.level >= Level::Warning {
                self.record_noise(line.clone(), kind);
            }
            return true;
        }
        let meaning = signatures::meaning(&record.text);
        if let Some(meaning) = meaning {
            if meaning.cause == causes::CLIENT_PLUGIN_CRASH {
                self.panic.get_or_insert_with(|| (line.clone(), TRACE));
                self.record_error(line);
                return true;
            }
            self.record_cause(meaning, record, line);
        } else {
            self.record_unexplained(record, line);
        }
        meaning.is_some()
    }

    fn record_cause(&mut self, meaning: Meaning, record: &Record, line: &LogLine) {
        if self.served && meaning.weak && meaning.quiet && refine::is_start_failure(meaning.cause) {
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
            self.record_error(line);
        }
    }

    fn record_unexplained(&mut self, record: &Record, line: &LogLine) {
        if self.stopping && record.formed && record.level >= Level::Warning {
            return self.record_noise(line.clone(), "error while the daemon stops");
        }
        if refine::is_failure_of_the_daemon(record) {
            let slot = if record.formed { &mut self.logged } else { &mut self.unexplained };
            slot.get_or_insert_with(|| line.clone());
        } else if refine::is_complaint(record) {
            self.complaint.get_or_insert_with(|| line.clone());
        } else {
            return;
        }
        self.record_error(line);
    }

    fn record_error(&mut self, line: &LogLine) {
        if self.errors.len() < KEPT && self.errors.iter().all(|error| error.text != line.text) {
            self.errors.push(line.clone());
        }
        self.last_error = Some(line.clone());
    }

    fn record_noise(&mut self, line: LogLine, kind: &'static str) {
        if self.noise.len() < KEPT && self.noise.iter().all(|noise| noise.kind != kind) {
            self.noise.push(Noise { line: line.line, text: line.text, kind });
        }
    }

    /// Drops a refused mount that the next line explains as harmless.
    fn retract_mount(&mut self, number: u64) {
        let refused = self.evidence.get_mut(&causes::OUTER_CONTAINER_NOT_PRIVILEGED);
        let Some(evidence) = refused else { return };
        if let Some(line) = evidence.loud.take_if(|line| line.line + 1 == number) {
            evidence.quiet.get_or_insert_with(|| line.clone());
            self.errors.retain(|error| *error != line);
            self.last_error.take_if(|error| *error == line);
            self.record_noise(line, "securityfs not mounted");
        }
    }
}

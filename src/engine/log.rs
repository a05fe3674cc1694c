//! What has dockerd said so far? Its log, read while it grows.
//!
//! dockerd writes straight into a file, so that its words survive us and a full pipe never blocks it; we read
//! along at every look. At its death nothing but the last few lines is left to be read.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use crate::diagnosis::{CauseId, Diagnosis};

/// Lines that are kept.
const KEPT: usize = 200;
/// The most that is kept of one line.
const MAX_LINE: usize = 16 << 10;

/// The first real error of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogError {
    /// Its line number, from 1.
    pub line: u64,
    /// The message.
    pub text: String,
    /// What it means, where the vocabulary knows it.
    pub cause: Option<CauseId>,
}

/// A log that is being written.
#[derive(Debug)]
pub struct LogTail {
    file: File,
    path: Option<PathBuf>,
    partial: Vec<u8>,
    ring: VecDeque<String>,
    lines: u64,
    first: Option<LogError>,
}

impl LogTail {
    /// Reads along from the file's present position.
    pub fn new(file: File, path: Option<PathBuf>) -> Self {
        Self { file, path, partial: Vec::new(), ring: VecDeque::new(), lines: 0, first: None }
    }

    /// Where it is, where it has a name.
    pub fn path(&self) -> Option<&PathBuf> {
        self.path.as_ref()
    }

    /// Takes in what has come since the last look.
    pub fn read_on(&mut self) {
        let mut chunk = [0; 16 << 10];
        while let Ok(length @ 1..) = self.file.read(&mut chunk) {
            self.take(&chunk[..length]);
        }
    }

    /// Splits bytes into lines.
    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            self.end_line();
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > MAX_LINE {
            self.end_line();
        }
    }

    /// Ends the line that is being read.
    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.partial)).trim_end().to_owned();
        if line.is_empty() {
            return;
        }
        self.lines += 1;
        if self.first.is_none() && is_error(&line) {
            self.first = Some(LogError { line: self.lines, text: message(&line), cause: None });
        }
        if self.ring.len() == KEPT {
            self.ring.pop_front();
        }
        self.ring.push_back(line);
    }

    /// Ends with what is there, a last line without its end included.
    pub fn finish(&mut self) {
        self.read_on();
        self.end_line();
    }

    /// The latest lines, oldest first.
    pub fn last_lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.ring.iter().map(String::as_str)
    }

    /// The first real error.
    pub fn first_error(&self) -> Option<LogError> {
        self.first.clone()
    }

    /// The whole diagnosis.
    pub fn diagnosis(&self) -> Option<Diagnosis> {
        None
    }
}

/// Stand-in until the diagnosis reads lines.
fn is_error(line: &str) -> bool {
    let level = |word: &str| line.contains(&format!("level={word}"));
    let plain = !line.contains(" level=");
    level("error") || level("fatal") || level("panic") || (plain && line.contains("failed"))
}

/// Stand-in until the diagnosis reads lines: the message of a logfmt line, else the line.
fn message(line: &str) -> String {
    line.split_once("msg=\"").map_or(line, |(_, rest)| rest).trim_end_matches('"').to_owned()
}

//! Prints a diagnosis, for people or as one JSON object a line.

use std::io;

use serde::Serialize;

use crate::diagnosis::{Diagnosis, LogLine};
use crate::report::shown::of_diagnosis;
use crate::text::shown;

/// So many characters of a line are shown to people; JSON has all of them.
const SHOWN: usize = 300;

/// Prints a diagnosis, unless it equals the last one.
pub(super) struct Printer<'a> {
    /// The name of the log, where there are several.
    pub(super) name: Option<String>,
    pub(super) json: bool,
    pub(super) out: &'a mut dyn FnMut(&str) -> anyhow::Result<()>,
    pub(super) last: Option<(&'static str, Option<u64>)>,
}

#[derive(Serialize)]
struct Named<'a> {
    file: &'a str,
    #[serde(flatten)]
    diagnosis: &'a Diagnosis,
}

impl Printer<'_> {
    /// Prints it.
    pub(super) fn print(&mut self, diagnosis: &Diagnosis) -> anyhow::Result<()> {
        let now = (diagnosis.cause.id.as_str(), diagnosis.first_error.as_ref().map(|first| first.line));
        if self.last.replace(now) == Some(now) {
            return Ok(());
        }
        let text = if self.json {
            shown::json(&json(self.name.as_deref(), diagnosis)?).into_owned() + "\n"
        } else {
            shown::page(&human(self.name.as_deref(), &of_diagnosis(diagnosis))).into_owned()
        };
        (self.out)(&text)
    }
}

fn json(name: Option<&str>, diagnosis: &Diagnosis) -> io::Result<String> {
    let json = match name {
        Some(file) => serde_json::to_string(&Named { file, diagnosis }),
        None => serde_json::to_string(diagnosis),
    };
    json.map_err(io::Error::from)
}

/// A diagnosis for people.
fn human(name: Option<&str>, diagnosis: &Diagnosis) -> String {
    let cause = diagnosis.cause;
    let mut rows: Vec<(&str, String)> = Vec::new();
    rows.extend(diagnosis.first_error.as_ref().map(|first| ("first error", line(first))));
    rows.push(("meaning", cause.meaning.to_owned()));
    rows.push(("remedy", cause.remedy.to_owned()));
    rows.extend(diagnosis.hint.as_ref().map(|hint| ("note", hint.clone())));
    rows.extend(diagnosis.consequences.iter().map(|later| ("then", line(later))));
    rows.extend(
        diagnosis
            .ignored_noise
            .iter()
            .map(|noise| ("harmless", format!("line {}: {}", noise.line, noise.kind))),
    );
    let before = name.map(|name| format!("{}: ", shown::one_line(name))).unwrap_or_default();
    let rows = rows.iter().map(|(label, text)| format!("  {label:<12} {text}\n"));
    format!("{before}{} ({})\n", cause.id, cause.stage) + &rows.collect::<String>()
}

fn line(line: &LogLine) -> String {
    let mut text: String = line.text.trim().chars().take(SHOWN).collect();
    if text.len() < line.text.trim().len() {
        text.push('…');
    }
    format!("line {}: {text}", line.line)
}

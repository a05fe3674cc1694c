//! What does a browser show, or a job's summary? Pages out of templates that are checked when they are compiled.

use crate::text::took;
use std::io;

use askama::Template;

use super::Report;
use super::document::{Document, Ending, Found, Rung};
use crate::finding::Level;

/// One self-contained page: no script, nothing from elsewhere.
#[derive(Template)]
#[template(path = "report.html")]
struct Page<'d> {
    document: &'d Document,
    first: Option<First<'d>>,
}

/// The same in short, as GitHub shows it.
#[derive(Template)]
#[template(path = "report.md", escape = "none")]
struct Summary<'d> {
    document: &'d Document,
    first: Option<First<'d>>,
}

/// The first failure, with what its cause means and the evidence.
struct First<'d> {
    step: &'d str,
    what: &'d str,
    cause: &'d str,
    meaning: &'d str,
    remedy: &'d str,
    evidence: &'d [(&'static str, String)],
}

impl<'d> First<'d> {
    fn of(document: &'d Document) -> Option<Self> {
        let failure = document.first_failure.as_ref()?;
        let rung = document.steps.iter().find(|rung| rung.id == failure.step);
        let mut latest = rung.into_iter().flat_map(|rung| rung.findings.iter().rev());
        let finding = latest.find(|found| found.what == failure.what);
        let cause = failure.cause.unwrap_or_default();
        Some(Self {
            step: failure.step,
            what: &failure.what,
            cause,
            meaning: crate::diagnosis::find(cause).map_or("", |cause| cause.meaning),
            remedy: failure.remedy.as_deref().unwrap_or_default(),
            evidence: finding.map_or(&[], |found| found.evidence.as_slice()),
        })
    }
}

/// The page.
pub fn html(report: &Report) -> io::Result<String> {
    let document = Document::of(report);
    Page { document: &document, first: First::of(&document) }.render().map_err(io::Error::other)
}

/// The summary.
pub fn markdown(report: &Report) -> io::Result<String> {
    let document = Document::of(report);
    Summary { document: &document, first: First::of(&document) }.render().map_err(io::Error::other)
}

impl Document {
    /// How long it took, for people.
    fn took(&self) -> String {
        took(self.duration_ms)
    }

    /// What is known of the environment, in pairs.
    fn known(&self) -> Vec<(&'static str, &str)> {
        let known = &self.environment;
        [
            ("kernel", &known.kernel),
            ("cgroup", &known.cgroup),
            ("engine", &known.engine),
            ("API", &known.api),
            ("storage", &known.storage_driver),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value.as_deref()?)))
        .collect()
    }

    /// Where a step lies on the time line, in per cent: its begin and its length, so that even the shortest shows.
    fn place(&self, rung: &Rung) -> (f64, f64) {
        let whole = self.duration_ms.max(0.001);
        let width = (100.0 * rung.duration_ms / whole).clamp(0.3, 100.0);
        ((100.0 * rung.started_ms / whole).clamp(0.0, 100.0 - width), width)
    }
}

impl Rung {
    /// How long it took, for people.
    fn took(&self) -> String {
        took(self.duration_ms)
    }

    /// What its line says.
    fn said(&self) -> &str {
        if let Some(reason) = &self.reason {
            return reason;
        }
        let found = match self.outcome {
            Ending::Passed | Ending::Repaired => {
                self.findings.iter().rfind(|found| found.level == Level::Pass)
            }
            _ => self.worst(),
        };
        found.map_or("", |found| found.what.as_str())
    }

    /// The first finding of the highest level.
    fn worst(&self) -> Option<&Found> {
        let highest = self.findings.iter().map(|found| found.level).max()?;
        self.findings.iter().find(|found| found.level == highest)
    }

    /// Whether there is more to be shown than its line.
    fn has_more(&self) -> bool {
        !self.findings.is_empty() || self.repair.is_some()
    }
}

impl Found {
    /// Its level as a word for style sheets.
    fn level_name(&self) -> &'static str {
        match self.level {
            Level::Pass => "pass",
            Level::Warn => "warn",
            Level::Fail => "fail",
        }
    }
}

/// A text inside a cell of a Markdown table: one line, nothing of it taken for markup.
fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' => safe.push(' '),
            '<' => safe.push_str("&lt;"),
            '&' => safe.push_str("&amp;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '~' => {
                safe.push('\\');
                safe.push(character);
            }
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_markup() {
        assert_eq!(cell("a|b\n<img> `x` *y*"), "a\\|b &lt;img> \\`x\\` \\*y\\*");
    }
}

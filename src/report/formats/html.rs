//! The format `html`: one page with the first failure, every step with its evidence, and the time that each took.

use std::io::{self, Write};

use askama::Template;

use super::page::{FailureDetails, write_page};
use super::{Escaping, Format};
use crate::exit::Verdict;
use crate::finding::Level;
use crate::image_check;
use crate::report::Report;
use crate::report::document::{Document, FindingEntry, StepEntry};

/// The format.
pub static FORMAT: Format = Format {
    name: "html",
    about: "One self-contained page with every step, its evidence and its time",
    readers: "a browser",
    for_people: false,
    escaping: Escaping::Page,
    render,
    render_images: Some(|images, out| out.write_all(image_check::page::html(images)?.as_bytes())),
};

/// The page: no script, nothing from elsewhere.
#[derive(Template)]
#[template(path = "report.html")]
struct Page<'d> {
    document: &'d Document,
    first: Option<FailureDetails<'d>>,
}

fn render(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let document = Document::of(report);
    write_page(&Page { document: &document, first: FailureDetails::of(&document) }, out)
}

impl Document {
    /// The verdict as a class of the style sheet; that of a run which left steps out is one of its own.
    fn class(&self) -> &'static str {
        match self.verdict {
            Verdict::Sound if !self.coverage.complete => "partial",
            verdict => verdict.name(),
        }
    }

    /// The bar of a step on the time line: where it starts and how long it is, in per cent of the run. Even the shortest
    /// step has a visible bar.
    fn bar(&self, step: &StepEntry) -> (f64, f64) {
        let whole = self.duration_ms.max(0.001);
        let width = (100.0 * step.duration_ms / whole).clamp(0.3, 100.0);
        ((100.0 * step.started_ms / whole).clamp(0.0, 100.0 - width), width)
    }
}

impl StepEntry {
    /// Whether the step has more to show than its line.
    fn has_details(&self) -> bool {
        !self.findings.is_empty() || self.repair.is_some()
    }
}

impl FindingEntry {
    /// The level as a class of the style sheet.
    fn class(&self) -> &'static str {
        match self.level {
            Level::Pass => "pass",
            Level::Warn => "warn",
            Level::Fail => "fail",
        }
    }
}

//! A concluded step in one line, for the report and for the progress of a run.

use anstyle::{AnsiColor, Style};

use super::StepReport;
use super::layout::{duration, hang, shortened};
use crate::finding::Outcome;

/// Where the text of a step's line begins.
const COLUMN: usize = 32;

/// The style of an outcome's word.
pub(super) fn style(outcome: &Outcome) -> Style {
    let color = match outcome {
        Outcome::Passed => AnsiColor::Green,
        Outcome::Warned | Outcome::Repaired => AnsiColor::Yellow,
        Outcome::Failed => AnsiColor::Red,
        Outcome::Errored(_) => AnsiColor::Magenta,
        Outcome::Skipped(_) => AnsiColor::BrightBlack,
    };
    Style::new().fg_color(Some(color.into()))
}

/// The line of a step, folded.
pub(super) fn line(step: &StepReport) -> String {
    let took = match step.outcome {
        Outcome::Skipped(_) => String::new(),
        _ => format!(" ({})", duration(step.duration)),
    };
    hang(&head(step), COLUMN, &format!("{}{took}", summary(step)))
}

/// The same in one row, cut at its end.
pub(super) fn short_line(step: &StepReport) -> String {
    head(step) + &shortened(&summary(step), COLUMN)
}

/// Outcome and id.
fn head(step: &StepReport) -> String {
    let paint = style(&step.outcome);
    format!("  {paint}{:<8}{paint:#} {:<20} ", step.outcome.name(), step.step.id)
}

/// The text of a step's line.
fn summary(step: &StepReport) -> String {
    match &step.outcome {
        Outcome::Skipped(reason) => reason.clone(),
        Outcome::Errored(_) => step.error().unwrap_or_default(),
        Outcome::Repaired => repaired(step),
        _ => step.headline().map(|finding| finding.what.clone()).unwrap_or_default(),
    }
}

/// What a repair did, in short.
fn repaired(step: &StepReport) -> String {
    let changes = step.repair.as_ref().map_or(0, |repair| repair.changes.len());
    let title = step.repair.as_ref().map_or("", |repair| repair.title);
    format!("{title}: {changes} change{}, then the same check passed", if changes == 1 { "" } else { "s" })
}

//! The progress of a run on stderr: a growing list of steps on a terminal, a line for each step in a log.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::formats::{Format, human};
use super::layout::shortened;
use super::step_line::{line, short_line};
use super::{Event, Report, StepReport};
use crate::finding::Outcome;
use crate::talk::tell;
use crate::text::shown::one_line;

/// How often the status line moves.
const TICK: Duration = Duration::from_millis(80);

/// Shows how far a run is.
pub struct Progress {
    display: Display,
    /// The lines of the steps so far.
    lines: String,
}

enum Display {
    /// A status area on a terminal. Concluded steps are shown in it until the report replaces them; with `keep_lines` they
    /// are printed above it and stay, since the report goes elsewhere or does not list the steps.
    Terminal { bar: ProgressBar, keep_lines: bool },
    /// A log, beside a report for programs.
    Log,
    /// A log that gets the report itself.
    None,
}

impl Progress {
    /// The progress of a run whose report goes to stdout in this format.
    pub fn new(format: &Format) -> Self {
        let display = if std::io::stderr().is_terminal() {
            let replaced = format.name == human::FORMAT.name && std::io::stdout().is_terminal();
            Display::Terminal { bar: status_line(), keep_lines: !replaced }
        } else if format.for_people {
            Display::None
        } else {
            Display::Log
        };
        Self { display, lines: String::new() }
    }

    /// Shows an event.
    pub fn show(&mut self, event: &Event<'_>) {
        match (&self.display, event) {
            (Display::Terminal { bar, keep_lines }, _) => {
                show_on_terminal(bar, *keep_lines, &mut self.lines, event);
            }
            (Display::Log, Event::Concluded(report)) => print_latest(report),
            (Display::Log, Event::Progress(text)) => tell(&format!("           {}", one_line(text))),
            (Display::Log, Event::Started(_) | Event::Ended(_)) | (Display::None, _) => {}
        }
    }
}

/// The line of the step that runs.
fn status_line() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{msg}  {spinner} {prefix:<20} {elapsed} ");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar
}

fn show_on_terminal(bar: &ProgressBar, keep_lines: bool, lines: &mut String, event: &Event<'_>) {
    match event {
        Event::Started(step) => {
            bar.set_prefix(step.id);
            bar.reset_elapsed();
            bar.enable_steady_tick(TICK);
            bar.tick();
        }
        Event::Progress(text) => bar.set_message(format!("{lines}  {}\n", shortened(&one_line(text), 2))),
        Event::Concluded(report) if keep_lines => {
            bar.set_message("");
            bar.suspend(|| print_latest(report));
        }
        Event::Concluded(report) => {
            lines.extend(latest(report).map(|step| short_line(&step.shown()) + "\n"));
            bar.set_message(lines.clone());
        }
        Event::Ended(_) => bar.finish_and_clear(),
    }
}

/// The latest step, unless it was skipped.
fn latest(report: &Report) -> Option<&StepReport> {
    report.steps.last().filter(|step| !matches!(step.outcome, Outcome::Skipped(_)))
}

/// Prints the line of the latest step on stderr.
fn print_latest(report: &Report) {
    if let Some(step) = latest(report) {
        tell(&line(&step.shown()));
    }
}

//! What does a person see while it runs? On a terminal a ladder that grows, gone when the report comes; in a log a
//! plain line a step, where stdout has the report for a program.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Event;
use super::{Report, StepReport, human};
use crate::finding::Outcome;
use crate::profile::Format;

/// How often the status line moves.
const TICK: Duration = Duration::from_millis(80);

/// Who watches.
pub struct Live {
    watcher: Watcher,
    lines: String,
}

enum Watcher {
    /// A terminal. Concluded steps stay in its status area until the report comes, or for good where the report goes
    /// elsewhere.
    Terminal { bar: ProgressBar, stays: bool },
    /// A log, beside a report for programs.
    Log,
    /// A log that gets the report itself.
    Nobody,
}

impl Live {
    /// Watches on stderr a run whose report goes to stdout in this format.
    pub fn new(format: Format) -> Self {
        let watcher = if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{msg}  {spinner} {prefix:<20} {elapsed} ");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            Watcher::Terminal { bar, stays: format != Format::Human || !std::io::stdout().is_terminal() }
        } else if matches!(format, Format::Human | Format::Brief) {
            Watcher::Nobody
        } else {
            Watcher::Log
        };
        Self { watcher, lines: String::new() }
    }

    /// Takes in what happens.
    pub fn see(&mut self, event: &Event<'_>) {
        match (&self.watcher, event) {
            (Watcher::Terminal { bar, .. }, Event::Started(step)) => {
                bar.set_prefix(step.id);
                bar.reset_elapsed();
                bar.enable_steady_tick(TICK);
                bar.tick();
            }
            (Watcher::Terminal { bar, .. }, Event::Said(text)) => {
                bar.set_message(format!("{}  {}\n", self.lines, human::shortened(text, 2)));
            }
            (Watcher::Terminal { bar, stays: true }, Event::Concluded(report)) => {
                bar.set_message("");
                bar.suspend(|| tell(report));
            }
            (Watcher::Terminal { bar, stays: false }, Event::Concluded(report)) => {
                let ran = report.steps.last().filter(|step| !matches!(step.outcome, Outcome::Skipped(_)));
                self.lines.extend(ran.map(|step| human::short(step) + "\n"));
                bar.set_message(self.lines.clone());
            }
            (Watcher::Terminal { bar, .. }, Event::Ended(_)) => bar.finish_and_clear(),
            (Watcher::Log, Event::Concluded(report)) => tell(report),
            (Watcher::Log, Event::Said(text)) => anstream::eprintln!("           {text}"),
            (Watcher::Log, Event::Started(_) | Event::Ended(_)) | (Watcher::Nobody, _) => {}
        }
    }
}

/// The latest step, on stderr; what did not run says nothing.
fn tell(report: &Report) {
    let ran = |step: &&StepReport| !matches!(step.outcome, Outcome::Skipped(_));
    if let Some(step) = report.steps.last().filter(ran) {
        anstream::eprintln!("{}", human::line(step));
    }
}

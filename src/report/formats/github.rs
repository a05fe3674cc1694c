//! The format `github`: an annotation of GitHub Actions for each failure, warning and repair.
//!
//! Workflow commands as in actions/toolkit, `packages/core/src/command.ts`: `::error title=T::message`.

use super::{Escaping, Format};
use crate::exit::Verdict;
use crate::finding::{Finding, Level, Outcome};
use crate::report::coverage::{Coverage, plain};
use crate::report::{Report, StepReport};

/// The format.
pub static FORMAT: Format = Format {
    name: "github",
    about: "Annotations of GitHub Actions",
    readers: "a GitHub job",
    for_people: false,
    escaping: Escaping::Commands,
    render: |report, out| out.write_all(annotations(report).as_bytes()),
    render_images: None,
};

/// The annotations: the first failure, then warnings and repairs in the order of the steps. Without a failure, a summary
/// stands first.
fn annotations(report: &Report) -> String {
    let mut lines: Vec<_> = report.steps.iter().flat_map(of_step).collect();
    lines.insert(0, failure(report).unwrap_or_else(|| summary(report)));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The first failure as an error.
fn failure(report: &Report) -> Option<String> {
    let failure = report.first_failure()?;
    let cause = failure.cause.map_or(String::new(), |cause| format!(", {}", cause.as_str()));
    let title = format!("Docker-in-Docker fails at {}{cause}", failure.step.step.id);
    Some(command("error", &title, &with_remedy(&failure.what, failure.remedy.as_deref())))
}

/// The run in a line.
fn summary(report: &Report) -> String {
    let (level, title) = match report.verdict() {
        _ if !report.complete => ("warning", "dindcheck did not come to its end".to_owned()),
        Verdict::Sound if report.is_partial() => {
            ("notice", format!("dindcheck: {}", report.headline(&plain)))
        }
        Verdict::Sound => ("notice", format!("Docker-in-Docker works here{}", report.unchecked(&plain))),
        _ => ("warning", format!("dindcheck: {}", report.headline(&plain))),
    };
    let (ran, took) = (Coverage::of(report).steps_run.len(), report.duration.as_secs_f64());
    command(level, &title, &format!("{ran} step{} in {took:.1} s", if ran == 1 { "" } else { "s" }))
}

/// The warnings of a step's latest check, and its repair.
fn of_step(step: &StepReport) -> Vec<String> {
    let warning = |finding: &Finding| {
        let title = format!("{}: {}", step.step.id, step.step.title);
        command("warning", &title, &with_remedy(&finding.what, finding.remedy()))
    };
    let latest = step.findings[step.latest..].iter().filter(|finding| finding.level == Level::Warn);
    let mut lines: Vec<_> = latest.map(warning).collect();
    if let Outcome::Repaired = step.outcome {
        let title = format!("{}: repaired", step.step.id);
        let did = step.repair.iter().flat_map(|repair| &repair.changes).map(|change| change.did.clone());
        lines.push(command("notice", &title, &did.collect::<Vec<_>>().join("\n")));
    }
    lines
}

/// What was found, and what to do on a line of its own.
fn with_remedy(what: &str, remedy: Option<&str>) -> String {
    remedy.map_or(what.to_owned(), |remedy| format!("{what}\nWhat to do: {remedy}"))
}

/// One workflow command.
fn command(level: &str, title: &str, message: &str) -> String {
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    format!("::{level} title={}::{}", property(title), data(message))
}

/// A text inside a command: one line, whatever it contains.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_begin_a_command_of_its_own() {
        let line = command("error", "a:b,c", "100%\n::stop-commands::x");
        assert_eq!(line, "::error title=a%3Ab%2Cc::100%25%0A::stop-commands::x");
        assert_eq!(line.lines().count(), 1);
    }
}

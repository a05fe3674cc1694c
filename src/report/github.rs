//! What does a job of GitHub Actions show? One annotation for each thing that is not as it should be.
//!
//! Workflow commands as in actions/toolkit, `packages/core/src/command.ts`: `::error title=T::message`.

use super::{Report, StepReport};
use crate::diagnosis;
use crate::finding::{Finding, Level, Outcome};

/// The annotations, most telling first, and a notice where all is well.
pub fn annotations(report: &Report) -> String {
    let mut lines = Vec::new();
    if let Some(failure) = report.first_failure() {
        let mut words = vec![failure.what.clone()];
        words.extend(failure.remedy.map(|remedy| format!("What to do: {remedy}")));
        let cause = failure.cause.map_or(String::new(), |cause| format!(", {}", cause.as_str()));
        let title = format!("Docker-in-Docker fails at {}{cause}", failure.step.step.id);
        lines.push(command("error", &title, &words.join("\n")));
    }
    lines.extend(report.steps.iter().flat_map(warnings));
    if lines.iter().all(|line| !line.starts_with("::error")) {
        let (level, said) = if report.complete {
            ("notice", "Docker-in-Docker works here")
        } else {
            ("warning", "dindcheck did not come to its end")
        };
        let summary = format!("{} steps in {:.1} s", report.steps.len(), report.duration.as_secs_f64());
        lines.insert(0, command(level, said, &summary));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The warnings of a step; of a failed one those beside its failure, and those of an older look not.
fn warnings(step: &StepReport) -> Vec<String> {
    let latest = &step.findings[step.latest..];
    let told = |finding: &Finding| {
        let hint = finding.hint.clone().or_else(|| Some(diagnosis::cause(finding.cause?).remedy.to_owned()));
        let words = hint.map_or(finding.what.clone(), |hint| format!("{}\nWhat to do: {hint}", finding.what));
        command("warning", &format!("{}: {}", step.step.id, step.step.title), &words)
    };
    let mut lines: Vec<_> = latest.iter().filter(|finding| finding.level == Level::Warn).map(told).collect();
    if let Outcome::Repaired = step.outcome {
        let title = format!("{}: repaired", step.step.id);
        let did = step.repair.iter().flat_map(|repair| &repair.changes).map(|change| change.did.clone());
        lines.push(command("notice", &title, &did.collect::<Vec<_>>().join("\n")));
    }
    lines
}

/// One workflow command.
fn command(level: &str, title: &str, message: &str) -> String {
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    format!("::{level} title={}::{}", property(title), data(message))
}

/// A text inside a command: one line, whatever it says.
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

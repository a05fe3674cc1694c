//! The format `human`: the first failure and what to do about it, then every step, for people.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::brief::verdict;
use super::{Escaping, Format};
use crate::finding::{Finding, Level, Outcome};
use crate::report::coverage::Coverage;
use crate::report::layout::{hang, labelled};
use crate::report::step_line::{line, style};
use crate::report::{FirstFailure, Report, StepReport, images};
use crate::step::Phase;

/// So many changes of a repair are shown; the other formats have all of them.
const CHANGES: usize = 6;

/// The format.
pub static FORMAT: Format = Format {
    name: "human",
    about: "The first failure and what to do, then every step, in 80 columns",
    readers: "people",
    for_people: true,
    escaping: Escaping::Page,
    render,
    render_images: Some(images::write),
};

fn render(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", verdict(report))?;
    if let Some(failure) = report.first_failure() {
        write!(out, "{}", first(&failure, report))?;
    }
    for phase in [Phase::Environment, Phase::Daemon, Phase::Workload] {
        let steps: Vec<_> = report.steps.iter().filter(|step| step.step.phase == phase).collect();
        if !steps.is_empty() {
            writeln!(out, "\n{}", phase.name())?;
        }
        for group in steps.chunk_by(|one, next| reason(one).is_some() && reason(one) == reason(next)) {
            steps_of(group, out)?;
        }
    }
    for leftover in &report.leftovers {
        writeln!(out, "\nleft over: {leftover}")?;
    }
    Ok(())
}

/// Why a step was skipped.
fn reason(step: &StepReport) -> Option<&str> {
    match &step.outcome {
        Outcome::Skipped(reason) => Some(reason),
        _ => None,
    }
}

/// A step with its details; steps that were skipped for the same reason share a line.
fn steps_of(group: &[&StepReport], out: &mut dyn Write) -> io::Result<()> {
    match group {
        [first, .., last] => {
            let paint = style(&first.outcome);
            let span = format!("{} .. {}", first.step.id, last.step.id);
            let reason = reason(first).unwrap_or_default();
            writeln!(out, "  {paint}skipped{paint:#}  {span} ({} steps): {reason}", group.len())
        }
        _ => group.iter().try_for_each(|step| {
            writeln!(out, "{}", line(step))?;
            write!(out, "{}", details(step))
        }),
    }
}

/// The first failure: what, cause, evidence, remedy, and how many steps it kept from running.
fn first(failure: &FirstFailure<'_>, report: &Report) -> String {
    let mut text = String::from("\n") + &labelled("first failure", failure.step.step.id);
    text += &labelled("what", &failure.what);
    if let Some(cause) = failure.cause {
        text += &labelled("cause", cause.as_str());
        text += &labelled("meaning", crate::diagnosis::cause(cause).meaning);
    }
    for (key, value) in failure.step.last_failing().map(|f| f.evidence.as_slice()).unwrap_or_default() {
        text += &labelled("evidence", &format!("{key}: {value}"));
    }
    if let Some(remedy) = &failure.remedy {
        text += &labelled("remedy", remedy);
    }
    let skipped = Coverage::of(report).steps_not_run.len();
    if skipped > 0 {
        let s = if skipped == 1 { "" } else { "s" };
        text += &labelled("consequence", &format!("{skipped} step{s} did not run"));
    }
    text
}

/// What stands below a step's line: its warnings and failures, and what a repair changed.
fn details(step: &StepReport) -> String {
    let mut text = String::new();
    let headline = step.headline().map(|finding| finding.what.clone());
    for finding in step.findings.iter().filter(|f| f.level > Level::Pass) {
        if Some(&finding.what) != headline.as_ref() || matches!(step.outcome, Outcome::Repaired) {
            let _ = writeln!(text, "{}", below(mark(finding), &finding.what));
        }
        if let (Level::Warn, Some(hint)) = (finding.level, &finding.hint) {
            let _ = writeln!(text, "{}", below('>', hint));
        }
    }
    text + &repair_details(step)
}

/// The changes of a step's repair, and why it failed.
fn repair_details(step: &StepReport) -> String {
    let Some(repair) = &step.repair else { return String::new() };
    let shown = repair.changes.iter().take(CHANGES);
    let mut rows: Vec<_> =
        shown.map(|change| below('+', &format!("{} (undo: {})", change.did, change.undo))).collect();
    if let Some(more) = repair.changes.len().checked_sub(CHANGES).filter(|more| *more > 0) {
        rows.push(below('+', &format!("and {more} more changes, each with its undo in the JSON report")));
    }
    rows.extend(
        repair.error.as_ref().map(|error| below('!', &format!("the repair did not succeed: {error}"))),
    );
    rows.iter().map(|row| format!("{row}\n")).collect()
}

/// A folded row below a step's line.
fn below(mark: char, text: &str) -> String {
    hang(&format!("{:11}{mark} ", ""), 13, text)
}

/// A finding's level as one character.
fn mark(finding: &Finding) -> char {
    match finding.level {
        Level::Pass => ' ',
        Level::Warn => '~',
        Level::Fail => '!',
    }
}

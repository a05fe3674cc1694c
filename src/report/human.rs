//! How does a person read a run? Live lines on stderr while it goes, the whole on stdout when it ends.

use crate::exit::Verdict;
use std::fmt::Write as _;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{FirstFailure, Report, StepReport};
use crate::finding::{Finding, Level, Outcome};
use crate::step::Phase;

/// Words are folded at this column, for terminals of 80.
const WIDTH: usize = 80;
/// The width of a block's labels.
const LABEL: usize = 15;
/// Where the words of a step's line begin.
const COLUMN: usize = 32;
/// So many changes of a repair are shown; the other reports have all.
const CHANGES: usize = 6;

/// Stands between words that folding must not part; printed as a space.
const TIE: char = '\u{a0}';

/// The style of an outcome's word.
fn style(outcome: &Outcome) -> Style {
    let color = match outcome {
        Outcome::Passed => AnsiColor::Green,
        Outcome::Warned | Outcome::Repaired => AnsiColor::Yellow,
        Outcome::Failed => AnsiColor::Red,
        Outcome::Errored(_) => AnsiColor::Magenta,
        Outcome::Skipped(_) => AnsiColor::BrightBlack,
    };
    Style::new().fg_color(Some(color.into()))
}

/// One line about a concluded step.
pub fn line(step: &StepReport) -> String {
    let paint = style(&step.outcome);
    let said = said(step);
    let took = match step.outcome {
        Outcome::Skipped(_) => String::new(),
        _ => format!(" ({})", duration(step.duration)),
    };
    let head = format!("  {paint}{:<8}{paint:#} {:<20} ", step.outcome.name(), step.step.id);
    hang(&head, COLUMN, &format!("{said}{took}"))
}

/// One row about a concluded step, whatever it says: for a place that is drawn anew.
pub fn short(step: &StepReport) -> String {
    let paint = style(&step.outcome);
    let said = said(step);
    let head = format!("  {paint}{:<8}{paint:#} {:<20} ", step.outcome.name(), step.step.id);
    head + &shortened(&said, COLUMN)
}

/// So much of a text as a row has room for behind so many columns.
pub fn shortened(text: &str, behind: usize) -> String {
    let room = WIDTH - 1 - behind;
    match text.chars().count() {
        count if count <= room => text.to_owned(),
        _ => text.chars().take(room - 1).chain(['…']).collect(),
    }
}

/// What is said of a step.
fn said(step: &StepReport) -> String {
    match &step.outcome {
        Outcome::Skipped(reason) => reason.clone(),
        Outcome::Errored(error) => format!("could not look: {error:#}"),
        Outcome::Repaired => repaired(step),
        _ => step.headline().map(|finding| finding.what.clone()).unwrap_or_default(),
    }
}

/// Folded words behind a head that is `indent` columns wide, the rows below each other.
fn hang(head: &str, indent: usize, words: &str) -> String {
    let rows = fold(words, WIDTH - indent);
    let below = format!("\n{:indent$}", "");
    format!("{head}{}", rows.join(&below)).trim_end().to_owned()
}

/// What a repair did, in a few words.
fn repaired(step: &StepReport) -> String {
    let changes = step.repair.as_ref().map_or(0, |repair| repair.changes.len());
    let title = step.repair.as_ref().map_or("", |repair| repair.title);
    format!("{title}: {changes} change{}, then the same check passed", if changes == 1 { "" } else { "s" })
}

/// `0.4 ms`, `1.83 s`.
fn duration(duration: std::time::Duration) -> String {
    crate::text::took(duration.as_secs_f64() * 1000.0).replace(' ', &TIE.to_string())
}

/// The whole report: first what failed and what to do, then the ladder.
pub fn render(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", verdict(report))?;
    if let Some(failure) = report.first_failure() {
        write!(out, "{}", first(&failure, report))?;
    }
    for phase in [Phase::Environment, Phase::Daemon, Phase::Workload] {
        let steps: Vec<_> = report.steps.iter().filter(|step| step.step.phase == phase).collect();
        if !steps.is_empty() {
            writeln!(out, "\n{}", phase.name())?;
        }
        for run in steps.chunk_by(|one, next| reason(one).is_some() && reason(one) == reason(next)) {
            ladder(run, out)?;
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
fn ladder(run: &[&StepReport], out: &mut dyn Write) -> io::Result<()> {
    match run {
        [first, .., last] => {
            let paint = style(&first.outcome);
            let span = format!("{} .. {}", first.step.id, last.step.id);
            let reason = reason(first).unwrap_or_default();
            writeln!(out, "  {paint}skipped{paint:#}  {span} ({} steps): {reason}", run.len())
        }
        _ => run.iter().try_for_each(|step| {
            writeln!(out, "{}", line(step))?;
            write!(out, "{}", details(step))
        }),
    }
}

/// `dindcheck: broken at cgroup-mounts (profile default, run 1a2b3c4d, 12.3 ms)`.
fn verdict(report: &Report) -> String {
    let verdict = report.verdict();
    let color = match verdict {
        Verdict::Sound => AnsiColor::Green,
        Verdict::Broken => AnsiColor::Red,
        Verdict::Unknown => AnsiColor::Magenta,
    };
    let paint = Style::new().bold().fg_color(Some(color.into()));
    let at = report.first_failure().map(|f| format!(" at {}", f.step.step.id)).unwrap_or_default();
    let run = format!("(profile {}, run {}, {})", report.profile, report.run, duration(report.duration));
    let words = format!("dindcheck: {}{at}", verdict.name());
    let rest = hang("", words.chars().count() + 1, &run);
    format!("{paint}{words}{paint:#} {rest}{}", environment(report))
}

/// What is known of the environment, on a line of its own.
fn environment(report: &Report) -> String {
    let e = &report.environment;
    let known = [
        ("kernel", &e.kernel),
        ("cgroup", &e.cgroup),
        ("engine", &e.engine),
        ("API", &e.api),
        ("storage", &e.storage_driver),
    ];
    let words: Vec<_> =
        known.iter().filter_map(|(key, value)| Some(format!("{key}{TIE}{}", value.as_ref()?))).collect();
    if words.is_empty() { String::new() } else { format!("\n{}", hang("  ", 2, &words.join(", "))) }
}

/// The verdict alone, and where something failed what it was and what to do.
pub fn brief(report: &Report) -> String {
    let mut text = verdict(report) + "\n";
    if let Some(failure) = report.first_failure() {
        let cause = failure.cause.map_or(String::new(), |cause| format!(" ({})", cause.as_str()));
        text += &format!("  {}{cause}\n", failure.what);
        text += &failure.remedy.map_or(String::new(), |remedy| format!("  what to do: {remedy}\n"));
    }
    text
}

/// The first failure: what, cause, evidence, the log's own words, remedy.
fn first(failure: &FirstFailure<'_>, report: &Report) -> String {
    let mut text = String::from("\n");
    field(&mut text, "first failure", failure.step.step.id);
    field(&mut text, "what", &failure.what);
    if let Some(cause) = failure.cause {
        field(&mut text, "cause", cause.as_str());
        field(&mut text, "meaning", crate::diagnosis::cause(cause).meaning);
    }
    for (key, value) in failure.step.last_failing().map(|f| f.evidence.as_slice()).unwrap_or_default() {
        field(&mut text, "evidence", &format!("{key}: {value}"));
    }
    if let Some(remedy) = &failure.remedy {
        field(&mut text, "remedy", remedy);
    }
    let skipped = report.steps.iter().filter(|s| matches!(s.outcome, Outcome::Skipped(_))).count();
    if skipped > 0 {
        field(&mut text, "consequence", &format!("{skipped} later steps did not run"));
    }
    text
}

/// One `name  value` of a block, folded.
fn field(text: &mut String, name: &str, value: &str) {
    for (index, row) in fold(value, WIDTH - LABEL - 2).iter().enumerate() {
        let label = if index == 0 { name } else { "" };
        let _ = writeln!(text, "  {label:<LABEL$}{row}");
    }
}

/// Words in rows of at most `width` characters; a word that is longer stays whole.
fn fold(text: &str, width: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in text.split_ascii_whitespace() {
        let row = rows.last_mut().map_or("", |row| row.as_str());
        if !row.is_empty() && row.chars().count() + 1 + word.chars().count() > width {
            rows.push(word.to_owned());
        } else if let Some(row) = rows.last_mut() {
            if !row.is_empty() {
                row.push(' ');
            }
            row.push_str(word);
        }
    }
    rows.iter().map(|row| row.replace(TIE, " ")).collect()
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
    if let Some(repair) = &step.repair {
        for change in repair.changes.iter().take(CHANGES) {
            let _ = writeln!(text, "{}", below('+', &format!("{} (undo: {})", change.did, change.undo)));
        }
        if repair.changes.len() > CHANGES {
            let more = format!(
                "and {} more changes, each with its undo in the JSON report",
                repair.changes.len() - CHANGES
            );
            let _ = writeln!(text, "{}", below('+', &more));
        }
        if let Some(error) = &repair.error {
            let _ = writeln!(text, "{}", below('!', &format!("the repair did not succeed: {error}")));
        }
    }
    text
}

/// A folded row below a step's line.
fn below(mark: char, words: &str) -> String {
    hang(&format!("{:11}{mark} ", ""), 13, words)
}

/// A finding's level as one character.
fn mark(finding: &Finding) -> char {
    match finding.level {
        Level::Pass => ' ',
        Level::Warn => '~',
        Level::Fail => '!',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_long_ones_stay_whole() {
        assert_eq!(fold("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(fold("abcdefgh i", 4), ["abcdefgh", "i"]);
    }
}

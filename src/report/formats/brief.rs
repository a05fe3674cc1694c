//! The format `brief`: the verdict in a line, and the first failure in a few.

use anstyle::{AnsiColor, Style};

use super::{Escaping, Format};
use crate::exit::Verdict;
use crate::report::coverage::plain;
use crate::report::layout::{TIE, duration, hang};
use crate::report::{Report, known};

/// The format.
pub static FORMAT: Format = Format {
    name: "brief",
    about: "One line, or a few where something failed",
    readers: "people in a hurry",
    for_people: true,
    escaping: Escaping::Page,
    render: |report, out| out.write_all(brief(report).as_bytes()),
    render_images: None,
};

/// The longest head that the rest of its line stands behind.
const HEAD: usize = 40;

/// The verdict, and where something failed what it was and what to do.
fn brief(report: &Report) -> String {
    let mut text = verdict(report) + "\n";
    if let Some(failure) = report.first_failure() {
        let cause = failure.cause.map_or(String::new(), |cause| format!(" ({})", cause.as_str()));
        text += &format!("  {}{cause}\n", failure.what);
        text += &failure.remedy.map_or(String::new(), |remedy| format!("  what to do: {remedy}\n"));
    }
    text
}

/// `dindcheck: broken at cgroup-mounts (profile default, run 1a2b3c4d, 12.3 ms)`, and the environment below. A run that left
/// steps out says so instead of `sound`.
pub(super) fn verdict(report: &Report) -> String {
    let verdict = report.verdict();
    let color = match verdict {
        Verdict::Sound if report.is_partial() => AnsiColor::Cyan,
        Verdict::Sound => AnsiColor::Green,
        Verdict::Broken => AnsiColor::Red,
        Verdict::Unknown => AnsiColor::Magenta,
    };
    let paint = Style::new().bold().fg_color(Some(color.into()));
    let run = format!("(profile {}, run {}, {})", report.profile, report.run, duration(report.duration));
    let head = format!("dindcheck: {}", report.headline(&plain));
    let column = head.chars().count() + 1;
    // A long head leaves no column for the rest.
    let rest = if column > HEAD { hang("\n  ", 2, &run) } else { hang(" ", column, &run) };
    format!("{paint}{head}{paint:#}{rest}{}", environment(report))
}

/// What is known of the environment, on a line of its own.
fn environment(report: &Report) -> String {
    let known = known(&report.environment);
    let texts: Vec<_> = known.iter().map(|(name, value)| format!("{name}{TIE}{value}")).collect();
    if texts.is_empty() { String::new() } else { format!("\n{}", hang("  ", 2, &texts.join(", "))) }
}

//! How does a report become text? One format each; the verdict is the report's own.

use std::io::{self, Write};

use super::{Report, github, human, junit, page};
use crate::profile::Format;

/// Writes the report in a format.
pub fn render(report: &Report, format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Human => human::render(report, out),
        Format::Brief => out.write_all(human::brief(report).as_bytes()),
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, report)?;
            writeln!(out)
        }
        Format::Junit => junit::render(report, out),
        Format::Github => out.write_all(github::annotations(report).as_bytes()),
        Format::Markdown => out.write_all(page::markdown(report)?.as_bytes()),
        Format::Html => out.write_all(page::html(report)?.as_bytes()),
    }
}

//! The format `markdown`: a short summary, as GitHub shows it for a job.

use std::io::{self, Write};

use askama::Template;

use super::page::{FailureDetails, write_page};
use super::{Escaping, Format};
use crate::report::Report;
use crate::report::coverage::code;
use crate::report::document::Document;

/// The format.
pub static FORMAT: Format = Format {
    name: "markdown",
    about: "Markdown: the first failure, and the steps in a table",
    readers: "the summary of a GitHub job, a merge request",
    for_people: false,
    escaping: Escaping::Page,
    render,
    render_images: None,
};

/// The summary.
#[derive(Template)]
#[template(path = "report.md", escape = "none")]
struct Summary<'d> {
    document: &'d Document,
    headline: String,
    first: Option<FailureDetails<'d>>,
}

fn render(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let document = Document::of(report);
    let (headline, first) = (report.headline(&code), FailureDetails::of(&document));
    write_page(&Summary { document: &document, headline, first }, out)
}

/// A text inside a cell of a Markdown table: one line, with every character of markup escaped.
fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' => safe.push(' '),
            '<' => safe.push_str("&lt;"),
            '&' => safe.push_str("&amp;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '~' => {
                safe.push('\\');
                safe.push(character);
            }
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_cell_is_escaped() {
        assert_eq!(cell("a|b\n<img> `x` *y*"), "a\\|b &lt;img> \\`x\\` \\*y\\*");
    }
}

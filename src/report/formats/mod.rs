//! The formats of reports: one file each, and one table from which everything else takes them.
//!
//! The values of `--format` and `--output`, the `format:` of a profile, the formats of `dindcheck image` and the README's
//! table come from [`ALL`]. To add a format, write its file and its line in `formats!` below; then `cargo test --test reports`
//! names the command that adds it to the README.

use std::io::{self, Write};

use anyhow::Context;
use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::{Report, shown};
use crate::image_check::ImageResult;
use crate::text::shown as text;

mod page;

/// Declares the module of each format, and [`ALL`] in the same order.
macro_rules! formats {
    ($($format:ident,)*) => {
        $(pub mod $format;)*

        /// The formats, in the order of the help text.
        pub static ALL: &[&Format] = &[$(&$format::FORMAT),*];
    };
}

// rustfmt does not find modules in a macro: `make fmt` and `make lint` name these files to it.
formats! {
    human,
    brief,
    json,
    junit,
    github,
    markdown,
    html,
}

/// A way to write reports.
#[derive(Debug)]
pub struct Format {
    /// Its name on the command line and in profiles. Never renamed.
    pub name: &'static str,
    /// What it holds, for the help text and the README.
    pub about: &'static str,
    /// Who reads it, for the README.
    pub readers: &'static str,
    /// Whether people read it. Beside a format for programs, a log also gets a line for each step.
    pub for_people: bool,
    /// How texts from outside are kept from being obeyed.
    pub(in crate::report) escaping: Escaping,
    /// Writes the report of a run.
    pub(in crate::report) render: fn(&Report, &mut dyn Write) -> io::Result<()>,
    /// Writes the results of `dindcheck image`, where the format has room for several images.
    pub(in crate::report) render_images: Option<RenderImages>,
}

/// How a format keeps texts from outside from being obeyed by a terminal or a CI runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Escaping {
    /// It gets the report [as it is shown](shown).
    Page,
    /// The same, and its lines are commands of a CI runner.
    Commands,
    /// It gets the report as it is, and hidden characters are escaped as JSON does it, so that programs read the same text.
    Json,
}

impl Format {
    /// The report of a run in this format.
    ///
    /// # Errors
    ///
    /// Where a template or a serialiser fails, which no known report causes.
    pub fn text(&self, report: &Report) -> io::Result<String> {
        let mut out = Vec::new();
        match self.escaping {
            Escaping::Json => (self.render)(report, &mut out)?,
            Escaping::Page | Escaping::Commands => (self.render)(&report.shown(), &mut out)?,
        }
        self.escaped(out)
    }

    /// The results of several images in this format; none where it has no room for them.
    ///
    /// # Errors
    ///
    /// As [`Format::text`].
    pub fn text_of_images(&self, images: &[ImageResult]) -> io::Result<Option<String>> {
        let Some(render) = self.render_images else { return Ok(None) };
        let mut out = Vec::new();
        match self.escaping {
            Escaping::Json => render(images, &mut out)?,
            _ => render(&images.iter().map(shown::of_image).collect::<Vec<_>>(), &mut out)?,
        }
        self.escaped(out).map(Some)
    }

    /// Whether the format has room for several images.
    pub const fn has_images(&self) -> bool {
        self.render_images.is_some()
    }

    /// What was rendered, with what may have slipped through escaped.
    fn escaped(&self, rendered: Vec<u8>) -> io::Result<String> {
        let rendered = String::from_utf8(rendered).map_err(io::Error::other)?;
        Ok(match self.escaping {
            Escaping::Page => text::page(&rendered).into_owned(),
            Escaping::Commands => text::visible(&rendered).into_owned(),
            Escaping::Json => text::json(&rendered).into_owned(),
        })
    }
}

/// Writes the results of several images.
pub(in crate::report) type RenderImages = fn(&[ImageResult], &mut dyn Write) -> io::Result<()>;

/// So that a format is a value of the command line.
impl ValueEnum for &'static Format {
    fn value_variants<'a>() -> &'a [Self] {
        ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name).help(self.about))
    }
}

/// The format of that name; the error lists the valid ones.
pub fn find(name: &str) -> anyhow::Result<&'static Format> {
    let found = ALL.iter().copied().find(|format| format.name == name);
    found.with_context(|| format!("`{name}` is not a valid format; the formats are {}", names(", ", ALL)))
}

/// The formats that have room for several images.
pub fn of_images() -> Vec<&'static Format> {
    ALL.iter().copied().filter(|format| format.has_images()).collect()
}

/// The names of these formats in one line.
pub fn names(separator: &str, formats: &[&Format]) -> String {
    formats.iter().map(|format| format.name).collect::<Vec<_>>().join(separator)
}

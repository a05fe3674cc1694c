//! The formats of reports: one file each, and one table from which everything else takes them.
//!
//! The values of `--format` and `--output`, the `format:` of a profile, the formats of `dindcheck image` and the README's
//! table come from [`ALL`]. To add a format, write its file and its line in `formats!` below; then `cargo test --test reports`
//! names the command that adds it to the README.

use std::io::{self, Write};

use anyhow::Context;
use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::Report;
use crate::image_check::ImageResult;

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
    /// Writes the report of a run.
    pub render: fn(&Report, &mut dyn Write) -> io::Result<()>,
    /// Writes the results of `dindcheck image`, where the format has room for several images.
    pub render_images: Option<RenderImages>,
}

/// Writes the results of several images.
pub type RenderImages = fn(&[ImageResult], &mut dyn Write) -> io::Result<()>;

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
    ALL.iter().copied().filter(|format| format.render_images.is_some()).collect()
}

/// The names of these formats in one line.
pub fn names(separator: &str, formats: &[&Format]) -> String {
    formats.iter().map(|format| format.name).collect::<Vec<_>>().join(separator)
}

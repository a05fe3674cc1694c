//! The results of `dindcheck image` for people: a block for each image, and a table of all.

use std::io::{self, Write};
use std::time::Duration;

use crate::image_check::{About, ImageResult};
use crate::text::seconds;

/// Writes the results of all images.
pub(super) fn write(all: &[ImageResult], out: &mut dyn Write) -> io::Result<()> {
    all.iter().try_for_each(|result| out.write_all(one(result).as_bytes()))?;
    write!(out, "\n{}", table(all))
}

/// The result of one image: its first failure, what its log says, and the report from inside.
pub fn one(result: &ImageResult) -> String {
    let mut page = line(result) + "\n";
    for key in ["what", "cause", "remedy"] {
        let text = result.failure(key);
        if !text.is_empty() {
            page += &format!("  {key:<9} {text}\n");
        }
    }
    if let Some(first) = result.log.as_ref().and_then(|log| log.first_error.as_ref()) {
        page += &format!("  log       line {}: {}\n", first.line, first.text.trim());
    }
    for note in &result.notes {
        page += &format!("  note      {note}\n");
    }
    if !result.text.is_empty() {
        page += &format!("\n{}{}\n", heading(result), result.text.trim_end());
    }
    page
}

/// What stands above the report from inside, where that is not about the image's daemon.
fn heading(result: &ImageResult) -> String {
    match result.report_about {
        Some(About::Environment) => {
            format!("the environment of {}, in a second container without its daemon:\n", result.image)
        }
        Some(About::Daemon) | None => String::new(),
    }
}

/// `my-image: broken at cgroup-mounts (3.1 s)`.
fn line(result: &ImageResult) -> String {
    let step = result.failure("step");
    let at = if step.is_empty() { String::new() } else { format!(" at {step}") };
    let took = seconds(Duration::from_millis(result.duration_ms));
    format!("{}: {}{at} ({took})", result.image, result.verdict.name())
}

/// A table with a row for each image: verdict, step and cause of the first failure.
pub fn table(all: &[ImageResult]) -> String {
    let wide = all.iter().map(|result| result.image.chars().count()).max().unwrap_or_default();
    let row = |result: &ImageResult| {
        let text = format!(
            "{:<wide$}  {:<8} {:<20} {}",
            result.image,
            result.verdict.name(),
            result.failure("step"),
            result.failure("cause")
        );
        format!("{}\n", text.trim_end())
    };
    all.iter().map(row).collect()
}

//! Report files: each is whole at any time and written anew after every step, so that it survives a crash.

use std::path::PathBuf;

use anyhow::Context;

use super::Report;
use super::formats::{self, Format};
use super::target::{Access, Target};
use crate::image_check::ImageResult;
use crate::talk::say;
use crate::text::errors::reason;
use crate::text::shown;

/// The report files of a run.
pub struct Outputs(Vec<Output>);

struct Output {
    format: &'static Format,
    path: PathBuf,
    target: Target,
    /// Whether the latest report could not be written.
    failed: bool,
}

impl Outputs {
    /// Finds out how the files can be written, each given as the name of a format and a path.
    ///
    /// # Errors
    ///
    /// A format that does not exist, or a file that cannot be written; nothing was changed then.
    pub fn open(files: &[(String, PathBuf)]) -> anyhow::Result<Self> {
        let open = |(format, path): &(String, PathBuf)| -> anyhow::Result<Output> {
            let format = formats::find(format)?;
            let target = Target::open(path, Access::Usual).context("--output")?;
            Ok(Output { format, path: path.clone(), target, failed: false })
        };
        Ok(Self(files.iter().map(open).collect::<anyhow::Result<_>>()?))
    }

    /// Writes the report so far, or the whole one.
    pub fn write(&mut self, report: &Report) {
        self.write_with(report.complete, &|format| format.text(report).map(Some));
    }

    /// Writes the results of images so far, or all of them.
    pub fn write_images(&mut self, images: &[ImageResult], complete: bool) {
        self.write_with(complete, &|format| format.text_of_images(images));
    }

    /// Whether every file has the latest report.
    pub fn all_written(&self) -> bool {
        self.0.iter().all(|output| !output.failed)
    }

    fn write_with(&mut self, complete: bool, text: &dyn Fn(&Format) -> std::io::Result<Option<String>>) {
        for output in &mut self.0 {
            let written = output.write(complete, text);
            if let (Err(error), false) = (&written, output.failed) {
                let path = shown::path(&output.path);
                say(&format!("--output: the report could not be written to {path}: {}", reason(error)));
            }
            output.failed = written.is_err();
        }
    }
}

impl Output {
    fn write(
        &mut self,
        complete: bool,
        text: &dyn Fn(&Format) -> std::io::Result<Option<String>>,
    ) -> std::io::Result<()> {
        if self.target.is_stream() && !complete {
            return Ok(());
        }
        let Some(text) = text(self.format)? else { return Ok(()) };
        self.target.write(anstream::adapter::strip_str(&text).to_string().as_bytes())
    }
}

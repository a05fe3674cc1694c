//! Report files: each is whole at any time and written anew after every step, so that it survives a crash.
#![expect(clippy::disallowed_methods, reason = "the user's own report files")]

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::libc::O_TRUNC;

use super::Report;
use super::formats::{self, Format};

/// The report files of a run.
pub struct Outputs(Vec<Output>);

struct Output {
    format: &'static Format,
    path: PathBuf,
    update: Update,
}

/// Writes a report in a format.
type Render<'r> = &'r dyn Fn(&Format, &mut dyn Write) -> std::io::Result<()>;

/// How a file takes a new report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Update {
    /// A new file is written beside it and takes its name: a reader never sees half a report.
    Replace,
    /// In place: for a file that is a mount point, as Kubernetes' termination message is.
    Overwrite,
    /// Once, at the end: for a terminal or a pipe.
    Append,
}

impl Outputs {
    /// Opens the files, each given as the name of a format and a path.
    ///
    /// # Errors
    ///
    /// A format that does not exist, or a file that cannot be created; nothing was changed then.
    pub fn open(files: &[(String, PathBuf)]) -> anyhow::Result<Self> {
        let open = |(format, path): &(String, PathBuf)| Output::open(formats::find(format)?, path);
        Ok(Self(files.iter().map(open).collect::<anyhow::Result<_>>()?))
    }

    /// Writes the report so far, or the whole one.
    pub fn write(&mut self, report: &Report) {
        self.write_with(report.complete, &|format, out| (format.render)(report, out));
    }

    /// Writes what `render` writes. A file that cannot be written is reported once and then left out.
    pub fn write_with(&mut self, complete: bool, render: Render<'_>) {
        self.0.retain_mut(|output| match output.write(complete, render) {
            Ok(()) => true,
            Err(error) => {
                let path = output.path.display();
                anstream::eprintln!("dindcheck: the report could not be written to {path}: {error}");
                false
            }
        });
    }
}

impl Output {
    fn open(format: &'static Format, path: &Path) -> anyhow::Result<Self> {
        let failed = || format!("--output: create {}", path.display());
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(path).with_context(failed)?;
        if !file.metadata().with_context(failed)?.is_file() {
            // The target of a link in /dev may have no path of its own.
            return Ok(Self { format, path: path.to_owned(), update: Update::Append });
        }
        // A link stays a link: its target is replaced.
        Ok(Self { format, path: path.canonicalize().with_context(failed)?, update: Update::Replace })
    }

    fn write(&mut self, complete: bool, render: Render<'_>) -> std::io::Result<()> {
        if self.update == Update::Append && !complete {
            return Ok(());
        }
        let mut text = anstream::StripStream::new(Vec::new());
        render(self.format, &mut text)?;
        let text = text.into_inner();
        if self.update == Update::Replace {
            match replace(&self.path, &text) {
                Err(error) if error.kind() == ErrorKind::ResourceBusy => self.update = Update::Overwrite,
                done => return done,
            }
        }
        let truncate = if self.update == Update::Overwrite { O_TRUNC } else { 0 };
        OpenOptions::new().write(true).custom_flags(truncate).open(&self.path)?.write_all(&text)
    }
}

/// Replaces a file as a whole. The new file is always created here, never one that somebody else put there.
fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    match std::fs::remove_file(&aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).open(&aside)?.write_all(text)?;
    std::fs::rename(&aside, path).inspect_err(|_| {
        let _ = std::fs::remove_file(&aside);
    })
}

//! Where else does a report go? Into files that are whole at any time, written anew after every step, so that they
//! survive a crash.
#![allow(clippy::disallowed_methods, reason = "the user's own report files")]

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::libc::O_TRUNC;

use super::{Report, formats};
use crate::profile::Format;

/// The files of a run.
pub struct Outputs(Vec<Output>);

struct Output {
    format: Format,
    path: PathBuf,
    way: Way,
}

/// What writes a report in a format.
type Render<'r> = &'r dyn Fn(Format, &mut dyn Write) -> std::io::Result<()>;

/// How a file takes a new report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By a new file beside it that takes its name: a reader never sees half a report.
    Replace,
    /// In place: a file that is a mount of its own, as Kubernetes' termination message is.
    Overwrite,
    /// Once, at the end: a terminal, a pipe.
    Append,
}

impl Outputs {
    /// Opens each, or fails before anything was touched.
    pub fn open(wanted: &[(Format, PathBuf)]) -> anyhow::Result<Self> {
        let open = |(format, path): &(Format, PathBuf)| {
            let failed = || format!("--output: create {}", path.display());
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .with_context(failed)?;
            let regular = file.metadata().with_context(failed)?.is_file();
            if !regular {
                // What a link in /dev leads to may have no name of its own.
                return Ok(Output { format: *format, path: path.clone(), way: Way::Append });
            }
            // A link stays one: what it points to is replaced.
            Ok(Output { format: *format, path: path.canonicalize().with_context(failed)?, way: Way::Replace })
        };
        Ok(Self(wanted.iter().map(open).collect::<anyhow::Result<_>>()?))
    }

    /// Writes the report so far, or the whole one.
    pub fn write(&mut self, report: &Report) {
        self.put(report.complete, &|format, out| formats::render(report, format, out));
    }

    /// Writes what is rendered, whole or so far. A file that cannot be written is told once, and given up.
    pub fn put(&mut self, complete: bool, render: Render<'_>) {
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
    fn write(&mut self, complete: bool, render: Render<'_>) -> std::io::Result<()> {
        if self.way == Way::Append && !complete {
            return Ok(());
        }
        let mut text = anstream::StripStream::new(Vec::new());
        render(self.format, &mut text)?;
        let text = text.into_inner();
        if self.way == Way::Replace {
            match replace(&self.path, &text) {
                Err(error) if error.kind() == ErrorKind::ResourceBusy => self.way = Way::Overwrite,
                done => return done,
            }
        }
        let truncate = if self.way == Way::Overwrite { O_TRUNC } else { 0 };
        OpenOptions::new().write(true).custom_flags(truncate).open(&self.path)?.write_all(&text)
    }
}

/// Replaces a file as a whole. The new one is never one that somebody else put there.
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

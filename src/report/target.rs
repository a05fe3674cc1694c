//! A file that the user named for output, and how it takes a text: by its type.
//!
//! A regular file is replaced as a whole, so that a reader never sees half a text and a full disk leaves the old one. A pipe
//! or a character device, and what this process has open already (`/dev/stdout`, `/dev/fd/N`), is written to in place.
#![expect(clippy::disallowed_methods, reason = "the user's own output files")]

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc::{O_NOCTTY, O_NOFOLLOW, O_NONBLOCK};

use super::place::{Place, resolve};
use crate::talk::write_all;
use crate::text::errors::reason;
use crate::text::shown;

/// How long the reader of a pipe or a device may take nothing.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long a pipe may have no reader, since one that is started at the same time may need a moment.
const READER: Duration = Duration::from_secs(1);
/// How often a reader is looked for.
const POLL: Duration = Duration::from_millis(20);
/// Errors of making or renaming a file in a directory where the file itself may be written: the directory is read-only or
/// not ours, or the file is a mount point, as Kubernetes' termination message is.
const IN_PLACE: [Errno; 5] = [Errno::EACCES, Errno::EPERM, Errno::EROFS, Errno::EBUSY, Errno::EXDEV];

/// A file that can be written.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    way: Way,
    access: Access,
}

/// How a target takes a text.
#[derive(Debug)]
enum Way {
    /// A new file is written beside it and takes its name.
    Replace,
    /// In place.
    Overwrite,
    /// It is a pipe or a device.
    Stream(OwnedFd),
    /// This process has it open already; as with stdout, a reader that closed it is not an error.
    Own(OwnedFd),
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Those who could read it before; for a new file by the umask.
    Usual,
    /// Its owner alone.
    Private,
}

/// A file that cannot be written, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written: {why}", shown::path(path))]
pub struct TargetError {
    path: PathBuf,
    why: String,
}

impl Target {
    /// Finds out how a path can be written; leaves everything as it was.
    ///
    /// # Errors
    ///
    /// What cannot take a text: a directory, a socket, a block device, a pipe without a reader, a directory in which no file
    /// can be made.
    pub fn open(path: &Path, access: Access) -> Result<Self, TargetError> {
        let failed = |why: String| TargetError { path: path.to_owned(), why };
        let opened = match resolve(path) {
            Ok(Place::Open(descriptor)) => Ok((path.to_owned(), Way::Own(descriptor))),
            Ok(Place::Path(real)) => way(&real).map(|way| (real, way)),
            Err(error) => Err(reason(&error)),
        };
        let (path, way) = opened.map_err(failed)?;
        Ok(Self { path, way, access })
    }

    /// Whether it takes one text only.
    pub const fn is_stream(&self) -> bool {
        matches!(self.way, Way::Stream(_) | Way::Own(_))
    }

    /// Writes a text: to a stream behind what it has, to a file instead of it.
    ///
    /// # Errors
    ///
    /// What the system reports; `TimedOut` where a reader takes nothing for 10 seconds, or for one after a signal.
    pub fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if let Way::Replace = self.way {
            match self.replace(text) {
                Err(error) if is_in_place(&error) => self.way = Way::Overwrite,
                done => return done,
            }
        }
        match &self.way {
            Way::Stream(descriptor) => write_all(descriptor.as_fd(), text, Some(DEADLINE)),
            Way::Own(descriptor) => match write_all(descriptor.as_fd(), text, Some(DEADLINE)) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                done => done,
            },
            Way::Replace | Way::Overwrite => overwrite(&self.path, text),
        }
    }

    /// Replaces the file by a new one, with the owner and the permissions of the old one where there is one.
    fn replace(&self, text: &[u8]) -> io::Result<()> {
        let mut new = new_file(directory(&self.path), self.access)?;
        new.as_file_mut().write_all(text)?;
        match std::fs::symlink_metadata(&self.path) {
            Ok(old) if !old.is_file() => return Err(Errno::EEXIST.into()),
            Ok(old) => self.inherit(new.as_file(), &old)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        new.persist(&self.path).map(drop).map_err(|failed| failed.error)
    }

    /// Gives a new file what the old one has. Only root may give a file away.
    fn inherit(&self, new: &File, old: &Metadata) -> io::Result<()> {
        let made = new.metadata()?;
        if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
            let _ = fchown(new, Some(old.uid()), Some(old.gid()));
        }
        match self.access {
            Access::Usual => new.set_permissions(Permissions::from_mode(old.mode() & 0o777)),
            Access::Private => Ok(()),
        }
    }
}

/// How a path that is no link takes a text, or why it takes none.
fn way(path: &Path) -> Result<Way, String> {
    let kind = match std::fs::symlink_metadata(path) {
        Ok(meta) => meta.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return new_file(directory(path), Access::Usual).map(|_| Way::Replace).map_err(|e| reason(&e));
        }
        Err(error) => return Err(reason(&error)),
    };
    let device = |flags| open(path, flags).map(|file| Way::Stream(file.into())).map_err(|e| reason(&e));
    if kind.is_file() {
        way_of_file(path).map_err(|error| reason(&error))
    } else if kind.is_dir() {
        Err("it is a directory (EISDIR); name a file in it".to_owned())
    } else if kind.is_fifo() {
        pipe(path)
    } else if kind.is_char_device() {
        device(O_NOCTTY)
    } else {
        let kind = if kind.is_socket() { "a socket" } else { "a block device" };
        Err(format!("it is {kind}; name a file, a pipe or a terminal"))
    }
}

/// A regular file is replaced where a file can be made beside it.
fn way_of_file(path: &Path) -> io::Result<Way> {
    open(path, 0)?;
    match new_file(directory(path), Access::Usual) {
        Ok(_) => Ok(Way::Replace),
        Err(error) if is_in_place(&error) => Ok(Way::Overwrite),
        Err(error) => Err(error),
    }
}

/// Opens a pipe, which must have a reader.
fn pipe(path: &Path) -> Result<Way, String> {
    let began = Instant::now();
    loop {
        match open(path, 0) {
            Ok(file) => return Ok(Way::Stream(file.into())),
            Err(error) if error.raw_os_error() != Some(Errno::ENXIO as i32) => return Err(reason(&error)),
            Err(_) if began.elapsed() > READER => {
                return Err("nothing reads this pipe (ENXIO); start its reader first".to_owned());
            }
            Err(_) => std::thread::sleep(POLL),
        }
    }
}

/// Opens what is there for writing, without waiting and without changing it.
fn open(path: &Path, flags: i32) -> io::Result<File> {
    OpenOptions::new().write(true).custom_flags(O_NONBLOCK | O_NOFOLLOW | flags).open(path)
}

/// Writes into an existing file, and cuts off what it has more.
fn overwrite(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = open(path, 0)?;
    if !file.metadata()?.is_file() {
        return Err(Errno::EEXIST.into());
    }
    file.write_all(text)?;
    file.set_len(text.len() as u64)
}

/// A file of a name that nobody else uses, which is removed again unless it gets another name. tempfile's own way of opening
/// it would hide the errno.
fn new_file(directory: &Path, access: Access) -> io::Result<tempfile::NamedTempFile> {
    let mode = if access == Access::Private { 0o600 } else { 0o666 };
    tempfile::Builder::new()
        .prefix(".dindcheck-")
        .make_in(directory, |path| OpenOptions::new().write(true).create_new(true).mode(mode).open(path))
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn is_in_place(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|errno| IN_PLACE.contains(&Errno::from_raw(errno)))
}

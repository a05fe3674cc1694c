//! Keeps a log below a size while another process appends to it: its head and its last part stay.
//!
//! dockerd holds the file open with O_APPEND, so whatever truncates it, dockerd goes on at the new end, and needs nobody at
//! the other end of a pipe. The head is never touched: it has the first error. Between head and tail stands one line with
//! the number of bytes that were dropped. Nothing else is remembered, so that another process can go on.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use memchr::memchr;
use nix::errno::Errno;
use nix::libc::O_NONBLOCK;
use rustix::fs::{FlockOperation, flock};

use crate::host::{HostError, HostResult};

/// The bytes that are kept of a log's beginning, at most.
pub const HEAD: u64 = 2 << 20;
/// The bytes that a cut leaves of its end, at most.
pub const TAIL: u64 = 2 << 20;
/// The size in bytes above which a log is cut.
pub const MAX: u64 = 8 << 20;

/// How many bytes are searched for the end of a line; a longer line is cut in the middle.
const LINE: u64 = 64 << 10;
/// How many bytes are copied at a time.
const CHUNK: usize = 256 << 10;
/// The length in bytes of the line about dropped bytes, filled with spaces: it is written before they are counted.
const NOTICE: usize = 96;
/// The words before the number in that line.
const PREFIX: &str = "dindcheck: ";
/// The words after it.
const DROPPED: &str = " bytes of this log were dropped here";

/// A log that is kept below [`MAX`] bytes.
#[derive(Debug)]
pub struct BoundedLog {
    file: File,
    path: PathBuf,
}

/// What one cut took out of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The first byte that was dropped.
    from: u64,
    /// The first byte after those, where it was before.
    to: u64,
    /// The same byte, where it is now.
    now: u64,
    /// The new end of the file.
    end: u64,
}

impl Cut {
    /// Where a reader goes on that was at `position`: at the notice, where the bytes that it was to read are gone.
    pub fn moved(&self, position: u64) -> u64 {
        match position {
            before if before <= self.from => before,
            after if after >= self.to => (after - self.to + self.now).min(self.end),
            _ => self.from,
        }
    }

    /// How many bytes were dropped before a reader at `position` could read them.
    pub fn unread(&self, position: u64) -> u64 {
        self.to.saturating_sub(position.max(self.from))
    }
}

impl BoundedLog {
    /// Opens a log that exists.
    ///
    /// # Errors
    ///
    /// Where it cannot be opened to read and to write, or is no plain file.
    pub fn open(path: PathBuf) -> HostResult<Self> {
        let failed = |error: io::Error| HostError::io("open the log", &path, &error);
        let file = OpenOptions::new().read(true).write(true).custom_flags(O_NONBLOCK).open(&path);
        let file = file.map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(HostError::new("open the log", &path, Errno::EINVAL));
        }
        Ok(Self { file, path })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file, to read at any position.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |meta| meta.len())
    }

    /// How many bytes of it have been dropped, by whomever.
    pub fn dropped(&self) -> u64 {
        self.head_end().and_then(|end| self.notice_at(end)).unwrap_or(None).unwrap_or(0)
    }

    /// Drops its middle where it is larger than [`MAX`].
    ///
    /// # Errors
    ///
    /// Where it cannot be read, written or truncated.
    pub fn trim(&self) -> io::Result<Option<Cut>> {
        if self.size() <= MAX || flock(&self.file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        // Another process may have cut it before the lock.
        let cut = if self.size() > MAX { self.cut().map(Some) } else { Ok(None) };
        let _ = flock(&self.file, FlockOperation::Unlock);
        cut
    }

    /// Moves the last part to the end of the head, and truncates the file behind it.
    fn cut(&self) -> io::Result<Cut> {
        let from = self.head_end()?;
        let old = self.notice_at(from)?;
        let old_notice = old.map_or(0, |_| NOTICE as u64);
        let to = self.line_start(self.size().saturating_sub(TAIL).max(from))?;
        let before = old.unwrap_or(0).saturating_add((to - from).saturating_sub(old_notice));
        self.file.write_all_at(&notice(before), from)?;
        let now = from + NOTICE as u64;
        let (read, end) = self.copy_down(to, now);
        // What is appended between these two calls is lost, uncounted: no call does both. In a flood alone there is anything.
        let lost = self.size().saturating_sub(read);
        self.file.set_len(end)?;
        if lost > 0 {
            self.file.write_all_at(&notice(before.saturating_add(lost)), from)?;
        }
        Ok(Cut { from, to, now, end })
    }

    /// Copies everything from `read` on to `written`, and what is appended meanwhile, but at most twice the tail. Returns
    /// how far it came. An error ends it early: the file must be truncated all the same.
    fn copy_down(&self, mut read: u64, mut written: u64) -> (u64, u64) {
        let (mut chunk, end) = (vec![0; CHUNK], read + 2 * TAIL);
        while read < end {
            let Ok(length @ 1..) = self.file.read_at(&mut chunk, read) else { break };
            if self.file.write_all_at(&chunk[..length], written).is_err() {
                break;
            }
            read += length as u64;
            written += length as u64;
        }
        (read, written)
    }

    /// The end of the head: of the first line that ends in its last part, so that it is the same after every cut.
    fn head_end(&self) -> io::Result<u64> {
        let from = HEAD - LINE;
        let end = memchr(b'\n', &self.read(from, LINE)?);
        Ok(end.map_or(HEAD, |end| from + end as u64 + 1))
    }

    /// The start of the first whole line from `position` on.
    fn line_start(&self, position: u64) -> io::Result<u64> {
        let end = memchr(b'\n', &self.read(position, LINE)?);
        Ok(end.map_or(position, |end| position + end as u64 + 1))
    }

    /// The number in the notice at `position`; `None` where there is none.
    fn notice_at(&self, position: u64) -> io::Result<Option<u64>> {
        let line = self.read(position, NOTICE as u64)?;
        let text = String::from_utf8_lossy(&line);
        let number = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once(DROPPED));
        Ok(number.and_then(|(number, _)| number.parse().ok()))
    }

    /// Up to `length` bytes from `position` on.
    fn read(&self, position: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.file.read_at(&mut bytes[filled..], position + filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

/// The line about dropped bytes.
fn notice(bytes: u64) -> Vec<u8> {
    let mut line = format!("{PREFIX}{bytes}{DROPPED}").into_bytes();
    line.resize(NOTICE - 1, b' ');
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests;

//! Reads what the user named for input, which may be a file, a pipe or a terminal, with a limit and without missing a signal.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc::{O_NOCTTY, O_NONBLOCK};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::talk;

/// So many bytes are read at once.
pub(super) const PIECE: usize = 128 * 1024;
/// How long a pipe may have no writer.
pub(super) const WRITER: Duration = Duration::from_secs(10);
/// How often an input that does not grow is looked at, in milliseconds.
const POLL: u8 = 50;

/// An input that is read piece by piece.
pub(super) struct InputFile {
    source: Source,
    /// How long a pipe may have no writer.
    patience: Duration,
    opened: Instant,
    /// Whether it has had a writer, or needs none.
    has_begun: bool,
}

enum Source {
    Stdin(io::Stdin),
    /// A regular file may be truncated while it is followed.
    Regular(File),
    Other(File),
}

/// An error of an input in words.
pub(super) fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) if errno == Errno::ETIMEDOUT as i32 => {
            "nothing writes to this pipe; start its writer first".to_owned()
        }
        _ => talk::reason(error),
    }
}

/// What a read gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// So many bytes.
    Bytes(usize),
    /// Nothing has come for a moment, or yet.
    Nothing,
    /// The end, for now.
    End,
}

impl InputFile {
    /// Opens an input without waiting for the writer of a pipe; `-` is standard input.
    ///
    /// # Errors
    ///
    /// What open(2) reports; `EISDIR`.
    pub(super) fn open(path: &Path, patience: Duration) -> io::Result<Self> {
        let source = if path == Path::new("-") {
            Source::Stdin(io::stdin())
        } else {
            let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(path)?;
            let kind = file.metadata()?.file_type();
            match () {
                () if kind.is_dir() => return Err(Errno::EISDIR.into()),
                () if kind.is_file() => Source::Regular(file),
                () => Source::Other(file),
            }
        };
        let is_pipe = match &source {
            Source::Other(file) => file.metadata()?.file_type().is_fifo(),
            Source::Stdin(_) | Source::Regular(_) => false,
        };
        Ok(Self { source, patience, opened: Instant::now(), has_begun: !is_pipe })
    }

    /// Reads what is there, or waits a moment for it.
    ///
    /// # Errors
    ///
    /// What read(2) reports; `ETIMEDOUT` where nobody opened a pipe for writing.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Piece> {
        let mut polled = [PollFd::new(self.descriptor(), PollFlags::POLLIN)];
        let is_silent = match poll(&mut polled, PollTimeout::from(POLL)) {
            Ok(0) if self.has_begun => return Ok(Piece::Nothing),
            Ok(ready) => ready == 0,
            Err(Errno::EINTR) => return Ok(Piece::Nothing),
            Err(errno) => return Err(errno.into()),
        };
        match self.read_now(buffer) {
            // Only a pipe that has had a writer is reported as ended by poll(2).
            Ok(0) if is_silent && self.opened.elapsed() > self.patience => Err(Errno::ETIMEDOUT.into()),
            Ok(0) if is_silent => Ok(Piece::Nothing),
            Ok(0) => Ok(Piece::End),
            Ok(length) => Ok(self.begun(Piece::Bytes(length))),
            // It has a writer, which has written nothing yet.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(self.begun(Piece::Nothing)),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Piece::Nothing),
            Err(error) => Err(error),
        }
    }

    fn begun(&mut self, piece: Piece) -> Piece {
        self.has_begun = true;
        piece
    }

    /// Whether a file was truncated; it is read from its beginning then.
    ///
    /// # Errors
    ///
    /// What stat(2) or lseek(2) reports.
    pub(super) fn was_truncated(&mut self) -> io::Result<bool> {
        let Source::Regular(file) = &mut self.source else { return Ok(false) };
        let is_shorter = file.metadata()?.len() < file.stream_position()?;
        if is_shorter {
            file.seek(SeekFrom::Start(0))?;
        }
        Ok(is_shorter)
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        match &self.source {
            Source::Stdin(stdin) => stdin.as_fd(),
            Source::Regular(file) | Source::Other(file) => file.as_fd(),
        }
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.source {
            Source::Stdin(stdin) => Ok(nix::unistd::read(stdin.as_fd(), buffer)?),
            Source::Regular(file) | Source::Other(file) => file.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    fn pipe() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        (dir, path)
    }

    /// All bytes of an input; `EFBIG` where it has more than `limit` bytes.
    fn read_all(path: &Path, limit: usize, patience: Duration) -> io::Result<Vec<u8>> {
        let mut input = InputFile::open(path, patience)?;
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; PIECE]);
        loop {
            match input.read(&mut buffer)? {
                Piece::Bytes(length) if bytes.len() + length > limit => return Err(Errno::EFBIG.into()),
                Piece::Bytes(length) => bytes.extend_from_slice(&buffer[..length]),
                Piece::Nothing => {}
                Piece::End => return Ok(bytes),
            }
        }
    }

    #[test]
    fn pipe_without_writer_is_an_error_in_time() {
        let (_dir, path) = pipe();
        let error = read_all(&path, 10, Duration::from_millis(200)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::ETIMEDOUT as i32));
    }

    #[test]
    fn late_and_silent_writer_of_a_pipe_is_waited_for() {
        let (_dir, path) = pipe();
        let late = path.clone();
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            let mut file = OpenOptions::new().write(true).open(late).unwrap();
            std::thread::sleep(Duration::from_millis(800));
            file.write_all(b"late").unwrap();
        });
        assert_eq!(read_all(&path, 10, Duration::from_millis(500)).unwrap(), b"late");
        writer.join().unwrap();
    }

    #[test]
    fn endless_input_is_an_error() {
        let error = read_all(Path::new("/dev/zero"), 1 << 20, WRITER).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::EFBIG as i32));
    }
}

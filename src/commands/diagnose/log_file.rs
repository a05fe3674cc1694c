//! Reads a log, which may be a file, a pipe or a terminal, piece by piece and without missing a signal.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc::{O_NOCTTY, O_NONBLOCK};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// So many bytes are read at once.
pub(super) const PIECE: usize = 128 * 1024;
/// How often a log that does not grow is looked at, in milliseconds.
const POLL: u8 = 50;

/// A log that is read piece by piece.
pub(super) struct LogFile {
    source: Source,
    /// The longest silence of a pipe that is no standard input.
    patience: Duration,
    /// When something came.
    latest: Instant,
}

enum Source {
    Stdin(io::Stdin),
    /// A regular file may be truncated while it is followed.
    Regular(File),
    Other(File),
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

impl LogFile {
    /// Opens a log without waiting for the writer of a pipe; `-` is standard input.
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
        Ok(Self { source, patience, latest: Instant::now() })
    }

    /// Reads what is there, or waits a moment for it.
    ///
    /// # Errors
    ///
    /// What read(2) reports; `ETIMEDOUT` where a pipe is silent for too long, or has no writer.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Piece> {
        // poll(2) does not report the end of a pipe that has had no writer yet.
        let mut polled = [PollFd::new(self.descriptor(), PollFlags::POLLIN)];
        match poll(&mut polled, PollTimeout::from(POLL)) {
            Ok(0) | Err(Errno::EINTR) => return self.silence(),
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        match self.read_now(buffer) {
            Ok(0) => Ok(Piece::End),
            Ok(length) => {
                self.latest = Instant::now();
                Ok(Piece::Bytes(length))
            }
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) => {
                self.silence()
            }
            Err(error) => Err(error),
        }
    }

    /// Nothing has come; an error where that takes too long. Whoever pipes into standard input may take their time.
    fn silence(&self) -> io::Result<Piece> {
        let is_stdin = matches!(self.source, Source::Stdin(_));
        if !is_stdin && self.latest.elapsed() > self.patience {
            return Err(Errno::ETIMEDOUT.into());
        }
        Ok(Piece::Nothing)
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

    /// Reads to the end; the bytes.
    fn all(path: &Path, patience: Duration) -> io::Result<Vec<u8>> {
        let mut log = LogFile::open(path, patience)?;
        let (mut all, mut buffer) = (Vec::new(), [0; 1000]);
        loop {
            match log.read(&mut buffer)? {
                Piece::Bytes(length) => all.extend_from_slice(&buffer[..length]),
                Piece::Nothing => {}
                Piece::End => return Ok(all),
            }
        }
    }

    #[test]
    fn pipe_without_writer_or_with_a_silent_one_is_an_error_in_time() {
        let (_dir, path) = pipe();
        for writer in [None, Some(OpenOptions::new().read(true).write(true).open(&path).unwrap())] {
            let error = all(&path, Duration::from_millis(200)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(Errno::ETIMEDOUT as i32), "{writer:?}");
        }
    }

    #[test]
    fn late_and_slow_writer_of_a_pipe_is_waited_for() {
        let (_dir, path) = pipe();
        let late = path.clone();
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            let mut file = OpenOptions::new().write(true).open(late).unwrap();
            for byte in [b"s", b"l", b"o", b"w"] {
                std::thread::sleep(Duration::from_millis(200));
                file.write_all(byte).unwrap();
            }
        });
        assert_eq!(all(&path, Duration::from_millis(700)).unwrap(), b"slow");
        writer.join().unwrap();
    }
}

//! Reads what the user names as an input: a file, or a pipe such as /dev/stdin and `<(command)`.
//!
//! Each read has a deadline, so that a pipe whose writer is silent, or a terminal, ends with an error that says so.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::live::files::{self, open_at_once};
use super::{FileKind, HostError, HostResult, bounded};
use crate::interrupt;

/// The longest silence of a pipe.
pub const SILENCE: Duration = Duration::from_secs(30);

/// So often a wait looks whether a signal came.
const POLL: Duration = Duration::from_millis(50);

/// An input whose reads have a deadline. An error of it is `TimedOut` where nothing came in time.
#[derive(Debug)]
pub struct Input {
    file: File,
    silence: Duration,
}

impl Input {
    /// Opens a file or a pipe. A read of it waits at most `silence`.
    pub fn open(path: &Path, silence: Duration) -> HostResult<Self> {
        let file = bounded::call("open", path, |path| {
            open_at_once(path).map_err(|error| HostError::io("open", path, &error))
        })?;
        Ok(Self { file, silence })
    }

    /// The file itself, to learn its length or to seek in it.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Waits until there is something to read, or the end: a named pipe has neither before its first writer came. A
    /// signal that ends the program ends the wait as the deadline does.
    fn wait(&self, end: Instant) -> io::Result<()> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::try_from(left.min(POLL)).unwrap_or(PollTimeout::ZERO)) {
                Ok(0) | Err(Errno::EINTR) if left.is_zero() || interrupt::is_requested() => {
                    return Err(Errno::ETIMEDOUT.into());
                }
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = Instant::now() + self.silence;
        loop {
            self.wait(end)?;
            match self.file.read(buffer) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                read => return read,
            }
        }
    }
}

/// The whole input; `EFBIG` where it has more than `most` bytes, `ETIMEDOUT` where its writer is silent for [`SILENCE`].
pub fn read(path: &Path, most: u64) -> HostResult<Vec<u8>> {
    read_within(path, most, SILENCE)
}

fn read_within(path: &Path, most: u64, silence: Duration) -> HostResult<Vec<u8>> {
    let kind = bounded::call("open", path, files::stat)?.kind;
    if kind == FileKind::File {
        return bounded::call("read", path, move |path| files::read(path, most));
    }
    let mut bytes = Vec::new();
    let failed = |error: io::Error| HostError::timed("read", path, &error);
    Input::open(path, silence)?.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(HostError::new("read", path, Errno::EFBIG));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use nix::sys::stat::Mode;

    use super::*;

    const SHORT: Duration = Duration::from_millis(100);

    fn fifo() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        (dir, path)
    }

    #[test]
    fn silent_pipe_ends_with_its_deadline() {
        let (_dir, path) = fifo();
        assert_eq!(read_within(&path, 9, SHORT).unwrap_err().errno(), Errno::ETIMEDOUT, "no writer");
        let _writer = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        assert_eq!(read_within(&path, 9, SHORT).unwrap_err().errno(), Errno::ETIMEDOUT, "silent writer");
    }

    #[test]
    fn pipe_is_read_to_its_end_and_to_its_limit() {
        let (_dir, path) = fifo();
        let given = |most| {
            let to = path.clone();
            let writer = std::thread::spawn(move || {
                std::fs::OpenOptions::new().write(true).open(to).unwrap().write_all(b"nine char")
            });
            let read = read_within(&path, most, SILENCE);
            writer.join().unwrap().unwrap();
            read
        };
        assert_eq!(given(9).unwrap(), b"nine char");
        assert_eq!(given(8).unwrap_err().errno(), Errno::EFBIG);
    }

    #[test]
    fn pipe_that_a_shell_passes_by_number_is_read() {
        let (reader, writer) = std::io::pipe().unwrap();
        (&writer).write_all(b"text").unwrap();
        drop(writer);
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        assert_eq!(read(Path::new(&path), 9).unwrap(), b"text");
    }

    #[test]
    fn directory_and_endless_device_are_errors() {
        assert_eq!(read(Path::new("/"), 9).unwrap_err().errno(), Errno::EISDIR);
        assert_eq!(read(Path::new("/dev/zero"), 9).unwrap_err().errno(), Errno::EFBIG);
        assert_eq!(read(Path::new("/dev/null"), 9).unwrap(), b"");
    }
}

//! Writes to stderr without waiting for a reader that does not read.
//!
//! The first process of a container must go on with signals and orphans where its stderr is a full pipe or a stopped
//! terminal. O_NONBLOCK belongs to the open file, which the command shares, so pipes and terminals are opened anew; where
//! that is not possible, only what fits is written ([poll(2)]: a pipe that is writable takes a page).
//!
//! [poll(2)]: https://man7.org/linux/man-pages/man7/pipe.7.html

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::time::{Duration, Instant};

use nix::libc::{O_NOCTTY, O_NONBLOCK};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::text::shown;

/// The most bytes of one write: what fits into a pipe that is writable.
const WRITE: usize = 4096;

/// How long a message waits for a reader.
const PATIENCE: Duration = Duration::from_millis(500);

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// So many bytes were written.
    Bytes(usize),
    /// None: the reader has to read first.
    Full,
    /// None: there is no reader any more.
    Closed,
}

/// An output that is never waited for longer than a caller wants.
#[derive(Debug)]
pub struct Outlet(File);

impl Outlet {
    /// Our stderr; `None` where it is closed.
    pub fn stderr() -> Option<Self> {
        Self::of(std::io::stderr().as_fd())
    }

    /// The output behind a file descriptor.
    pub fn of(fd: BorrowedFd<'_>) -> Option<Self> {
        let shared = File::from(fd.try_clone_to_owned().ok()?);
        Some(Self(reopened(&shared).unwrap_or(shared)))
    }

    /// Writes as much as there is room for.
    pub fn write(&self, bytes: &[u8]) -> Written {
        if !self.is_writable(Duration::ZERO) {
            return Written::Full;
        }
        match (&self.0).write(&bytes[..bytes.len().min(WRITE)]) {
            Ok(length) => Written::Bytes(length),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Written::Full,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Written::Bytes(0),
            Err(_) => Written::Closed,
        }
    }

    /// Waits until there is room, at most `within`; whether there is.
    pub fn is_writable(&self, within: Duration) -> bool {
        let mut ready = [PollFd::new(self.0.as_fd(), PollFlags::POLLOUT)];
        poll(&mut ready, PollTimeout::try_from(within).unwrap_or(PollTimeout::MAX))
            .is_ok_and(|ready| ready > 0)
    }

    /// Writes all of it, or what is read within that time.
    pub fn write_within(&self, mut bytes: &[u8], within: Duration) {
        let end = Instant::now() + within;
        while !bytes.is_empty() && self.is_writable(end.saturating_duration_since(Instant::now())) {
            match self.write(bytes) {
                Written::Bytes(length) => bytes = &bytes[length..],
                Written::Full => {}
                Written::Closed => return,
            }
        }
    }
}

/// The same pipe or terminal as an open file of our own, which does not block. Not a file, whose position is shared.
fn reopened(shared: &File) -> Option<File> {
    let kind = shared.metadata().ok()?.file_type();
    if !kind.is_fifo() && !kind.is_char_device() {
        return None;
    }
    let path = format!("/proc/self/fd/{}", shared.as_raw_fd());
    OpenOptions::new().write(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(path).ok()
}

/// Prints a message to stderr, where somebody reads it: stdout belongs to the command.
pub(crate) fn say(text: &str) {
    if let Some(stderr) = Outlet::stderr() {
        let line = format!("dindcheck: {}\n", shown::one_line(text));
        stderr.write_within(shown::page(&line).as_bytes(), PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_full_pipe_is_not_waited_for_and_goes_on_when_it_is_read() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let outlet = Outlet::of(writer.as_fd()).unwrap();
        let mut written = 0;
        while let Written::Bytes(length) = outlet.write(&[b'x'; 10_000]) {
            written += length;
        }
        outlet.write_within(b"lost", Duration::from_millis(20));
        assert_eq!(outlet.write(b"y"), Written::Full);
        reader.read_exact(&mut vec![0; written]).unwrap();
        outlet.write_within(b"read", PATIENCE);
        let mut read = [0; 4];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"read");
    }

    #[test]
    fn a_pipe_that_others_write_to_keeps_its_flags() {
        let (_reader, writer) = std::io::pipe().unwrap();
        let _outlet = Outlet::of(writer.as_fd()).unwrap();
        let flags = nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_GETFL).unwrap();
        assert_eq!(flags & O_NONBLOCK, 0);
    }

    #[test]
    fn a_full_socket_is_not_waited_for_either() {
        let (_reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        let outlet = Outlet::of(writer.as_fd()).unwrap();
        while let Written::Bytes(_) = outlet.write(&[b'x'; 4096]) {}
        outlet.write_within(b"lost", Duration::from_millis(20));
        assert_eq!(outlet.write(b"y"), Written::Full);
    }

    #[test]
    fn a_reader_that_is_gone_ends_the_writing() {
        let (reader, writer) = std::io::pipe().unwrap();
        let outlet = Outlet::of(writer.as_fd()).unwrap();
        drop(reader);
        assert_eq!(outlet.write(b"x"), Written::Closed);
        outlet.write_within(b"x", PATIENCE);
    }

    #[test]
    fn a_file_is_appended_to() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"one ").unwrap();
        Outlet::of(file.as_fd()).unwrap().write_within(b"two", PATIENCE);
        let mut text = String::new();
        std::io::Seek::rewind(&mut file).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two");
    }
}

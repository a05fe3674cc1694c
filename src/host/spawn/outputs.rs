//! The two outputs of a program, read without a thread and without waiting longer than asked.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Child;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, ppoll};

/// So many bytes are read of a pipe before the deadline is looked at again, as Linux keeps at most in a pipe by default.
const PIECE: usize = 64 << 10;

/// The standard output and the standard error of a program.
pub(super) struct Outputs([Output; 2]);

/// One pipe.
struct Output {
    /// `None` once every writer has closed it.
    pipe: Option<Box<dyn Pipe>>,
    kept: Vec<u8>,
    most: usize,
    truncated: bool,
}

/// The reading end of a pipe.
trait Pipe: Read + AsFd {}
impl<T: Read + AsFd> Pipe for T {}

impl Outputs {
    /// The pipes of a program that was just started; `most` bytes of each are kept.
    pub(super) fn of(child: Option<&mut Child>, most: usize) -> nix::Result<Self> {
        let (stdout, stderr) = child.map_or((None, None), |child| (child.stdout.take(), child.stderr.take()));
        let stdout = stdout.map(|pipe| Box::new(pipe) as Box<dyn Pipe>);
        let stderr = stderr.map(|pipe| Box::new(pipe) as Box<dyn Pipe>);
        Ok(Self([Output::new(stdout, most)?, Output::new(stderr, most)?]))
    }

    /// Waits until a pipe can be read, at most so long, and reads it. Returns whether one could be read.
    pub(super) fn read(&mut self, within: Duration) -> nix::Result<bool> {
        let readable = {
            let mut fds: Vec<_> = self.open().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            // `ppoll` counts in nanoseconds, which the first, short pauses need.
            match ppoll(&mut fds, Some(within.into()), None) {
                Err(Errno::EINTR) => 0,
                ready => ready?,
            }
        };
        if readable > 0 {
            self.0.iter_mut().try_for_each(Output::take)?;
        }
        Ok(readable > 0)
    }

    /// Reads both to their ends, at most so long. Returns whether one is open then: a process that outlives the program
    /// holds it, and the output counts as truncated.
    pub(super) fn finish(&mut self, within: Duration) -> nix::Result<bool> {
        let end = Instant::now() + within;
        while self.open().next().is_some() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.read(left)?;
        }
        let mut held = false;
        for output in &mut self.0 {
            let open = output.pipe.take().is_some();
            output.truncated |= open;
            held |= open;
        }
        Ok(held)
    }

    /// What was kept of the two, and whether anything is missing of either.
    pub(super) fn into_parts(self) -> (Vec<u8>, Vec<u8>, bool) {
        let [stdout, stderr] = self.0;
        (stdout.kept, stderr.kept, stdout.truncated || stderr.truncated)
    }

    fn open(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().filter_map(|output| Some(output.pipe.as_ref()?.as_fd()))
    }
}

impl Output {
    fn new(pipe: Option<Box<dyn Pipe>>, most: usize) -> nix::Result<Self> {
        if let Some(pipe) = &pipe {
            fcntl(pipe.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self { pipe, kept: Vec::new(), most, truncated: false })
    }

    /// Reads what is there, at most [`PIECE`].
    fn take(&mut self) -> nix::Result<()> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        let mut piece = vec![0; PIECE];
        match pipe.read(&mut piece) {
            Ok(0) => self.pipe = None,
            Ok(length) => self.keep(piece.get(..length).unwrap_or_default()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(Errno::from_raw(error.raw_os_error().unwrap_or(Errno::EIO as i32))),
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = bytes.len().min(self.most.saturating_sub(self.kept.len()));
        self.kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
        self.truncated |= room < bytes.len();
    }
}

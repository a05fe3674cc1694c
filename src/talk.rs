//! Writes to stdout and stderr, which may be full, closed or never read.
//!
//! stdout is data: what cannot be written there is an error, unless its reader has closed the pipe. stderr is talk: what cannot
//! be written there is dropped. Neither keeps the program from ending: writing is given up some time after a signal.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use serde::Serialize;

use crate::diagnosis::redact;
use crate::interrupt;
use crate::text::errors::{chain, reason};
use crate::text::shown;

/// How long a reader may take nothing once a signal has asked the program to end.
const GRACE: Duration = Duration::from_secs(1);
/// How long the reader of stderr may take nothing.
const STDERR_DEADLINE: Duration = Duration::from_secs(5);
/// How often a signal is looked for.
const TICK: u8 = 50;
/// So many bytes fit into a pipe or socket that poll(2) reports as writable (`PIPE_BUF`, pipe(7)).
const PIECE: usize = 4096;

/// stdout could not be written to.
#[derive(Debug, thiserror::Error)]
#[error("write to stdout: {}", reason(.0))]
pub struct StdoutError(io::Error);

/// Prints text to stdout, in colours where a terminal wants them. A reader that closed the pipe is not an error.
///
/// # Errors
///
/// Where stdout is full or fails, or is not read after a signal.
pub fn print(text: &str) -> Result<(), StdoutError> {
    print_report(&shown::page(text))
}

/// The same for a report, whose format has escaped what is from outside.
///
/// # Errors
///
/// As [`print`].
pub fn print_report(text: &str) -> Result<(), StdoutError> {
    print_bytes(coloured(text, &io::stdout()).as_bytes())
}

/// The same for a value, as JSON in several lines.
///
/// # Errors
///
/// As [`print`]; and where the value cannot be JSON.
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    Ok(print_bytes(shown::json(&text).as_bytes())?)
}

/// The same for bytes, as they are.
///
/// # Errors
///
/// As [`print`].
pub fn print_bytes(bytes: &[u8]) -> Result<(), StdoutError> {
    match write_all(io::stdout().as_fd(), bytes, None) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.map_err(StdoutError),
    }
}

/// Says a message from this program on stderr, in one line.
pub fn say(message: &str) {
    tell(&format!("dindcheck: {}", shown::one_line(message)));
}

/// Says an error with its causes.
pub fn say_error(error: &anyhow::Error) {
    say(&chain(error));
}

/// Writes lines to stderr; what comes from outside in them is one line already.
pub fn tell(lines: &str) {
    // A reader that has once taken too long, such as a stopped terminal, is not waited for again until it reads.
    static GIVEN_UP: AtomicBool = AtomicBool::new(false);
    let patience = if GIVEN_UP.load(Ordering::Relaxed) { Duration::ZERO } else { STDERR_DEADLINE };
    let text = coloured(&shown::page(&redact::message(lines)), &io::stderr()) + "\n";
    let written = write_all(io::stderr().as_fd(), text.as_bytes(), Some(patience));
    GIVEN_UP.store(written.is_err(), Ordering::Relaxed);
}

/// Keeps a stderr without a reader from killing this process, after exec(2) has failed: std sets SIGPIPE to its default
/// before it.
pub fn survive_broken_pipe() {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGPIPE);
    let _ = signals.thread_block();
}

/// The text with its colours, or without where the stream wants none.
fn coloured(text: &str, stream: &impl anstream::stream::RawStream) -> String {
    match AutoStream::choice(stream) {
        ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
        _ => text.to_owned(),
    }
}

/// Writes all bytes. The reader may take as long as it likes, or at most `idle` without taking anything; after SIGINT or
/// SIGTERM one second.
///
/// # Errors
///
/// `TimedOut`, or what write(2) reports.
pub fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8], idle: Option<Duration>) -> io::Result<()> {
    let mut since = Instant::now();
    while !bytes.is_empty() {
        match write_piece(to, bytes)? {
            0 if has_passed(since, idle) => {
                return Err(io::Error::new(ErrorKind::TimedOut, "its reader takes nothing"));
            }
            0 => {}
            written => {
                bytes = &bytes[written..];
                since = Instant::now();
            }
        }
    }
    Ok(())
}

/// Writes as much as there is room for at this moment, or shortly; 0 if there is none.
fn write_piece(to: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let mut polled = [PollFd::new(to, PollFlags::POLLOUT)];
    match poll(&mut polled, PollTimeout::from(TICK)) {
        Ok(0) | Err(Errno::EINTR) => return Ok(0),
        Ok(_) => {}
        Err(errno) => return Err(errno.into()),
    }
    match nix::unistd::write(to, &bytes[..bytes.len().min(PIECE)]) {
        Ok(0) => Err(ErrorKind::WriteZero.into()),
        Ok(written) => Ok(written),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether the reader has had its time.
fn has_passed(since: Instant, idle: Option<Duration>) -> bool {
    let interrupted = interrupt::is_requested() && since.elapsed() > GRACE;
    interrupted || idle.is_some_and(|idle| since.elapsed() > idle)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn reader_that_takes_nothing_ends_the_write_in_time() {
        let (_reader, writer) = io::pipe().unwrap();
        let began = Instant::now();
        let written = write_all(writer.as_fd(), &vec![b'x'; 1 << 20], Some(Duration::from_millis(100)));
        assert_eq!(written.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn slow_reader_gets_everything() {
        let (mut reader, writer) = io::pipe().unwrap();
        let read = std::thread::spawn(move || {
            let mut all = Vec::new();
            std::thread::sleep(Duration::from_millis(150));
            reader.read_to_end(&mut all).unwrap();
            all.len()
        });
        write_all(writer.as_fd(), &vec![b'x'; 300_000], Some(Duration::from_secs(10))).unwrap();
        drop(writer);
        assert_eq!(read.join().unwrap(), 300_000);
    }

    #[test]
    fn reader_that_has_gone_and_full_device_are_errors() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        assert_eq!(write_all(writer.as_fd(), b"x", None).unwrap_err().kind(), ErrorKind::BrokenPipe);
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = write_all(full.as_fd(), b"x", None).unwrap_err();
        assert_eq!(reason(&error), "No space left on device (ENOSPC)");
    }
}

//! The daemon's log while the command runs: kept below a size, and copied to stderr where the daemon is what the user runs.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use super::stderr::{Outlet, Written};
use crate::engine::dockerd::log::bounded::BoundedLog;
use crate::engine::dockerd::log::reading;
use crate::host::HostResult;

/// The pause between two looks at a log that grows.
const GROWS: Duration = Duration::from_millis(10);
/// The same where the kernel does not report that it grows, or nobody reads stderr.
const POLL: Duration = Duration::from_millis(50);
/// How long one look copies.
const COPY: Duration = Duration::from_millis(5);
/// How long the rest is copied when the daemon has ended.
const REST: Duration = Duration::from_secs(1);

/// The log of a daemon.
pub struct DaemonLog {
    log: BoundedLog,
    /// Reports that the log was written to; `None` where the kernel has no more watches for us.
    watch: Option<File>,
    size: u64,
    copy: Option<Copy>,
}

/// What ends the wait for the log's next look.
pub struct Wake<'l> {
    /// Readable once the log is written to.
    pub fd: Option<BorrowedFd<'l>>,
    /// At the latest after this time.
    pub within: Duration,
}

/// The copy of the log.
struct Copy {
    to: Outlet,
    position: u64,
}

/// How far a copy came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copied {
    /// To the log's end.
    All,
    /// There is more.
    Some,
    /// There is more, and nobody reads.
    Stuck,
}

impl DaemonLog {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// Where it cannot be opened.
    pub fn open(path: PathBuf) -> HostResult<Self> {
        let watch = watch(&path);
        Ok(Self { log: BoundedLog::open(path)?, watch, size: 0, copy: None })
    }

    /// Copies it from now on, from its start.
    pub fn copy_to(&mut self, to: Outlet) {
        self.copy = Some(Copy { to, position: 0 });
    }

    /// Copies what is new, and cuts it where it is too large. Returns when to look again.
    pub fn tend(&mut self) -> Wake<'_> {
        self.drain();
        let copied = self.copy.as_mut().map_or(Copied::All, |copy| copy.go_on(&self.log, COPY));
        let size = self.log.size();
        let grows = std::mem::replace(&mut self.size, size) != size;
        self.trim();
        let fd = self.watch.as_ref().map(AsFd::as_fd);
        match copied {
            Copied::All if grows => Wake { fd: None, within: GROWS },
            Copied::Some => Wake { fd: None, within: GROWS },
            Copied::All if fd.is_some() => Wake { fd, within: Duration::MAX },
            Copied::All | Copied::Stuck => Wake { fd: None, within: POLL },
        }
    }

    /// Copies the rest of a daemon's log that has ended.
    pub fn finish(&mut self) {
        let end = Instant::now() + REST;
        while let Some(copy) = &mut self.copy {
            match copy.go_on(&self.log, COPY) {
                Copied::All => return,
                _ if Instant::now() >= end => return,
                Copied::Some => self.trim(),
                Copied::Stuck => drop(copy.to.is_writable(POLL)),
            }
        }
    }

    fn trim(&mut self) {
        if let (Ok(Some(cut)), Some(copy)) = (self.log.trim(), &mut self.copy) {
            copy.position = cut.moved(copy.position);
        }
    }

    /// Takes the reports, so that a later one wakes.
    fn drain(&mut self) {
        let mut reports = [0; 4096];
        while self.watch.as_mut().is_some_and(|watch| watch.read(&mut reports).is_ok()) {}
    }
}

impl Copy {
    /// Copies for at most `within`.
    fn go_on(&mut self, log: &BoundedLog, within: Duration) -> Copied {
        let (mut position, mut stuck) = (self.position, false);
        let at_end = reading::read_on_while(log.file(), &mut position, within, &mut |bytes| {
            let mut rest = bytes;
            while !rest.is_empty() && !stuck {
                match self.to.write(rest) {
                    Written::Bytes(length) => rest = &rest[length..],
                    Written::Full => stuck = true,
                    // Nobody will read the rest.
                    Written::Closed => rest = &[],
                }
            }
            self.position += (bytes.len() - rest.len()) as u64;
            !stuck
        });
        match (stuck, at_end) {
            (true, _) => Copied::Stuck,
            (false, true) => Copied::All,
            (false, false) => Copied::Some,
        }
    }
}

/// Watches a file for writes.
fn watch(path: &std::path::Path) -> Option<File> {
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
    inotify::add_watch(&watch, path, WatchFlags::MODIFY).ok()?;
    Some(File::from(watch))
}

#[cfg(test)]
mod tests;

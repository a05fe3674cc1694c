//! A program that runs in a process group of its own, and ends with its owner.

use std::process::{Child, ExitStatus};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::GRACE;

/// What is left of the programs of this process.
static LEFT: Unreaped = Unreaped(Mutex::new(Vec::new()));
/// So many killed programs may be left; with more of them, no program is run.
const MOST_UNREAPED: usize = 16;

/// `EAGAIN` where too many killed programs are left.
pub(super) fn admit() -> Result<(), Errno> {
    LEFT.admit()
}

/// The programs that did not end after SIGKILL. Each is reaped once it ends, when the next program is run.
struct Unreaped(Mutex<Vec<Child>>);

impl Unreaped {
    /// Reaps what ended meanwhile. `EAGAIN` where too many are left, so that their number is bounded.
    fn admit(&self) -> Result<(), Errno> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        left.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        if left.len() < MOST_UNREAPED { Ok(()) } else { Err(Errno::EAGAIN) }
    }

    /// Waits for the end of a killed program, at most so long, and keeps it where it does not end.
    fn reap(&self, mut child: Child, within: Duration) {
        let end = Instant::now() + within;
        while let Ok(None) = child.try_wait() {
            if Instant::now() >= end {
                self.0.lock().unwrap_or_else(PoisonError::into_inner).push(child);
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A program that runs. Where it is dropped before it was reaped, its process group is killed.
pub(super) struct Running(Option<Child>);

impl Running {
    /// Takes charge of a child that leads a process group.
    pub(super) fn new(child: Child) -> Self {
        Self(Some(child))
    }

    /// Whether it ended. It stays a zombie, so that nothing else gets the number of its group.
    pub(super) fn has_ended(&self) -> Result<bool, Errno> {
        let Some(pid) = self.pid() else { return Ok(true) };
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(pid), flags) {
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => Ok(false),
            state => state.map(|_| true),
        }
    }

    /// Reaps it after its end, and kills what is left of its group where `leftovers` says that something is.
    pub(super) fn reap(&mut self, leftovers: bool) -> Result<ExitStatus, Errno> {
        if leftovers {
            self.kill();
        }
        let mut child = self.0.take().ok_or(Errno::ECHILD)?;
        child.wait().map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(Errno::ECHILD as i32)))
    }

    /// The pipes of the child are taken from it.
    pub(super) fn child(&mut self) -> Option<&mut Child> {
        self.0.as_mut()
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.0.as_ref()?.id()).ok().map(Pid::from_raw)
    }

    /// Kills its group, which has at least the program itself, alive or as a zombie.
    fn kill(&self) {
        if let Some(pid) = self.pid() {
            let _ = killpg(pid, Signal::SIGKILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        if let Some(child) = self.0.take() {
            LEFT.reap(child, GRACE);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Order, command};
    use super::*;

    #[test]
    fn program_that_does_not_end_is_left_and_reaped_later() {
        let left = Unreaped(Mutex::default());
        let begun = Instant::now();
        let program = Path::new("/bin/sleep");
        let order = Order { program, args: &["0.4"], env: &[], within: Duration::ZERO, keep: 0 };
        for _ in 0..MOST_UNREAPED {
            left.reap(command(order).spawn().unwrap(), Duration::ZERO);
        }
        assert_eq!(left.admit(), Err(Errno::EAGAIN));
        while left.admit().is_err() {
            assert!(begun.elapsed() < Duration::from_secs(5));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

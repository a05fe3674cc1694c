//! Limits the time of a system call that another machine or another program has to answer.
//!
//! A call on a network or FUSE file system whose server is gone waits in the kernel, and nothing but the end of its thread
//! takes it back. Where a path may lead to such a file system, the call is therefore made by a thread of its own, which is
//! abandoned at the deadline and ends with the call or with the program. Everywhere else the kernel answers by itself, and
//! the call is made directly.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::{HostError, HostResult};
use crate::interrupt;

mod mounts;

pub(super) use mounts::is_kernel_file;
#[cfg(test)]
pub(super) mod tests;

/// The deadline of a call.
const DEADLINE: Duration = Duration::from_secs(5);
/// So often a wait looks whether a signal came.
const POLL: Duration = Duration::from_millis(50);
/// So many calls may be abandoned at once; with more of them, no further call is made.
const MOST_STUCK: usize = 16;

/// The calls that were abandoned: what they wait for, and a token that is gone once their thread has ended.
static STUCK: Mutex<Vec<(PathBuf, Weak<()>)>> = Mutex::new(Vec::new());

/// Makes a call on a path, and returns its result. Errors: that of the call; `ETIMEDOUT` where it did not return in time,
/// or where an earlier one on the same mount still has not; `EINTR` where a signal that ends the program came meanwhile.
pub(super) fn call<T: Send + 'static>(
    op: &'static str,
    path: &Path,
    work: impl FnOnce(&Path) -> HostResult<T> + Send + 'static,
) -> HostResult<T> {
    match mounts::waits_for(path) {
        None => work(path),
        Some(mount) => detached(op, path, mount, DEADLINE, work),
    }
}

/// Makes the call in a thread of its own. A new thread for each call has the namespaces of its caller, which a pool of
/// threads would not have.
fn detached<T: Send + 'static>(
    op: &'static str,
    path: &Path,
    mount: PathBuf,
    within: Duration,
    work: impl FnOnce(&Path) -> HostResult<T> + Send + 'static,
) -> HostResult<T> {
    let failed = |errno| HostError::new(op, path, errno);
    if is_stuck(&mount) {
        return Err(failed(Errno::ETIMEDOUT));
    }
    let (owned, token) = (path.to_owned(), Arc::new(()));
    let running = Arc::downgrade(&token);
    let (sender, receiver) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().spawn(move || {
        let _ = sender.send(work(&owned));
        drop(token);
    });
    thread.map_err(|error| HostError::io(op, path, &error))?;
    receive(&receiver, within).unwrap_or_else(|errno| {
        STUCK.lock().unwrap_or_else(PoisonError::into_inner).push((mount, running));
        Err(failed(errno))
    })
}

/// Whether an earlier call on that mount still waits, or too many calls do.
fn is_stuck(mount: &Path) -> bool {
    let mut stuck = STUCK.lock().unwrap_or_else(PoisonError::into_inner);
    stuck.retain(|(_, running)| running.strong_count() > 0);
    stuck.len() >= MOST_STUCK || stuck.iter().any(|(at, _)| at == mount)
}

/// Waits for the result. A signal that came before the call, after which the program still looks around to clean up, does
/// not end the wait.
fn receive<T>(receiver: &mpsc::Receiver<T>, within: Duration) -> Result<T, Errno> {
    let end = Instant::now() + within;
    let before = interrupt::is_requested();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left.min(POLL)) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Disconnected) => return Err(Errno::EIO),
            Err(RecvTimeoutError::Timeout) if left.is_zero() => return Err(Errno::ETIMEDOUT),
            Err(RecvTimeoutError::Timeout) if !before && interrupt::is_requested() => {
                return Err(Errno::EINTR);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

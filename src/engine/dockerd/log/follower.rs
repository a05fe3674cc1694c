//! Follows a log in a thread of its own, so that a daemon that floods it delays nothing else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::LogTail;

/// How often a log is looked at.
const EVERY: Duration = Duration::from_millis(5);
/// The same while there is more to read: long enough for others to take their turn.
const BEHIND: Duration = Duration::from_millis(1);

/// A log that a thread follows until this is dropped.
#[derive(Debug)]
pub struct Follower(Arc<Mutex<LogTail>>);

impl Follower {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// Where no thread can be started.
    pub fn start(tail: LogTail) -> std::io::Result<Self> {
        let tail = Arc::new(Mutex::new(tail));
        let followed = Arc::downgrade(&tail);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            while let Some(tail) = followed.upgrade() {
                let at_end = lock(&tail).look();
                drop(tail);
                std::thread::sleep(if at_end { EVERY } else { BEHIND });
            }
        })?;
        Ok(Self(tail))
    }

    /// What was read so far. The thread waits meanwhile.
    pub fn tail(&self) -> MutexGuard<'_, LogTail> {
        lock(&self.0)
    }
}

/// A thread that panicked left a log that can be read on.
fn lock(tail: &Mutex<LogTail>) -> MutexGuard<'_, LogTail> {
    tail.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

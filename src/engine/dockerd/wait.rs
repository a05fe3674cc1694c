//! How is anything waited for? With a deadline, and with an eye on the daemon's life and on the user's signals.

use std::cell::RefCell;
use std::future::Future;
use std::time::{Duration, Instant};

use crate::engine::docker::error::{EngineError, EngineResult};
use crate::engine::dockerd::Dockerd;
use crate::interrupt::Interrupt;

/// How often a wait looks up: a dead daemon and a signal are noticed within this time.
pub const TICK: Duration = Duration::from_millis(5);
/// How long a broken connection may be explained by a daemon that is just dying.
const LAST_BREATH: Duration = Duration::from_millis(150);

/// What a wait keeps an eye on.
#[derive(Clone, Copy)]
pub struct Watch<'w> {
    /// The user's signals; nobody interrupts a clean-up.
    pub interrupt: Option<&'w Interrupt>,
    /// The daemon that we started.
    pub daemon: Option<&'w RefCell<Dockerd>>,
}

impl Watch<'_> {
    /// Waits for `work`, at most `within`. `doing` says what, for the error.
    pub async fn until<T>(
        &self,
        doing: &str,
        within: Duration,
        work: impl Future<Output = EngineResult<T>>,
    ) -> EngineResult<T> {
        let start = Instant::now();
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return match done {
                    Err(error) => Err(self.explain(error).await),
                    good => good,
                },
                () = tokio::time::sleep(TICK) => self.look_up()?,
            }
            if start.elapsed() >= within {
                return Err(EngineError::Deadline { doing: doing.to_owned(), waited: within });
            }
        }
    }

    /// A look at what ends every wait.
    fn look_up(&self) -> EngineResult<()> {
        if let Some(signal) = self.interrupt.and_then(Interrupt::signal) {
            return Err(EngineError::Interrupted(signal));
        }
        match self.daemon.and_then(|daemon| daemon.borrow_mut().look()) {
            Some(death) => Err(EngineError::Died(Box::new(death))),
            None => Ok(()),
        }
    }

    /// A connection that broke because the daemon died is told as its death.
    async fn explain(&self, error: EngineError) -> EngineError {
        let broke = matches!(error, EngineError::Unreachable { .. } | EngineError::Junk { .. });
        if !broke || self.daemon.is_none() {
            return error;
        }
        let end = Instant::now() + LAST_BREATH;
        while Instant::now() < end {
            if let Err(why) = self.look_up() {
                return why;
            }
            tokio::time::sleep(TICK).await;
        }
        error
    }
}

//! Waits with a deadline, which the daemon's death and the user's signals end early.

use std::cell::RefCell;
use std::future::Future;
use std::time::{Duration, Instant};

use crate::engine::docker::error::{EngineError, EngineResult};
use crate::engine::dockerd::Dockerd;
use crate::interrupt::Interrupt;

/// How often a wait polls: a dead daemon and a signal are noticed within this time.
pub const TICK: Duration = Duration::from_millis(5);
/// How long after a broken connection the daemon's death may still explain it.
const DEATH_GRACE: Duration = Duration::from_millis(150);

/// What ends a wait early.
#[derive(Clone, Copy)]
pub struct Watch<'w> {
    /// The user's signals; `None` during a cleanup, which is not interrupted.
    pub interrupt: Option<&'w Interrupt>,
    /// The daemon that we started.
    pub daemon: Option<&'w RefCell<Dockerd>>,
}

impl Watch<'_> {
    /// Waits for `work`, at most `within`. `doing` names it in the error.
    ///
    /// # Errors
    ///
    /// `Interrupted`, `Died`, `Deadline`, or the error of `work`.
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
                () = tokio::time::sleep(TICK) => self.check()?,
            }
            if start.elapsed() >= within {
                return Err(EngineError::Deadline { doing: doing.to_owned(), waited: within });
            }
        }
    }

    /// The signal or the death that ends every wait.
    fn check(&self) -> EngineResult<()> {
        if let Some(signal) = self.interrupt.and_then(Interrupt::signal) {
            return Err(EngineError::Interrupted(signal));
        }
        match self.daemon.and_then(|daemon| daemon.borrow_mut().poll_death()) {
            Some(death) => Err(EngineError::Died(Box::new(death))),
            None => Ok(()),
        }
    }

    /// Reports a connection that broke because the daemon died as that death.
    async fn explain(&self, error: EngineError) -> EngineError {
        let broke = matches!(error, EngineError::Unreachable { .. } | EngineError::Junk { .. });
        if !broke || self.daemon.is_none() {
            return error;
        }
        let end = Instant::now() + DEATH_GRACE;
        while Instant::now() < end {
            if let Err(why) = self.check() {
                return why;
            }
            tokio::time::sleep(TICK).await;
        }
        error
    }
}

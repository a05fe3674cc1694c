//! Operations of the machine in memory that fail on demand: by their path, or the one of a number.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::Fake;
use crate::host::{HostError, HostResult};

/// What is to fail, and what has failed.
#[derive(Default)]
pub(super) struct Faults {
    set: RefCell<Vec<Fault>>,
    /// How many operations are still to succeed before one fails.
    countdown: Cell<Option<usize>>,
    failed: RefCell<Option<HostError>>,
}

/// An operation that fails.
struct Fault {
    op: &'static str,
    path: PathBuf,
    errno: Errno,
    left: Option<u32>,
}

impl Fake {
    /// Lets `op` on `path` fail the next `times` times (`None`: always).
    #[must_use]
    pub fn fails(self, op: &'static str, path: &str, errno: Errno, times: Option<u32>) -> Self {
        self.faults.set.borrow_mut().push(Fault { op, path: path.into(), errno, left: times });
        self
    }

    /// Lets the operation with this number fail, counted from 0 and from now.
    pub fn fail_at(&self, number: usize) {
        self.faults.countdown.set(Some(number));
    }

    /// The operation that failed since `fail_at`.
    pub fn failed(&self) -> Option<HostError> {
        self.faults.failed.borrow().clone()
    }

    /// Returns the error that this operation was set to fail with, if any.
    pub(super) fn fault(&self, op: &'static str, path: &Path) -> HostResult<()> {
        let left = self.faults.countdown.get();
        self.faults.countdown.set(left.and_then(|left| left.checked_sub(1)));
        if left == Some(0) {
            let error = HostError::new(op, path, Errno::EIO);
            *self.faults.failed.borrow_mut() = Some(error.clone());
            return Err(error);
        }
        let mut faults = self.faults.set.borrow_mut();
        let met = faults.iter_mut().find(|f| f.op == op && f.path == path && f.left != Some(0));
        match met {
            None => Ok(()),
            Some(fault) => {
                fault.left = fault.left.map(|left| left - 1);
                Err(HostError::new(op, path, fault.errno))
            }
        }
    }
}

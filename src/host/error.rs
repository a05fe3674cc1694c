//! The error of an operation on the machine.

use std::path::PathBuf;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::text::any_path;

/// An operation on the machine that failed, as the system call reported it.
///
/// Its message is `OP PATH: DESCRIPTION (ERRNO)`: `read /etc/hosts: Permission denied (EACCES)`. Callers match on
/// [`HostError::errno`], never on the message. A few errors have no system call behind them; their errno is chosen here:
/// `ETIMEDOUT` where a deadline passed, `EFBIG` where a limit on size was exceeded, `EINVAL` where a file is of a type that
/// is not read, `EINTR` where a signal ended a wait, `EPROTO` where an answer has the wrong form, `ENODATA` where a
/// recording has no answer, and `EIO` where a result is wrong without an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{op} {}: {} ({})", path.display(), Errno::from_raw(*errno).desc(), errno_name(*errno))]
pub struct HostError {
    /// The operation: `read`, `mount tmpfs on`, `run`.
    pub op: String,
    /// The path, program, interface or address of the operation.
    #[serde(with = "any_path::field")]
    pub path: PathBuf,
    /// The errno as a number (errno(3)).
    pub errno: i32,
}

impl HostError {
    /// An error of `op` on `path`.
    pub fn new(op: impl Into<String>, path: impl Into<PathBuf>, errno: Errno) -> Self {
        Self { op: op.into(), path: path.into(), errno: errno as i32 }
    }

    /// The same from an [`std::io::Error`]; an error without errno becomes `EIO`.
    pub fn io(op: impl Into<String>, path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        Self { op: op.into(), path: path.into(), errno: error.raw_os_error().unwrap_or(Errno::EIO as i32) }
    }

    /// The same for an operation with a deadline. A deadline that passed is `ETIMEDOUT`; std reports it without an errno
    /// (`TimedOut`), or as `EAGAIN` (the timeout of a socket).
    pub fn timed(op: impl Into<String>, path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock => {
                Self::new(op, path, Errno::ETIMEDOUT)
            }
            _ => Self::io(op, path, error),
        }
    }

    /// The errno.
    pub fn errno(&self) -> Errno {
        Errno::from_raw(self.errno)
    }

    /// True where the path, or a directory on the way to it, does not exist.
    pub fn is_absent(&self) -> bool {
        matches!(self.errno(), Errno::ENOENT | Errno::ENOTDIR)
    }
}

/// `EBUSY` for 16: the symbolic name of an errno.
fn errno_name(errno: i32) -> String {
    format!("{:?}", Errno::from_raw(errno))
}

/// The result of an operation on the machine.
pub type HostResult<T> = Result<T, HostError>;

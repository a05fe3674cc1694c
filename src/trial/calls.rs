//! Does the kernel let through the calls that runc makes for every container?

use std::path::Path;

use nix::errno::Errno;
use nix::mount::MsFlags;

use super::{TrialReport, own_mounts, own_network};
use crate::host::HostError;

/// Attempts `mount-namespace`, `mount`, `pivot-root` and `network-namespace`, up to the first refusal.
pub(super) fn perform() -> TrialReport {
    let mut report = TrialReport::default();
    let _ = report.attempt("mount-namespace", own_mounts())
        && report.attempt("mount", mount())
        && report.attempt("pivot-root", pivot_root())
        && report.attempt("network-namespace", own_network());
    report
}

/// A tmpfs, in this child's own mount namespace.
fn mount() -> Result<(), HostError> {
    let target = Path::new("/proc");
    #[allow(clippy::disallowed_methods, reason = "the child is the place to try it")]
    nix::mount::mount(Some("dindcheck"), target, Some("tmpfs"), MsFlags::empty(), None::<&str>)
        .map_err(|errno| HostError::new("mount tmpfs on", target, errno))
}

/// Asks for a root that is not there: a kernel that is allowed to look answers ENOENT.
fn pivot_root() -> Result<(), HostError> {
    let nowhere = Path::new("/dindcheck/nowhere");
    match nix::unistd::pivot_root(nowhere, nowhere) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(HostError::new("pivot the root to", nowhere, errno)),
    }
}

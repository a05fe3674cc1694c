//! Tries the system calls that runc makes for every container, which seccomp or a security module may refuse.

use crate::host::trial::TrialReport;
use std::path::Path;

use linux_keyutils::{KeyError, KeyRing, KeyRingIdentifier};
use nix::errno::Errno;
use nix::mount::MsFlags;

use super::{own_mounts, own_network};
use crate::host::{HostError, HostResult};

/// Attempts `mount-namespace`, `mount`, `keyctl`, `pivot-root` and `network-namespace`, up to the first refusal.
pub(super) fn perform() -> TrialReport {
    let mut report = TrialReport::default();
    let _ = report.attempt("mount-namespace", own_mounts())
        && report.attempt("mount", mount())
        && report.attempt("keyctl", keyring())
        && report.attempt("pivot-root", pivot_root())
        && report.attempt("network-namespace", own_network());
    report
}

/// Attempts to mount a file system without a source, under its name. Only ENODEV means that the kernel does not know it.
pub(super) fn filesystem(name: &str) -> TrialReport {
    let mut report = TrialReport::default();
    if !report.attempt("mount-namespace", own_mounts()) {
        return report;
    }
    let target = Path::new("/proc");
    #[expect(clippy::disallowed_methods, reason = "in a child process that exists for the trial")]
    let tried = nix::mount::mount(None::<&str>, target, Some(name), MsFlags::empty(), None::<&str>);
    let known = match tried {
        Err(Errno::ENODEV) => Err(HostError::new(format!("mount {name} on"), target, Errno::ENODEV)),
        _ => Ok(()),
    };
    report.attempt(name, known);
    report
}

/// Mounts a tmpfs in the mount namespace of this child.
fn mount() -> HostResult<()> {
    let target = Path::new("/proc");
    #[expect(clippy::disallowed_methods, reason = "in a child process that exists for the trial")]
    nix::mount::mount(Some("dindcheck"), target, Some("tmpfs"), MsFlags::empty(), None::<&str>)
        .map_err(|errno| HostError::new("mount tmpfs on", target, errno))
}

/// Pivots to a root that does not exist: ENOENT means that the call is permitted.
fn pivot_root() -> HostResult<()> {
    let nowhere = Path::new("/dindcheck/nowhere");
    match nix::unistd::pivot_root(nowhere, nowhere) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(HostError::new("pivot the root to", nowhere, errno)),
    }
}

/// Creates a keyring of this child. Only a refusal counts: quotas are checked by the step `kernel`, and runc accepts a
/// kernel without keyrings as well.
fn keyring() -> HostResult<()> {
    match KeyRing::from_special_id(KeyRingIdentifier::Process, true) {
        Err(KeyError::PermissionDenied | KeyError::AccessDenied) => {
            Err(HostError::new("make a keyring of", "/proc/self", Errno::EPERM))
        }
        _ => Ok(()),
    }
}

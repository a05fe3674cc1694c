//! Does the kernel let through the calls that runc makes for every container?

use crate::host::trial::TrialReport;
use std::path::Path;

use linux_keyutils::{KeyError, KeyRing, KeyRingIdentifier};
use nix::errno::Errno;
use nix::mount::MsFlags;

use super::{own_mounts, own_network};
use crate::host::HostError;

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

/// Attempts the file system's name: a mount that cannot succeed. Only ENODEV says that the kernel does not know it.
pub(super) fn filesystem(name: &str) -> TrialReport {
    let mut report = TrialReport::default();
    if !report.attempt("mount-namespace", own_mounts()) {
        return report;
    }
    let target = Path::new("/proc");
    #[expect(clippy::disallowed_methods, reason = "the child is the place to try it")]
    let tried = nix::mount::mount(None::<&str>, target, Some(name), MsFlags::empty(), None::<&str>);
    let known = match tried {
        Err(Errno::ENODEV) => Err(HostError::new(format!("mount {name} on"), target, Errno::ENODEV)),
        _ => Ok(()),
    };
    report.attempt(name, known);
    report
}

/// A tmpfs, in this child's own mount namespace.
fn mount() -> Result<(), HostError> {
    let target = Path::new("/proc");
    #[expect(clippy::disallowed_methods, reason = "the child is the place to try it")]
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

/// A keyring of this child's own. Quotas are looked at elsewhere; a kernel without keys is let pass, as runc does.
fn keyring() -> Result<(), HostError> {
    match KeyRing::from_special_id(KeyRingIdentifier::Process, true) {
        Err(KeyError::PermissionDenied | KeyError::AccessDenied) => {
            Err(HostError::new("make a keyring of", "/proc/self", Errno::EPERM))
        }
        _ => Ok(()),
    }
}

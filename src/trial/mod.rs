//! Trials: operations whose success can only be learned by trying, performed in a child process that leaves nothing.
//!
//! The binary starts itself again (`dindcheck __trial JSON`). The child creates mount and network namespaces of its own
//! before it tries anything, so that everything vanishes with it, even after SIGKILL. It prints a [`TrialReport`] and exits.
//! A new process instead of fork(2) keeps the program free of unsafe code.

use crate::host::trial::Trial;
use crate::host::trial::TrialReport;
use std::path::PathBuf;

use crate::host::HostError;

mod calls;
mod firewall;
pub mod network;
mod overlay;

/// Performs a trial in this process. Only the child process that exists for the trial may call it.
pub fn perform(trial: &Trial) -> TrialReport {
    match trial {
        Trial::Namespaces => namespaces(),
        Trial::ContainerCalls => calls::perform(),
        Trial::Filesystem { name } => calls::filesystem(name),
        Trial::Network(request) => network::perform(request),
        Trial::Reach(request) => {
            crate::probe::reach::reach(&crate::host::live::Live::default(), request).into_report()
        }
        Trial::Storage { dir, overlay, userxattr } => overlay::perform(dir, *overlay, *userxattr),
    }
}

/// Creates a private mount namespace and a network namespace.
fn namespaces() -> TrialReport {
    let mut report = TrialReport::default();
    let _ =
        report.attempt("mount-namespace", own_mounts()) && report.attempt("network-namespace", own_network());
    report
}

/// Creates a mount namespace from which no mount propagates.
#[expect(clippy::disallowed_methods, reason = "in the namespace of a child that exists for this")]
pub(crate) fn own_mounts() -> Result<(), HostError> {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    let root = PathBuf::from("/");
    unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|errno| HostError::new("unshare the mount namespace of", &root, errno))?;
    mount(None::<&str>, &root, None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(|errno| HostError::new("make private the mounts below", &root, errno))
}

/// Creates a network namespace.
pub(crate) fn own_network() -> Result<(), HostError> {
    use nix::sched::{CloneFlags, unshare};
    unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| {
        HostError::new("unshare the network namespace of", PathBuf::from("/proc/self"), errno)
    })
}

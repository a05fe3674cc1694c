//! What can only be learned by trying, and how is it tried without leaving a trace?
//!
//! The binary starts itself again (`dindcheck __trial JSON`); that child takes mount and network namespaces
//! of its own before it tries anything, so that everything vanishes with it, even after SIGKILL. It prints a
//! [`TrialReport`] and ends. A fresh process instead of fork(2) keeps the program free of unsafe code.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::HostError;

mod calls;
mod firewall;
mod netlink;
pub mod network;
mod overlay;

/// Something to try. Paths are those of the asking process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "try", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Trial {
    /// Nothing but the namespaces themselves: may this process make them?
    Namespaces,
    /// The calls that runc makes for every container: do a system-call filter and a security module let them
    /// through?
    ContainerCalls,
    /// Whether the kernel knows a file system, once it was asked for it: that may load its module.
    Filesystem {
        /// Its type.
        name: String,
    },
    /// The interfaces and firewall rules of a Docker network.
    Network(network::Wanted),
    /// What this container itself reaches, for what an inner one does not. Nothing is changed by it.
    Reach(crate::probe::reach::Wanted),
    /// A file system below a directory: new files, and an overlay on them.
    Storage {
        /// A directory that is not there yet. It is made for the trial and removed after it.
        dir: PathBuf,
        /// Whether overlay is tried, too.
        overlay: bool,
        /// With the mount option that overlay needs in a user namespace.
        userxattr: bool,
    },
}

impl Trial {
    /// What outlives the namespaces of the child, and so is removed by the asking process.
    pub fn litter(&self) -> Option<&Path> {
        match self {
            Self::Storage { dir, .. } => Some(dir),
            _ => None,
        }
    }
}

/// What came of a trial: each attempt in order. The first failed one usually ends it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialReport {
    /// What was tried, in order.
    pub attempts: Vec<Attempt>,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// A short stable name that a step looks up: `mount`, `whiteout`, `veth`.
    pub name: String,
    /// What the kernel, or a program, said against it.
    pub error: Option<HostError>,
    /// The words of a program that was run, or a value that was read.
    pub detail: Option<String>,
}

impl TrialReport {
    /// Writes down what came of an attempt; true where it succeeded.
    pub fn attempt(&mut self, name: &str, result: Result<(), HostError>) -> bool {
        let error = result.err();
        let good = error.is_none();
        self.attempts.push(Attempt { name: name.to_owned(), error, detail: None });
        good
    }

    /// Adds words to the latest attempt.
    pub fn detail(&mut self, detail: impl Into<String>) {
        if let Some(last) = self.attempts.last_mut() {
            last.detail = Some(detail.into());
        }
    }

    /// The attempt of this name, if the trial got there.
    pub fn get(&self, name: &str) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.name == name)
    }

    /// The first attempt that failed.
    pub fn first_failed(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.error.is_some())
    }
}

/// Tries it, in this process: only for the child that exists for it.
pub fn perform(trial: &Trial) -> TrialReport {
    match trial {
        Trial::Namespaces => namespaces(),
        Trial::ContainerCalls => calls::perform(),
        Trial::Filesystem { name } => calls::filesystem(name),
        Trial::Network(wanted) => network::perform(wanted),
        Trial::Reach(wanted) => {
            crate::probe::reach::reach(&crate::host::live::Live::default(), wanted).into_report()
        }
        Trial::Storage { dir, overlay, userxattr } => overlay::perform(dir, *overlay, *userxattr),
    }
}

/// A mount namespace whose mounts reach no other, and a network namespace.
fn namespaces() -> TrialReport {
    let mut report = TrialReport::default();
    let _ =
        report.attempt("mount-namespace", own_mounts()) && report.attempt("network-namespace", own_network());
    report
}

/// Takes a mount namespace from which nothing propagates.
#[allow(clippy::disallowed_methods, reason = "in the namespace of a child that exists for this")]
pub(crate) fn own_mounts() -> Result<(), HostError> {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    let root = PathBuf::from("/");
    unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|errno| HostError::new("unshare the mount namespace of", &root, errno))?;
    mount(None::<&str>, &root, None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(|errno| HostError::new("make private the mounts below", &root, errno))
}

/// Takes a network namespace.
pub(crate) fn own_network() -> Result<(), HostError> {
    use nix::sched::{CloneFlags, unshare};
    unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| {
        HostError::new("unshare the network namespace of", PathBuf::from("/proc/self"), errno)
    })
}

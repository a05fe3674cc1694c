//! Requests and reports of trials, which `crate::trial` performs in a child process.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::HostError;
use crate::text::any_path;

/// The attempt to make the directory of a trial.
pub const DIRECTORY: &str = "directory";

/// A trial. Paths are those of the process that requests it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "try", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Trial {
    /// Whether this process may create namespaces.
    Namespaces,
    /// Whether seccomp and security modules permit the system calls that runc makes for every container.
    ContainerCalls,
    /// Whether the kernel knows a file system. Asking may load its module.
    Filesystem {
        /// The type of the file system.
        name: String,
    },
    /// The interfaces and firewall rules of a Docker network.
    Network(NetworkRequest),
    /// What this container itself can connect to, to compare with an inner one. It changes nothing.
    Reach(ReachRequest),
    /// A file system below a directory: new files, and an overlay on them.
    Storage {
        /// A directory that does not exist. The process that requests the trial makes it and removes it afterwards.
        #[serde(with = "any_path::field")]
        dir: PathBuf,
        /// Whether overlay is tried as well.
        overlay: bool,
        /// Whether overlay is mounted with `userxattr`, which it needs in a user namespace.
        userxattr: bool,
    },
}

impl Trial {
    /// The directory that outlives the namespaces of the child; the process that requests the trial makes and removes it.
    pub fn cleanup_path(&self) -> Option<&Path> {
        match self {
            Self::Storage { dir, .. } => Some(dir),
            _ => None,
        }
    }
}

/// The attempts of a trial in order. The first failed one usually ends it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialReport {
    /// The attempts, in order.
    pub attempts: Vec<Attempt>,
}

/// One attempt of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// A short name by which a step finds it: `mount`, `whiteout`, `veth`.
    pub name: String,
    /// The error of the kernel or of a program; `None` where it succeeded.
    pub error: Option<HostError>,
    /// The message of a program that was run, or a value that was read.
    pub detail: Option<String>,
}

impl TrialReport {
    /// Adds the result of an attempt. Returns whether it succeeded.
    pub fn attempt(&mut self, name: &str, result: Result<(), HostError>) -> bool {
        let error = result.err();
        let good = error.is_none();
        self.attempts.push(Attempt { name: name.to_owned(), error, detail: None });
        good
    }

    /// Sets the detail of the latest attempt.
    pub fn detail(&mut self, detail: impl Into<String>) {
        if let Some(last) = self.attempts.last_mut() {
            last.detail = Some(detail.into());
        }
    }

    /// The first attempt of this name, if the trial made it.
    pub fn get(&self, name: &str) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.name == name)
    }

    /// The first attempt that failed.
    pub fn first_failed(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.error.is_some())
    }
}

/// What dockerd needs of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRequest {
    /// The firewall that it uses; `None` with `--iptables=false`.
    pub firewall: Option<Firewall>,
    /// Whether it needs br_netfilter, which is missing.
    #[serde(default)]
    pub br_netfilter: bool,
}

/// The firewall that dockerd uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firewall {
    /// By the iptables program.
    Iptables {
        /// The one in dockerd's PATH.
        program: PathBuf,
        /// ip6tables, where dockerd sets up IPv6 chains.
        six: Option<PathBuf>,
        /// Whether the raw table is used (Docker 28 and later).
        raw: bool,
        /// Programs of the other kind, tried only where this one fails.
        others: Vec<PathBuf>,
    },
    /// By the nft program (Docker 29 and later, where configured).
    Nft {
        /// The one in dockerd's PATH.
        program: PathBuf,
    },
}

/// What to connect to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReachRequest {
    /// Whether to try the default gateway of the network namespace.
    pub gateway: bool,
    /// The default gateway of the outer container.
    pub outer: Option<Ipv4Addr>,
    /// Whether to try the name servers of /etc/resolv.conf.
    pub resolvers: bool,
    /// Names that must resolve.
    pub names: Vec<String>,
    /// `host:port` that must accept a connection.
    pub endpoints: Vec<String>,
    /// The name and port of another probe.
    pub peer: Option<(String, u16)>,
}

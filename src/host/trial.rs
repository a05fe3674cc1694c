//! What a step asks to have tried, and what came of it; `crate::trial` performs it in a child process.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::HostError;

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
    Network(NetworkRequest),
    /// What this container itself reaches, for what an inner one does not. Nothing is changed by it.
    Reach(ReachRequest),
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
    pub fn cleanup_path(&self) -> Option<&Path> {
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

/// What dockerd will want of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRequest {
    /// The firewall it will use; none with `--iptables=false`.
    pub firewall: Option<Firewall>,
    /// Whether it will need br_netfilter, which is not there.
    #[serde(default)]
    pub br_netfilter: bool,
}

/// The firewall that dockerd will use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firewall {
    /// By the iptables program.
    Iptables {
        /// The one in dockerd's PATH.
        program: PathBuf,
        /// ip6tables, where dockerd will set up IPv6 chains.
        six: Option<PathBuf>,
        /// Whether the raw table is used (Docker 28 and later).
        raw: bool,
        /// Programs of the other kind, tried only where this one fails.
        others: Vec<PathBuf>,
    },
    /// By the nft program (Docker 29 and later, where asked for).
    Nft {
        /// The one in dockerd's PATH.
        program: PathBuf,
    },
}

/// What is to be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReachRequest {
    /// The default gateway of the namespace that asks.
    pub gateway: bool,
    /// The default gateway of the outer container.
    pub outer: Option<Ipv4Addr>,
    /// The resolvers of /etc/resolv.conf.
    pub resolvers: bool,
    /// Names that must resolve.
    pub names: Vec<String>,
    /// `host:port` that must accept a connection.
    pub endpoints: Vec<String>,
    /// A probe that serves, by name and port.
    pub peer: Option<(String, u16)>,
}

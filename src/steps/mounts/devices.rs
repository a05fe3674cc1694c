//! Checks that the device nodes exist and can be opened.

use std::path::Path;

use nix::sys::stat::{major, minor};

use crate::diagnosis::{CauseId, causes};
use crate::facts::mounts::Mounts;
use crate::finding::{Finding, quoted};
use crate::host::{FileKind, HostResult, SystemReader};

const MISSING: CauseId = causes::DEV_NODE_MISSING;

/// A character device that every container engine creates (OCI runtime-spec, default devices; Documentation/admin-guide/
/// devices.txt).
pub(super) struct Node {
    pub(super) path: &'static str,
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) mode: u32,
}

/// Those that dockerd or its programs may open.
pub(super) const NODES: &[Node] = &[
    Node { path: "/dev/null", major: 1, minor: 3, mode: 0o666 },
    Node { path: "/dev/zero", major: 1, minor: 5, mode: 0o666 },
    Node { path: "/dev/full", major: 1, minor: 7, mode: 0o666 },
    Node { path: "/dev/random", major: 1, minor: 8, mode: 0o666 },
    Node { path: "/dev/urandom", major: 1, minor: 9, mode: 0o666 },
    Node { path: "/dev/tty", major: 5, minor: 0, mode: 0o666 },
];
/// Checked only if the kernel has FUSE.
const FUSE: Node = Node { path: "/dev/fuse", major: 10, minor: 229, mode: 0o666 };
/// Directories that programs outside of inner containers use.
const DIRS: &[(&str, &str)] = &[
    ("/dev/shm", "mount -t tmpfs -o mode=1777 shm"),
    ("/dev/pts", "mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts"),
];

/// The state of a node.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    Good,
    Absent,
    /// Another file has its name.
    Wrong,
}

pub(super) fn state(host: &dyn SystemReader, node: &Node) -> HostResult<State> {
    Ok(match host.stat(Path::new(node.path)) {
        Ok(stat) if stat.kind != FileKind::Char => State::Wrong,
        Ok(stat) if (major(stat.rdev), minor(stat.rdev)) != (node.major.into(), node.minor.into()) => {
            State::Wrong
        }
        Ok(_) => State::Good,
        Err(error) if error.is_absent() => State::Absent,
        Err(error) => return Err(error),
    })
}

pub(super) fn judge(host: &dyn SystemReader, mounts: &Mounts) -> HostResult<Vec<Finding>> {
    let mut findings = Vec::new();
    if let Some(mount) =
        mounts.holding(Path::new("/dev/null")).filter(|mount| mount.options.contains("nodev"))
    {
        let what = "device nodes below /dev cannot be opened (nodev): no program can use /dev/null";
        findings.push(
            Finding::fail(MISSING, what)
                .with("mount", mount.target.display())
                .hint(format!("`mount -o remount,bind,dev,rw {}`", quoted(&mount.target))),
        );
    }
    for node in NODES {
        findings.extend(problem(node, &state(host, node)?));
    }
    let fuse = host.read_if_there(Path::new("/proc/filesystems"))?.unwrap_or_default();
    if fuse.lines().any(|line| line.trim_start_matches("nodev").trim() == "fuse")
        && state(host, &FUSE)? != State::Good
    {
        let what = "/dev/fuse is missing: fuse-overlayfs and FUSE in inner containers do not work";
        findings.push(Finding::warn(MISSING, what).with("path", FUSE.path).hint(make(&FUSE)));
    }
    for (dir, mount) in DIRS {
        let there = host.stat(Path::new(dir)).is_ok_and(|stat| stat.kind == FileKind::Dir);
        let mounted = *dir != "/dev/pts" || mounts.at(Path::new(dir)).is_some();
        if !(there && mounted) {
            let what =
                format!("{dir} is missing: inner containers have their own, other programs here do not");
            findings.push(
                Finding::warn(MISSING, what)
                    .with("path", dir)
                    .hint(format!("`mkdir -p {dir}; {mount} {dir}`")),
            );
        }
    }
    Ok(findings)
}

/// dockerd opens /dev/null for every program that it starts (Go os/exec).
fn problem(node: &Node, state: &State) -> Option<Finding> {
    let path = node.path;
    let finding = match state {
        State::Good => return None,
        State::Absent if path == "/dev/null" => Finding::fail(
            MISSING,
            "/dev/null is missing: dockerd cannot start containerd, nor any other program",
        ),
        State::Absent => Finding::warn(
            MISSING,
            format!("{path} is missing: inner containers have their own, other programs here do not"),
        ),
        State::Wrong => {
            Finding::warn(MISSING, format!("{path} is not the device {}:{}", node.major, node.minor))
        }
    };
    Some(finding.with("path", path).hint(make(node)))
}

/// The commands that make a node.
fn make(node: &Node) -> String {
    let Node { path, major, minor, mode } = node;
    format!("`rm -f {path}; mknod -m {mode:o} {path} c {major} {minor}`")
}

//! A machine in memory for tests, whose operations fail on demand.
//!
//! Files, directories and links are a map. Every operation can fail N times per path, or always. Changes are logged, and a
//! closure can react to them, for example by changing `/proc/self/mountinfo` after a mount.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::{FileKind, FsInfo, HostError, HostResult, Identity, Ran, Stat};
use crate::host::trial::TrialReport;

mod faults;
mod system;

use faults::Faults;

/// Called after every change with its line of the log.
type Reaction = Box<dyn Fn(&Fake, &str)>;

/// A machine in memory.
pub struct Fake {
    nodes: RefCell<BTreeMap<PathBuf, Node>>,
    filesystems: RefCell<BTreeMap<PathBuf, FsInfo>>,
    env: BTreeMap<String, OsString>,
    identity: Identity,
    runs: RefCell<BTreeMap<String, Ran>>,
    locked: BTreeSet<PathBuf>,
    trials: RefCell<VecDeque<TrialReport>>,
    faults: Faults,
    log: RefCell<Vec<String>>,
    reaction: Option<Reaction>,
}

/// A file, directory, link or node at a path.
#[derive(Debug, Clone)]
struct Node {
    stat: Stat,
    bytes: Vec<u8>,
    target: PathBuf,
}

impl Default for Fake {
    fn default() -> Self {
        let fake = Self {
            nodes: RefCell::default(),
            filesystems: RefCell::default(),
            env: BTreeMap::new(),
            identity: Identity { euid: 0, pid: 4242 },
            runs: RefCell::default(),
            locked: BTreeSet::new(),
            trials: RefCell::default(),
            faults: Faults::default(),
            log: RefCell::default(),
            reaction: None,
        };
        fake.put("/", FileKind::Dir, &[]);
        fake
    }
}

impl Fake {
    /// An empty machine, used by root.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the effective user.
    #[must_use]
    pub fn euid(mut self, euid: u32) -> Self {
        self.identity.euid = euid;
        self
    }

    /// Adds a file with this text, and its directories.
    #[must_use]
    pub fn file(self, path: &str, text: &str) -> Self {
        self.set(path, text);
        self
    }

    /// Adds a directory.
    #[must_use]
    pub fn dir(self, path: &str) -> Self {
        self.put(path, FileKind::Dir, &[]);
        self
    }

    /// Adds an empty node of any type: a socket, a device.
    #[must_use]
    pub fn node(self, path: &str, kind: FileKind) -> Self {
        self.put(path, kind, &[]);
        self
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Self {
        self.put(path, FileKind::Link, &[]);
        self.nodes.borrow_mut().get_mut(Path::new(path)).expect("just put").target = target.into();
        self
    }

    /// Changes the stat(2) of a path that exists.
    #[must_use]
    pub fn stat_of(self, path: &str, change: impl FnOnce(&mut Stat)) -> Self {
        change(&mut self.nodes.borrow_mut().get_mut(Path::new(path)).expect("the path exists").stat);
        self
    }

    /// Sets the file system at and below a path.
    #[must_use]
    pub fn filesystem(self, path: &str, info: FsInfo) -> Self {
        self.filesystems.borrow_mut().insert(path.into(), info);
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets the result of a command: the program and its arguments, joined by spaces.
    #[must_use]
    pub fn program(self, command: &str, code: i32, stdout: &str) -> Self {
        let program = command.split(' ').next().unwrap_or(command);
        if !self.nodes.borrow().contains_key(Path::new(program)) {
            self.put(program, FileKind::File, &[]);
            self.nodes.borrow_mut().get_mut(Path::new(program)).expect("just put").stat.mode = 0o755;
        }
        let ran = Ran { code, stdout: stdout.into(), stderr: String::new(), truncated: false };
        self.runs.borrow_mut().insert(command.into(), ran);
        self
    }

    /// Adds a program for this machine that has nothing but an ELF header.
    #[must_use]
    pub fn binary(self, path: &str) -> Self {
        let mut headers = vec![0; 64];
        headers[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        headers[18..20].copy_from_slice(&super::own_machine().to_le_bytes());
        self.put(path, FileKind::File, &headers);
        self.stat_of(path, |stat| stat.mode = 0o755)
    }

    /// Adds a lock that is held on a file or directory, which is made a file where it is missing.
    #[must_use]
    pub fn locked(mut self, path: &str) -> Self {
        if !self.nodes.borrow().contains_key(Path::new(path)) {
            self.set(path, "");
        }
        self.locked.insert(path.into());
        self
    }

    /// Adds the report of the next trial.
    #[must_use]
    pub fn answers_trial(self, report: TrialReport) -> Self {
        self.trials.borrow_mut().push_back(report);
        self
    }

    /// Sets what is called after every change with its line of the log.
    #[must_use]
    pub fn reacts(mut self, reaction: impl Fn(&Self, &str) + 'static) -> Self {
        self.reaction = Some(Box::new(reaction));
        self
    }

    /// Writes a file from within a reaction.
    pub fn set(&self, path: &str, text: &str) {
        self.put(path, FileKind::File, text.as_bytes());
    }

    /// The changes in order, as `op path` lines.
    pub fn changes(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    /// Adds a node and the directories above it.
    fn put(&self, path: impl AsRef<Path>, kind: FileKind, bytes: &[u8]) {
        let path = path.as_ref().to_owned();
        let mut nodes = self.nodes.borrow_mut();
        for above in path.ancestors().skip(1) {
            nodes.entry(above.to_owned()).or_insert_with(|| Node::new(FileKind::Dir, &[]));
        }
        nodes.insert(path, Node::new(kind, bytes));
    }

    /// Whether a directory has something in it. The files of a cgroup do not count, as for the kernel.
    fn holds_something(&self, dir: &Path) -> bool {
        let is_cgroup = dir.starts_with("/sys/fs/cgroup");
        let counts = |node: &Node| !is_cgroup || node.stat.kind == FileKind::Dir;
        self.nodes.borrow().iter().any(|(path, node)| path.parent() == Some(dir) && counts(node))
    }

    /// The node at a path; the last component is followed where `follow` is set.
    fn find(&self, op: &'static str, path: &Path, follow: bool) -> HostResult<Node> {
        self.fault(op, path)?;
        let mut at = self.resolved(path, follow);
        for _ in 0..8 {
            let node = self.nodes.borrow().get(&at).cloned();
            match node {
                None => return Err(HostError::new(op, path, Errno::ENOENT)),
                Some(node) if follow && node.stat.kind == FileKind::Link => {
                    at = at.parent().unwrap_or(Path::new("/")).join(&node.target);
                }
                Some(node) => return Ok(node),
            }
        }
        Err(HostError::new(op, path, Errno::ELOOP))
    }

    /// The path with the links among its directories followed (`/var/run/x` where `/var/run` is a link).
    fn resolved(&self, path: &Path, _follow: bool) -> PathBuf {
        let mut at = PathBuf::new();
        let count = path.components().count();
        for (index, part) in path.components().enumerate() {
            at.push(part);
            let target = self
                .nodes
                .borrow()
                .get(&at)
                .filter(|n| n.stat.kind == FileKind::Link)
                .map(|n| n.target.clone());
            if let (Some(target), true) = (target, index + 1 < count) {
                at = at.parent().unwrap_or(Path::new("/")).join(target);
            }
        }
        at
    }

    /// Logs a change and calls the reaction.
    fn changed(&self, line: String) {
        self.log.borrow_mut().push(line.clone());
        if let Some(reaction) = &self.reaction {
            reaction(self, &line);
        }
    }
}

impl Node {
    fn new(kind: FileKind, bytes: &[u8]) -> Self {
        let mode = if kind == FileKind::Dir { 0o755 } else { 0o644 };
        let size = bytes.len() as u64;
        let stat = Stat { kind, mode, uid: 0, gid: 0, size, dev: 1, ino: 1, rdev: 0, mtime: 0, born: None };
        Self { stat, bytes: bytes.to_vec(), target: PathBuf::new() }
    }
}

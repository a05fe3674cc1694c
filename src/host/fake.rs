//! What does a step do on a machine that is not this one? A machine in memory that fails on demand.
//!
//! Files, directories and links are a map; every operation can be told to fail N times per path, or always.
//! Mount calls are written down and, where a test asks for it, change `/proc/self/mountinfo` by a closure.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;

use super::{FileKind, FsInfo, Host, HostError, HostResult, Identity, Machine, MountCall, Ran, Stat};
use crate::trial::{Trial, TrialReport};

/// What happens after a change, so that the next look sees it.
type Reaction = Box<dyn Fn(&Fake, &str)>;

/// A machine in memory.
pub struct Fake {
    nodes: RefCell<BTreeMap<PathBuf, Node>>,
    filesystems: RefCell<BTreeMap<PathBuf, FsInfo>>,
    env: BTreeMap<String, String>,
    identity: Identity,
    runs: RefCell<BTreeMap<String, Ran>>,
    locked: BTreeSet<PathBuf>,
    trials: RefCell<VecDeque<TrialReport>>,
    faults: RefCell<Vec<Fault>>,
    log: RefCell<Vec<String>>,
    reaction: Option<Reaction>,
}

/// One thing at a path.
#[derive(Debug, Clone)]
struct Node {
    stat: Stat,
    bytes: Vec<u8>,
    target: PathBuf,
}

/// An operation that is told to fail.
struct Fault {
    op: &'static str,
    path: PathBuf,
    errno: Errno,
    left: Option<u32>,
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
            faults: RefCell::default(),
            log: RefCell::default(),
            reaction: None,
        };
        fake.put("/", FileKind::Dir, &[]);
        fake
    }
}

impl Fake {
    /// An empty machine, asked by root.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asked by another user.
    #[must_use]
    pub fn euid(mut self, euid: u32) -> Self {
        self.identity.euid = euid;
        self
    }

    /// A file with this text; its directories come to be.
    #[must_use]
    pub fn file(self, path: &str, text: &str) -> Self {
        self.set(path, text);
        self
    }

    /// A directory.
    #[must_use]
    pub fn dir(self, path: &str) -> Self {
        self.put(path, FileKind::Dir, &[]);
        self
    }

    /// Anything else at a path: a socket, a device node.
    #[must_use]
    pub fn node(self, path: &str, kind: FileKind) -> Self {
        self.put(path, kind, &[]);
        self
    }

    /// A symbolic link.
    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Self {
        self.put(path, FileKind::Link, &[]);
        self.nodes.borrow_mut().get_mut(Path::new(path)).expect("just put").target = target.into();
        self
    }

    /// What stat(2) says of a path that is there already.
    #[must_use]
    pub fn stat_of(self, path: &str, change: impl FnOnce(&mut Stat)) -> Self {
        change(&mut self.nodes.borrow_mut().get_mut(Path::new(path)).expect("a path that is there").stat);
        self
    }

    /// The file system at and below a path.
    #[must_use]
    pub fn filesystem(self, path: &str, info: FsInfo) -> Self {
        self.filesystems.borrow_mut().insert(path.into(), info);
        self
    }

    /// A variable of the environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// What a program answers: the key is the program and its arguments, joined by spaces.
    #[must_use]
    pub fn program(self, command: &str, code: i32, stdout: &str) -> Self {
        let program = command.split(' ').next().unwrap_or(command);
        if !self.nodes.borrow().contains_key(Path::new(program)) {
            self.put(program, FileKind::File, &[]);
            self.nodes.borrow_mut().get_mut(Path::new(program)).expect("just put").stat.mode = 0o755;
        }
        let ran = Ran { code, stdout: stdout.into(), stderr: String::new() };
        self.runs.borrow_mut().insert(command.into(), ran);
        self
    }

    /// A program for this machine that is never run: its headers alone.
    #[must_use]
    pub fn binary(self, path: &str) -> Self {
        let mut headers = vec![0; 64];
        headers[..6].copy_from_slice(b"\x7fELF\x02\x01");
        headers[18..20].copy_from_slice(&crate::facts::executable::own_machine().to_le_bytes());
        self.put(path, FileKind::File, &headers);
        self.stat_of(path, |stat| stat.mode = 0o755)
    }

    /// A file on which somebody holds a lock.
    #[must_use]
    pub fn locked(mut self, path: &str) -> Self {
        self.set(path, "");
        self.locked.insert(path.into());
        self
    }

    /// What the next trial answers.
    #[must_use]
    pub fn answers_trial(self, report: TrialReport) -> Self {
        self.trials.borrow_mut().push_back(report);
        self
    }

    /// `op` on `path` fails the next `times` times (`None`: always).
    #[must_use]
    pub fn fails(self, op: &'static str, path: &str, errno: Errno, times: Option<u32>) -> Self {
        self.faults.borrow_mut().push(Fault { op, path: path.into(), errno, left: times });
        self
    }

    /// Called after every change with its line of the log.
    #[must_use]
    pub fn reacts(mut self, reaction: impl Fn(&Self, &str) + 'static) -> Self {
        self.reaction = Some(Box::new(reaction));
        self
    }

    /// Writes a file from within a reaction.
    pub fn set(&self, path: &str, text: &str) {
        self.put(path, FileKind::File, text.as_bytes());
    }

    /// Every change that was made, in order, as `op path` lines.
    pub fn changes(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    /// Puts a node, and directories above it.
    fn put(&self, path: &str, kind: FileKind, bytes: &[u8]) {
        let path = PathBuf::from(path);
        let mut nodes = self.nodes.borrow_mut();
        for above in path.ancestors().skip(1) {
            nodes.entry(above.to_owned()).or_insert_with(|| Node::new(FileKind::Dir, &[]));
        }
        nodes.insert(path, Node::new(kind, bytes));
    }

    /// The fault that this operation meets, if any.
    fn fault(&self, op: &'static str, path: &Path) -> HostResult<()> {
        let mut faults = self.faults.borrow_mut();
        let met = faults.iter_mut().find(|f| f.op == op && f.path == path && f.left != Some(0));
        match met {
            None => Ok(()),
            Some(fault) => {
                fault.left = fault.left.map(|left| left - 1);
                Err(HostError::new(op, path, fault.errno))
            }
        }
    }

    /// The node at a path; links are followed where asked.
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

    /// Writes down a change and lets the reaction see it.
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
        let stat = Stat { kind, mode, uid: 0, gid: 0, size, dev: 1, ino: 1, rdev: 0, mtime: 0 };
        Self { stat, bytes: bytes.to_vec(), target: PathBuf::new() }
    }
}

impl Host for Fake {
    fn read(&self, path: &Path) -> HostResult<Vec<u8>> {
        let node = self.find("read", path, true)?;
        match node.stat.kind {
            FileKind::Dir => Err(HostError::new("read", path, Errno::EISDIR)),
            _ => Ok(node.bytes),
        }
    }

    fn list(&self, path: &Path) -> HostResult<Vec<String>> {
        self.find("list", path, true)?;
        let dir = self.resolved(path, true);
        let nodes = self.nodes.borrow();
        let inside = nodes.keys().filter(|p| p.parent() == Some(&dir));
        Ok(inside.filter_map(|p| Some(p.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn stat(&self, path: &Path) -> HostResult<Stat> {
        Ok(self.find("stat", path, true)?.stat)
    }

    fn lstat(&self, path: &Path) -> HostResult<Stat> {
        Ok(self.find("lstat", path, false)?.stat)
    }

    fn read_link(&self, path: &Path) -> HostResult<PathBuf> {
        let node = self.find("read the link", path, false)?;
        match node.stat.kind {
            FileKind::Link => Ok(node.target),
            _ => Err(HostError::new("read the link", path, Errno::EINVAL)),
        }
    }

    fn statfs(&self, path: &Path) -> HostResult<FsInfo> {
        self.fault("statfs", path)?;
        let filesystems = self.filesystems.borrow();
        let nearest = path.ancestors().find_map(|above| filesystems.get(above));
        nearest.cloned().ok_or_else(|| HostError::new("statfs", path, Errno::ENOENT))
    }

    fn identity(&self) -> Identity {
        self.identity
    }

    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    fn run(&self, program: &Path, args: &[&str], _within: Duration) -> HostResult<Ran> {
        self.fault("run", program)?;
        let command = [&[program.to_string_lossy().as_ref()], args].concat().join(" ");
        self.runs.borrow().get(&command).cloned().ok_or_else(|| HostError::new("run", program, Errno::ENOENT))
    }

    fn connect(&self, socket: &Path) -> HostResult<()> {
        self.find("connect to", socket, true).map(drop)
    }

    fn is_locked(&self, path: &Path) -> HostResult<bool> {
        self.find("lock", path, true)?;
        Ok(self.locked.contains(path))
    }

    fn trial(&self, trial: &Trial) -> HostResult<TrialReport> {
        self.fault("try", Path::new("/"))?;
        let answer = self.trials.borrow_mut().pop_front();
        answer.ok_or_else(|| HostError::new(format!("try {trial:?} with"), "/", Errno::ENOSYS))
    }
}

impl Machine for Fake {
    fn mount(&self, call: &MountCall) -> HostResult<()> {
        self.fault("mount", &call.target)?;
        let source = call.source.as_deref().unwrap_or("-");
        let kind = call.fstype.as_deref().unwrap_or("-");
        let data = call.data.as_deref().unwrap_or("-");
        self.changed(format!("mount {} {source} {kind} {:#x} {data}", call.target.display(), call.flags));
        Ok(())
    }

    fn unmount(&self, path: &Path) -> HostResult<()> {
        self.fault("unmount", path)?;
        self.changed(format!("unmount {}", path.display()));
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> HostResult<()> {
        self.fault("create_dir", path)?;
        if self.nodes.borrow().contains_key(path) {
            return Err(HostError::new("create_dir", path, Errno::EEXIST));
        }
        self.put(&path.to_string_lossy(), FileKind::Dir, &[]);
        self.changed(format!("create_dir {}", path.display()));
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> HostResult<()> {
        self.fault("remove_dir", path)?;
        self.nodes
            .borrow_mut()
            .remove(path)
            .ok_or_else(|| HostError::new("remove_dir", path, Errno::ENOENT))?;
        self.changed(format!("remove_dir {}", path.display()));
        Ok(())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> HostResult<()> {
        self.fault("write", path)?;
        self.put(&path.to_string_lossy(), FileKind::File, bytes);
        self.changed(format!("write {} {}", path.display(), String::from_utf8_lossy(bytes)));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> HostResult<()> {
        self.fault("remove_file", path)?;
        let at = self.resolved(path, false);
        let removed = self.nodes.borrow_mut().remove(&at);
        removed.ok_or_else(|| HostError::new("remove_file", path, Errno::ENOENT))?;
        self.changed(format!("remove_file {}", path.display()));
        Ok(())
    }

    fn symlink(&self, target: &Path, link: &Path) -> HostResult<()> {
        self.fault("symlink", link)?;
        self.put(&link.to_string_lossy(), FileKind::Link, &[]);
        self.nodes.borrow_mut().get_mut(link).expect("just put").target = target.to_owned();
        self.changed(format!("symlink {} {}", link.display(), target.display()));
        Ok(())
    }

    fn make_char_device(&self, path: &Path, mode: u32, major: u32, minor: u32) -> HostResult<()> {
        self.fault("make_char_device", path)?;
        self.put(&path.to_string_lossy(), FileKind::Char, &[]);
        self.changed(format!("mknod {} {mode:o} {major}:{minor}", path.display()));
        Ok(())
    }

    fn request_module(&self, name: &str) -> HostResult<()> {
        self.fault("request_module", Path::new(name))?;
        self.changed(format!("request_module {name}"));
        Ok(())
    }

    fn execute(&self, program: &Path, args: &[&str], within: Duration) -> HostResult<Ran> {
        let ran = self.run(program, args, within)?;
        self.changed(format!("execute {} {}", program.display(), args.join(" ")));
        Ok(ran)
    }
}

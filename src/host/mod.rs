//! How does dindcheck see the machine? Through this door alone.
//!
//! [`SystemReader`] only looks. What changes the machine is [`SystemWriter`], which only a repair's
//! [`RepairLog`](crate::repair_log::RepairLog) hold. Every answer can be written down, so that a run can be recorded and
//! its environment phase played back elsewhere. Errors carry operation, path and errno.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::host::trial::{Trial, TrialReport};

pub mod fake;
pub mod live;
pub(crate) mod netlink;
mod prefetch;
pub mod recorded;
pub mod recording;
mod spawn;
pub mod trial;

/// A program that is asked for its version and does not answer in this time hangs.
pub const ASK_DEADLINE: Duration = Duration::from_secs(10);

/// An operation on the machine that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{op} {}: {} ({})", path.display(), Errno::from_raw(*errno).desc(), errno_name(*errno))]
pub struct HostError {
    /// What was tried: `read`, `mount tmpfs on`, `run`.
    pub op: String,
    /// On what.
    pub path: PathBuf,
    /// The kernel's answer, by number (see errno(3)).
    pub errno: i32,
}

impl HostError {
    /// An error of `op` on `path`.
    pub fn new(op: impl Into<String>, path: impl Into<PathBuf>, errno: Errno) -> Self {
        Self { op: op.into(), path: path.into(), errno: errno as i32 }
    }

    /// The same from an [`std::io::Error`]; an error without errno becomes `EIO`.
    pub fn io(op: impl Into<String>, path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        Self { op: op.into(), path: path.into(), errno: error.raw_os_error().unwrap_or(Errno::EIO as i32) }
    }

    /// The same for what has a deadline: one that passed is `ETIMEDOUT`, for which std has no errno (`TimedOut`) or `EAGAIN`
    /// (the timeout of a socket).
    pub fn timed(op: impl Into<String>, path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock => {
                Self::new(op, path, Errno::ETIMEDOUT)
            }
            _ => Self::io(op, path, error),
        }
    }

    /// The errno, to match on.
    pub fn errno(&self) -> Errno {
        Errno::from_raw(self.errno)
    }

    /// True where the path, or a directory on the way to it, does not exist.
    pub fn is_absent(&self) -> bool {
        matches!(self.errno(), Errno::ENOENT | Errno::ENOTDIR)
    }
}

/// `EBUSY` for 16: the symbolic name of an errno.
fn errno_name(errno: i32) -> String {
    format!("{:?}", Errno::from_raw(errno))
}

/// The result of an operation on the machine.
pub type HostResult<T> = Result<T, HostError>;

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link (only where links are not followed).
    Link,
    /// A unix socket.
    Socket,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
}

/// What stat(2) says, as far as a check needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// The device it lies on.
    pub dev: u64,
    /// Its number there.
    pub ino: u64,
    /// The device it is, for a device node.
    pub rdev: u64,
    /// Its last change of content, in nanoseconds since 1970.
    pub mtime: i64,
}

/// What statfs(2) says of the file system that holds a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsInfo {
    /// The magic number of the file system (see statfs(2)).
    pub magic: i64,
    /// Bytes in all.
    pub size: u64,
    /// Bytes free for root; an ordinary user may have fewer.
    pub free: u64,
    /// Inodes in all; 0 where the file system has no fixed number.
    pub inodes: u64,
    /// Inodes free.
    pub inodes_free: u64,
    /// Mount flags (`ST_RDONLY`, `ST_NOEXEC`, ...), see statvfs(3).
    pub flags: u64,
}

/// A program that was run to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// Exit code, or 128 + the signal's number.
    pub code: i32,
    /// What it printed, at most 64 KiB.
    pub stdout: String,
    /// What it complained, at most 64 KiB.
    pub stderr: String,
}

/// The ids of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Effective user.
    pub euid: u32,
    /// This process.
    pub pid: i32,
}

/// The machine this program was built for, and so this one (`e_machine` of elf(5)).
pub const fn own_machine() -> u16 {
    if cfg!(target_arch = "aarch64") { 183 } else { 62 }
}

/// Looking at the machine. Nothing here changes it.
pub trait SystemReader {
    /// The whole file, at most 4 MiB of it.
    fn read(&self, path: &Path) -> HostResult<Vec<u8>>;
    /// The first bytes of a file.
    fn read_head(&self, path: &Path, most: usize) -> HostResult<Vec<u8>> {
        let mut bytes = self.read(path)?;
        bytes.truncate(most);
        Ok(bytes)
    }
    /// The names in a directory, sorted.
    fn list(&self, path: &Path) -> HostResult<Vec<String>>;
    /// stat(2): follows links.
    fn stat(&self, path: &Path) -> HostResult<Stat>;
    /// lstat(2): does not follow a link.
    fn lstat(&self, path: &Path) -> HostResult<Stat>;
    /// readlink(2).
    fn read_link(&self, path: &Path) -> HostResult<PathBuf>;
    /// statfs(2).
    fn statfs(&self, path: &Path) -> HostResult<FsInfo>;
    /// Who is asking.
    fn identity(&self) -> Identity;
    /// A variable of the environment; `None` where it is not set or not UTF-8.
    fn env(&self, name: &str) -> Option<String>;
    /// Runs a program that only looks, and ends it at the deadline (`ETIMEDOUT`).
    fn run(&self, program: &Path, args: &[&str], within: Duration) -> HostResult<Ran>;
    /// What a program says of itself (`--version`). It is run once for a file: the answer is kept as long as
    /// the file stays the same one, unlike that of [`SystemReader::run`].
    fn ask(&self, program: &Path, args: &[&str]) -> HostResult<Ran> {
        self.run(program, args, ASK_DEADLINE)
    }
    /// Begins to ask, so that the answer is there by the time it is needed. A door may leave it.
    fn ask_ahead(&self, _program: &Path, _args: &[&str]) {}
    /// Whether something accepts connections on a unix socket (`ECONNREFUSED`: nobody does).
    fn connect(&self, socket: &Path) -> HostResult<()>;
    /// Whether somebody holds a flock(2) on a file, in whatever namespace: a database in use.
    fn is_locked(&self, path: &Path) -> HostResult<bool>;
    /// What can only be learned by trying, tried in a child with namespaces of its own.
    fn trial(&self, trial: &Trial) -> HostResult<TrialReport>;
    /// Begins a trial that will be asked for soon; the next [`SystemReader::trial`] of it takes the result, once. Only
    /// where nothing is changed in between. A door may leave it.
    fn trial_ahead(&self, _trial: &Trial) {}

    /// The file as text, with U+FFFD for what is not UTF-8.
    fn read_text(&self, path: &Path) -> HostResult<String> {
        Ok(String::from_utf8_lossy(&self.read(path)?).into_owned())
    }

    /// The first line of a file, trimmed: the usual form of a sysctl.
    fn read_line(&self, path: &Path) -> HostResult<String> {
        Ok(self.read_text(path)?.lines().next().unwrap_or_default().trim().to_owned())
    }

    /// `Some` where the file is there, `None` where it is not; any other error stays one.
    fn read_if_there(&self, path: &Path) -> HostResult<Option<String>> {
        match self.read_text(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a path is there; any error but its absence stays one.
    fn exists(&self, path: &Path) -> HostResult<bool> {
        match self.stat(path) {
            Ok(_) => Ok(true),
            Err(error) if error.is_absent() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The arguments of one mount(2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountCall {
    /// Device, directory to bind, or a word.
    pub source: Option<String>,
    /// Where.
    pub target: PathBuf,
    /// File system type; `None` for bind and remount.
    pub fstype: Option<String>,
    /// `MS_*` bits.
    pub flags: u64,
    /// Options of the file system.
    pub data: Option<String>,
}

/// Changing the machine. Each call is one system call.
pub trait SystemWriter {
    /// mount(2).
    fn mount(&self, call: &MountCall) -> HostResult<()>;
    /// umount2(2) with `MNT_DETACH`: gone from the tree at once, busy or not.
    fn unmount(&self, path: &Path) -> HostResult<()>;
    /// mkdir(2), mode 0755.
    fn create_dir(&self, path: &Path) -> HostResult<()>;
    /// rmdir(2): only an empty directory (a cgroup: one without children and processes).
    fn remove_dir(&self, path: &Path) -> HostResult<()>;
    /// One write(2) of the whole value, as kernel files want it; an existing ordinary file is truncated.
    fn write(&self, path: &Path, bytes: &[u8]) -> HostResult<()>;
    /// unlink(2).
    fn remove_file(&self, path: &Path) -> HostResult<()>;
    /// symlink(2).
    fn symlink(&self, target: &Path, link: &Path) -> HostResult<()>;
    /// mknod(2) of a character device.
    fn make_char_device(&self, path: &Path, mode: u32, major: u32, minor: u32) -> HostResult<()>;
    /// Asks for the index of an interface of that name, for which the kernel looks for a module (`SIOCGIFINDEX`).
    /// Whether there was one only shows afterwards: that there is no such interface is no error.
    fn request_module(&self, name: &str) -> HostResult<()>;
    /// Runs a program that changes something (modprobe), and ends it at the deadline.
    fn execute(&self, program: &Path, args: &[&str], within: Duration) -> HostResult<Ran>;
}

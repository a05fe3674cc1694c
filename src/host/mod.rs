//! The interface to the machine: [`SystemReader`] reads, [`SystemWriter`] changes.
//!
//! Only a repair changes the machine, through its [`RepairLog`](crate::repair_log::RepairLog). Every answer can be recorded,
//! so that the environment phase of a run can be replayed elsewhere. Errors carry operation, path and errno.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::host::trial::{Trial, TrialReport};
use crate::text::any_path;

mod bounded;
pub mod environ;
mod error;
pub mod fake;
pub mod input;
pub mod live;
pub(crate) mod netlink;
mod prefetch;
pub mod recorded;
pub mod recording;
mod spawn;
pub mod trial;
pub mod watched;

pub use error::{HostError, HostResult};

/// The deadline of a program that is run for its version.
pub const ASK_DEADLINE: Duration = Duration::from_secs(10);

/// The type of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link, which only lstat(2) reports.
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

/// The fields of stat(2) that checks need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// The type.
    pub kind: FileKind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The size in bytes.
    pub size: u64,
    /// The device that holds it.
    pub dev: u64,
    /// The inode number on that device.
    pub ino: u64,
    /// The device number of a device node.
    pub rdev: u64,
    /// The time of the last modification, in nanoseconds since 1970.
    pub mtime: i64,
    /// The time at which the inode was made, in nanoseconds since 1970 (`stx_btime` of statx(2)); `None` where the file
    /// system does not keep it. An inode number is used again after a removal, and this time tells the two apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<i64>,
}

/// The fields of statfs(2) that checks need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsInfo {
    /// The magic number of the file system (statfs(2)).
    pub magic: i64,
    /// The size in bytes.
    pub size: u64,
    /// Free bytes for root; an ordinary user may have fewer.
    pub free: u64,
    /// The number of inodes; 0 where it is not fixed.
    pub inodes: u64,
    /// Free inodes.
    pub inodes_free: u64,
    /// Mount flags (`ST_RDONLY`, `ST_NOEXEC`, ...), see statvfs(3).
    pub flags: u64,
}

/// The result of a program that ended before its deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// The exit code, or 128 + the number of the signal that ended it.
    pub code: i32,
    /// What it wrote to its standard output, at most the first 4 MiB (64 KiB with [`SystemReader::ask`]), with U+FFFD for
    /// what is not UTF-8.
    pub stdout: String,
    /// What it wrote to its standard error, in the same way.
    pub stderr: String,
    /// Whether the end of either may be missing: more was written, or a process that it left behind held the pipe.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

impl Ran {
    /// The standard output where all of it was kept; `EFBIG` where its end is missing.
    pub fn whole_stdout(&self, program: &Path) -> HostResult<&str> {
        if self.truncated {
            return Err(HostError::new("read the whole output of", program, Errno::EFBIG));
        }
        Ok(&self.stdout)
    }
}

/// The ids of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The effective user ID.
    pub euid: u32,
    /// The process ID.
    pub pid: i32,
}

/// `e_machine` (elf(5)) of the machine that this program is built for and runs on.
pub const fn own_machine() -> u16 {
    if cfg!(target_arch = "aarch64") { 183 } else { 62 }
}

/// Reads the machine. No method changes it.
pub trait SystemReader {
    /// The whole file; `EFBIG` where it has more than 4 MiB, `EINVAL` where it is a pipe, a socket or a device that a read
    /// would wait for or change.
    fn read(&self, path: &Path) -> HostResult<Vec<u8>>;
    /// The same for what the user names as an input of this program: it may be a pipe (`<(command)`, /dev/stdin), and then
    /// `ETIMEDOUT` where nothing comes.
    fn read_input(&self, path: &Path) -> HostResult<Vec<u8>> {
        self.read(path)
    }
    /// The first `most` bytes of a file, or fewer where it is shorter.
    fn read_head(&self, path: &Path, most: usize) -> HostResult<Vec<u8>> {
        let mut bytes = self.read(path)?;
        bytes.truncate(most);
        Ok(bytes)
    }
    /// The names in a directory, sorted by their bytes; `EFBIG` where there are more than 262144.
    fn list(&self, path: &Path) -> HostResult<Vec<OsString>>;
    /// stat(2): follows links.
    fn stat(&self, path: &Path) -> HostResult<Stat>;
    /// lstat(2): does not follow a link.
    fn lstat(&self, path: &Path) -> HostResult<Stat>;
    /// readlink(2).
    fn read_link(&self, path: &Path) -> HostResult<PathBuf>;
    /// statfs(2).
    fn statfs(&self, path: &Path) -> HostResult<FsInfo>;
    /// The ids of this process.
    fn identity(&self) -> Identity;
    /// A variable of the environment, byte by byte, as a path needs it; `None` where it is not set.
    fn env_os(&self, name: &str) -> Option<OsString>;
    /// The same as text, with U+FFFD for what is not UTF-8.
    fn env(&self, name: &str) -> Option<String> {
        self.env_os(name).map(|value| value.to_string_lossy().into_owned())
    }
    /// Runs a program that changes nothing, and kills it at the deadline (`ETIMEDOUT`).
    fn run(&self, program: &Path, args: &[&str], within: Duration) -> HostResult<Ran>;
    /// Runs a program for something that depends only on its file (`--version`). Unlike with [`SystemReader::run`], the
    /// result is kept until the file changes.
    fn ask(&self, program: &Path, args: &[&str]) -> HostResult<Ran> {
        self.run(program, args, ASK_DEADLINE)
    }
    /// Starts [`SystemReader::ask`] in the background, so that the answer is ready when it is needed. It may do nothing.
    fn ask_ahead(&self, _program: &Path, _args: &[&str]) {}
    /// Connects to a unix socket and closes the connection. `ECONNREFUSED` where nothing listens.
    fn connect(&self, socket: &Path) -> HostResult<()>;
    /// Whether a process of any namespace holds a flock(2) on a file.
    fn is_locked(&self, path: &Path) -> HostResult<bool>;
    /// Performs a trial in a child process with namespaces of its own.
    fn trial(&self, trial: &Trial) -> HostResult<TrialReport>;
    /// Starts a trial in the background; the next [`SystemReader::trial`] of the same kind takes its result, once. Nothing
    /// may be changed in between. It may do nothing.
    fn trial_ahead(&self, _trial: &Trial) {}

    /// The file as text, with U+FFFD for what is not UTF-8.
    fn read_text(&self, path: &Path) -> HostResult<String> {
        Ok(String::from_utf8_lossy(&self.read(path)?).into_owned())
    }

    /// The first line of a file, trimmed: the usual form of a sysctl.
    fn read_line(&self, path: &Path) -> HostResult<String> {
        Ok(self.read_text(path)?.lines().next().unwrap_or_default().trim().to_owned())
    }

    /// The file as text; `None` where it does not exist. Any other error is returned.
    fn read_if_there(&self, path: &Path) -> HostResult<Option<String>> {
        match self.read_text(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a path exists. Any error but its absence is returned.
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
    /// The device, the directory to bind, or any text.
    pub source: Option<String>,
    /// The mount point.
    #[serde(with = "any_path::field")]
    pub target: PathBuf,
    /// File system type; `None` for bind and remount.
    pub fstype: Option<String>,
    /// `MS_*` bits.
    pub flags: u64,
    /// Options of the file system.
    pub data: Option<String>,
}

/// Changes the machine. Each method makes one system call.
pub trait SystemWriter {
    /// mount(2).
    fn mount(&self, call: &MountCall) -> HostResult<()>;
    /// umount2(2) with `MNT_DETACH`, which succeeds on a busy mount.
    fn unmount(&self, path: &Path) -> HostResult<()>;
    /// mkdir(2), mode 0755.
    fn create_dir(&self, path: &Path) -> HostResult<()>;
    /// rmdir(2): only an empty directory (a cgroup: one without children and processes).
    fn remove_dir(&self, path: &Path) -> HostResult<()>;
    /// Writes the whole value by one write(2), as kernel files need it, or to a new or empty file; `EEXIST` where any other
    /// file holds data.
    fn write(&self, path: &Path, bytes: &[u8]) -> HostResult<()>;
    /// unlink(2).
    fn remove_file(&self, path: &Path) -> HostResult<()>;
    /// symlink(2).
    fn symlink(&self, target: &Path, link: &Path) -> HostResult<()>;
    /// mknod(2) of a character device.
    fn make_char_device(&self, path: &Path, mode: u32, major: u32, minor: u32) -> HostResult<()>;
    /// Asks for the index of an interface of that name (`SIOCGIFINDEX`), for which the kernel requests a module. Succeeds
    /// whether or not a module was loaded.
    fn request_module(&self, name: &str) -> HostResult<()>;
    /// Removes the interface of this name (`RTM_DELLINK` of rtnetlink(7)) if it still has this index. `ENODEV` where no
    /// interface has the name or the index, and `ESTALE` where the name belongs to another interface by now.
    fn delete_link(&self, name: &str, index: u32) -> HostResult<()>;
    /// Runs a program that changes something (modprobe), and kills it at the deadline (`ETIMEDOUT`).
    fn execute(&self, program: &Path, args: &[&str], within: Duration) -> HostResult<Ran>;
}

//! The machine that this process runs on. Checks and repairs call the operating system only here.
#![expect(clippy::disallowed_methods, reason = "checks and repairs call the operating system here")]

use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;

use super::prefetch::{Answers, Query, RunningTrials};
use super::spawn::run;
use super::trial::{Trial, TrialReport};
use super::{FileKind, FsInfo, HostError, HostResult, Identity, Ran, Stat, SystemReader};

mod writer;

/// The largest file that is read, in bytes; a larger one is an error.
const MAX_FILE: u64 = 4 << 20;
/// The deadline of a trial.
const TRIAL_DEADLINE: Duration = Duration::from_secs(15);

/// The machine this process runs on.
#[derive(Debug, Clone)]
pub struct Live {
    /// The dindcheck binary, which is started for a trial.
    exe: PathBuf,
    /// The programs that were asked for their version.
    answers: Arc<Answers>,
    /// The trials that run already.
    trials: Arc<RunningTrials>,
}

impl Default for Live {
    fn default() -> Self {
        Self::with_exe("/proc/self/exe")
    }
}

impl Live {
    /// This machine, with the path of the dindcheck binary (tests run in another binary).
    pub fn with_exe(exe: impl Into<PathBuf>) -> Self {
        Self { exe: exe.into(), answers: Arc::default(), trials: Arc::default() }
    }
}

impl Live {
    /// A query of the file that is at this path now.
    fn query(&self, program: &Path, args: &[&str]) -> HostResult<Query> {
        let file = self.stat(program)?;
        Ok(Query {
            program: program.to_owned(),
            args: args.iter().map(ToString::to_string).collect(),
            file: (file.dev, file.ino, file.size, file.mtime),
        })
    }
}

/// Makes the error of an operation on a path.
fn on<'p>(op: &'static str, path: &'p Path) -> impl FnOnce(std::io::Error) -> HostError + 'p {
    move |error| HostError::io(op, path, &error)
}

/// The same for an error of nix.
fn at<'p>(op: &'static str, path: &'p Path) -> impl FnOnce(Errno) -> HostError + 'p {
    move |errno| HostError::new(op, path, errno)
}

impl SystemReader for Live {
    fn read(&self, path: &Path) -> HostResult<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(on("open", path))?;
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(on("read", path))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(HostError::new("read", path, Errno::EFBIG));
        }
        Ok(bytes)
    }

    fn read_head(&self, path: &Path, most: usize) -> HostResult<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(on("open", path))?;
        let most = u64::try_from(most).unwrap_or(MAX_FILE).min(MAX_FILE);
        file.take(most).read_to_end(&mut bytes).map_err(on("read", path))?;
        Ok(bytes)
    }

    fn list(&self, path: &Path) -> HostResult<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path).map_err(on("list", path))? {
            let entry = entry.map_err(on("list", path))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn stat(&self, path: &Path) -> HostResult<Stat> {
        std::fs::metadata(path).map(|meta| stat(&meta)).map_err(on("stat", path))
    }

    fn lstat(&self, path: &Path) -> HostResult<Stat> {
        std::fs::symlink_metadata(path).map(|meta| stat(&meta)).map_err(on("lstat", path))
    }

    fn read_link(&self, path: &Path) -> HostResult<PathBuf> {
        std::fs::read_link(path).map_err(on("read the link", path))
    }

    fn statfs(&self, path: &Path) -> HostResult<FsInfo> {
        let fs = nix::sys::statfs::statfs(path).map_err(at("statfs", path))?;
        let block = u64::try_from(fs.block_size()).unwrap_or(0);
        Ok(FsInfo {
            magic: fs.filesystem_type().0,
            size: fs.blocks().saturating_mul(block),
            free: fs.blocks_free().saturating_mul(block),
            inodes: fs.files(),
            inodes_free: fs.files_free(),
            flags: fs.flags().bits(),
        })
    }

    fn identity(&self) -> Identity {
        Identity { euid: nix::unistd::geteuid().as_raw(), pid: nix::unistd::getpid().as_raw() }
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn run(&self, program: &Path, args: &[&str], within: Duration) -> HostResult<Ran> {
        run(program, args, &[], within)
    }

    fn ask(&self, program: &Path, args: &[&str]) -> HostResult<Ran> {
        self.answers.get(&self.query(program, args)?)
    }

    fn ask_ahead(&self, program: &Path, args: &[&str]) {
        if let Ok(query) = self.query(program, args) {
            self.answers.start(query);
        }
    }

    fn connect(&self, socket: &Path) -> HostResult<()> {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket as open};
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let connected = UnixAddr::new(socket).and_then(|address| {
            let client = open(AddressFamily::Unix, SockType::Stream, flags, None)?;
            connect(client.as_raw_fd(), &address)
        });
        match connected {
            // The backlog of a listening socket is full: a blocking connect(2) would wait.
            Ok(()) | Err(Errno::EAGAIN) => Ok(()),
            Err(errno) => Err(HostError::new("connect to", socket, errno)),
        }
    }

    fn is_locked(&self, path: &Path) -> HostResult<bool> {
        use nix::fcntl::{Flock, FlockArg};
        let file = std::fs::File::open(path).map_err(on("open", path))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(_) => Ok(false),
            Err((_, Errno::EWOULDBLOCK)) => Ok(true),
            Err((_, errno)) => Err(HostError::new("lock", path, errno)),
        }
    }

    fn trial(&self, trial: &Trial) -> HostResult<TrialReport> {
        // A trial that failed in the background may have lacked a process or thread at that moment: it is tried again.
        self.trials.take(trial).map_or_else(|| run_trial(&self.exe, trial), Ok)
    }

    fn trial_ahead(&self, trial: &Trial) {
        let (exe, request) = (self.exe.clone(), trial.clone());
        // Where no thread can be started, the trial runs when it is needed.
        if let Ok(running) = std::thread::Builder::new().spawn(move || run_trial(&exe, &request)) {
            self.trials.put(trial, running);
        }
    }
}

/// Performs a trial in a child process, and removes what outlives the child.
fn run_trial(exe: &Path, trial: &Trial) -> HostResult<TrialReport> {
    let request = serde_json::to_string(trial).unwrap_or_default();
    let ran = run(exe, &["__trial", &request], &[], TRIAL_DEADLINE);
    if let Some(path) = trial.cleanup_path() {
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(HostError::io("remove", path, &error));
            }
            _ => {}
        }
    }
    serde_json::from_str(&ran?.stdout)
        .map_err(|_| HostError::new("parse the trial report of", exe, Errno::EPROTO))
}

/// The metadata of a file.
fn stat(meta: &std::fs::Metadata) -> Stat {
    let kind = meta.file_type();
    let kind = match kind {
        _ if kind.is_dir() => FileKind::Dir,
        _ if kind.is_symlink() => FileKind::Link,
        _ if kind.is_socket() => FileKind::Socket,
        _ if kind.is_char_device() => FileKind::Char,
        _ if kind.is_block_device() => FileKind::Block,
        _ if kind.is_fifo() => FileKind::Fifo,
        _ => FileKind::File,
    };
    Stat {
        kind,
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        size: meta.size(),
        dev: meta.dev(),
        ino: meta.ino(),
        rdev: meta.rdev(),
        mtime: meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec()),
        born: meta.created().ok().and_then(nanoseconds),
    }
}

/// A time as nanoseconds since 1970; `None` before it.
fn nanoseconds(time: std::time::SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_beyond_the_limit_is_an_error_and_its_head_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(MAX_FILE).unwrap();
        let host = Live::default();
        assert_eq!(host.read(file.path()).unwrap().len() as u64, MAX_FILE);
        file.as_file().set_len(MAX_FILE + 1).unwrap();
        assert_eq!(host.read(file.path()).unwrap_err().errno(), Errno::EFBIG);
        assert_eq!(host.read_head(file.path(), 7).unwrap().len(), 7);
    }

    #[test]
    fn file_that_takes_the_place_of_a_removed_one_has_another_birth_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let born = || {
            std::fs::write(&path, "").unwrap();
            let born = Live::default().lstat(&path).unwrap().born;
            std::fs::remove_file(&path).unwrap();
            born.expect("ext4, xfs, btrfs, tmpfs and overlay keep it")
        };
        let first = born();
        std::thread::sleep(Duration::from_millis(20));
        assert!(born() > first);
    }
}

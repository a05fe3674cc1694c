//! The machine that this process runs on. Checks and repairs call the operating system only here.
#![expect(clippy::disallowed_methods, reason = "checks and repairs call the operating system here")]

use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;

use super::prefetch::{Answers, Query, RunningTrials};
use super::spawn::{MAX_OUTPUT, Order, run};
use super::trial::{DIRECTORY, Trial, TrialReport};
use super::{FsInfo, HostError, HostResult, Identity, Ran, Stat, SystemReader, bounded, input};

pub(super) mod files;
mod scratch;
mod writer;

use scratch::Scratch;

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
        bounded::call("read", path, |path| files::read(path, MAX_FILE))
    }

    fn read_input(&self, path: &Path) -> HostResult<Vec<u8>> {
        input::read(path, MAX_FILE)
    }

    fn read_head(&self, path: &Path, most: usize) -> HostResult<Vec<u8>> {
        let most = u64::try_from(most).unwrap_or(MAX_FILE).min(MAX_FILE);
        bounded::call("read", path, move |path| files::head(path, most))
    }

    fn list(&self, path: &Path) -> HostResult<Vec<OsString>> {
        bounded::call("list", path, files::list)
    }

    fn stat(&self, path: &Path) -> HostResult<Stat> {
        bounded::call("stat", path, files::stat)
    }

    fn lstat(&self, path: &Path) -> HostResult<Stat> {
        bounded::call("lstat", path, files::lstat)
    }

    fn read_link(&self, path: &Path) -> HostResult<PathBuf> {
        bounded::call("read the link", path, |path| {
            std::fs::read_link(path).map_err(on("read the link", path))
        })
    }

    fn statfs(&self, path: &Path) -> HostResult<FsInfo> {
        bounded::call("statfs", path, files::statfs)
    }

    fn identity(&self) -> Identity {
        Identity { euid: nix::unistd::geteuid().as_raw(), pid: nix::unistd::getpid().as_raw() }
    }

    fn env_os(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn run(&self, program: &Path, args: &[&str], within: Duration) -> HostResult<Ran> {
        run(Order { program, args, env: &[], within, keep: MAX_OUTPUT })
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
        bounded::call("connect to", socket, connect)
    }

    fn is_locked(&self, path: &Path) -> HostResult<bool> {
        bounded::call("lock", path, files::is_locked)
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

impl Live {
    /// Removes the directories of trials whose process was killed: those with a name that only a trial gives, and with a
    /// lock that nobody holds. Each with the result of its removal.
    ///
    /// # Errors
    ///
    /// Where `base` cannot be listed.
    pub fn remove_dead_trials(&self, base: &Path) -> HostResult<Vec<(PathBuf, HostResult<()>)>> {
        let of_trial = |name: &OsString| {
            let run = name.to_str().and_then(|name| name.strip_prefix(".dindcheck-"));
            run.is_some_and(|run| run.len() == 8 && run.bytes().all(|byte| byte.is_ascii_hexdigit()))
        };
        let paths = self.list(base)?.into_iter().filter(of_trial).map(|name| base.join(name));
        Ok(paths
            .filter_map(|path| match Scratch::take(&path) {
                Ok(scratch) => Some((path, scratch?.remove())),
                Err(error) => Some((path, Err(error))),
            })
            .collect())
    }
}

/// Performs a trial in a child process, in a new directory where it needs one, and removes that.
fn run_trial(exe: &Path, trial: &Trial) -> HostResult<TrialReport> {
    let scratch = match trial.cleanup_path().map(Scratch::make).transpose() {
        Ok(scratch) => scratch,
        // It is somebody else's, and says nothing about the file system.
        Err(error) if error.errno() == Errno::EEXIST => return Err(error),
        Err(error) => {
            let mut report = TrialReport::default();
            report.attempt(DIRECTORY, Err(error));
            return Ok(report);
        }
    };
    let ran = run_child(exe, trial);
    scratch.map_or(Ok(()), Scratch::remove)?;
    ran
}

fn run_child(exe: &Path, trial: &Trial) -> HostResult<TrialReport> {
    let failed = |errno| HostError::new("parse the trial report of", exe, errno);
    let request = serde_json::to_string(trial).map_err(|_| failed(Errno::EILSEQ))?;
    let args = &["__trial", request.as_str()];
    let ran = run(Order { program: exe, args, env: &[], within: TRIAL_DEADLINE, keep: MAX_OUTPUT })?;
    serde_json::from_str(ran.whole_stdout(exe)?).map_err(|_| failed(Errno::EPROTO))
}

/// Connects to a unix socket without waiting, and closes the connection.
fn connect(socket: &Path) -> HostResult<()> {
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

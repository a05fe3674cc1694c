//! The run directory: the lock that says that a run lives, the log of its daemon, and its record.
//!
//! It is `/run/dindcheck/<run>/`, or below `/tmp/dindcheck` where /run is not writable. A run holds flock(2) on it for as
//! long as it lives: unlike a process ID, that holds across process namespaces.
#![expect(clippy::disallowed_methods, reason = "the run's own files")]

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host::{HostError, HostResult};

/// The directories of run directories, in the order of preference.
pub const HOMES: &[&str] = &["/run/dindcheck", "/tmp/dindcheck"];
/// The daemon's log.
const LOG: &str = "dockerd.log";
/// The record for the next run.
pub const STATE: &str = "state.json";
/// What the daemon made on the machine.
const MADE: &str = "made.json";
/// How long another dindcheck may take to look at the runs and to enter its own.
const GATE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a lock is tried.
const TICK: Duration = Duration::from_millis(5);

/// The directory of one run.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    lock: Option<Flock<File>>,
}

/// The right to enter a run: one dindcheck at a time looks at the runs that live and enters its own.
#[derive(Debug)]
pub struct Gate(#[expect(dead_code, reason = "held for its drop")] Flock<File>);

impl Gate {
    /// Waits for it.
    ///
    /// # Errors
    ///
    /// The first home's error, where no home works; `ETIMEDOUT` where another dindcheck holds it for too long.
    pub fn enter() -> HostResult<Self> {
        first_home(|home| {
            let end = Instant::now() + GATE_TIMEOUT;
            loop {
                make_home(home)?;
                match lock(home) {
                    Ok(Some(lock)) => return Ok(Self(lock)),
                    // Another run ended, and removed the home with its directory.
                    Err(error) if !error.is_absent() => return Err(error),
                    _ if Instant::now() < end => std::thread::sleep(TICK),
                    _ => return Err(HostError::new("lock", home, Errno::ETIMEDOUT)),
                }
            }
        })
    }
}

impl RunDir {
    /// Creates it, locked, with a first record in it, in the first home that takes both.
    ///
    /// # Errors
    ///
    /// The first home's error, where no home works.
    pub fn make(run: &str, record: &impl Serialize) -> HostResult<Self> {
        first_home(|home| Self::make_in(home, run, record))
    }

    /// Creates it in one home.
    fn make_in(home: &Path, run: &str, record: &impl Serialize) -> HostResult<Self> {
        let path = home.join(run);
        let end = Instant::now() + GATE_TIMEOUT;
        loop {
            make_home(home)?;
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound && Instant::now() < end => continue,
                made => made.map_err(|error| HostError::io("make the directory", &path, &error))?,
            }
            // Another dindcheck may take a directory that is not locked yet for one of a killed run, and remove it.
            match lock(&path) {
                Ok(Some(lock)) => {
                    let dir = Self { path, lock: Some(lock) };
                    // A full file system still creates directories.
                    dir.save(record).inspect_err(|_| drop(dir.remove()))?;
                    return Ok(dir);
                }
                Err(error) if !error.is_absent() => return Err(error),
                _ if Instant::now() > end => return Err(HostError::new("lock", &path, Errno::ETIMEDOUT)),
                _ => wait_until_gone(&path, end),
            }
        }
    }

    /// The run directory at a path, locked; `None` where its run lives, or where it is gone.
    ///
    /// # Errors
    ///
    /// Where it cannot be opened or locked.
    pub fn take(path: &Path) -> HostResult<Option<Self>> {
        match lock(path) {
            Ok(lock) => Ok(lock.map(|lock| Self { path: path.to_owned(), lock: Some(lock) })),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An existing run directory, without its lock.
    pub fn at(path: PathBuf) -> Self {
        Self { path, lock: None }
    }

    /// The paths of every run directory of this user.
    ///
    /// # Errors
    ///
    /// Where a home exists and cannot be listed.
    pub fn all() -> HostResult<Vec<PathBuf>> {
        let mut found = Vec::new();
        for home in HOMES.iter().map(Path::new).filter(|home| is_ours(home)) {
            match std::fs::read_dir(home) {
                Ok(entries) => found.extend(entries.filter_map(|entry| Some(entry.ok()?.path()))),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(HostError::io("list", home, &error)),
            }
        }
        Ok(found)
    }

    /// The run's id.
    pub fn run(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its lock, for a process that is to hold it as well: it is free once both have ended.
    pub fn shared_lock(&self) -> Option<OwnedFd> {
        self.lock.as_ref().and_then(|lock| lock.try_clone().ok()).map(OwnedFd::from)
    }

    /// The path of the daemon's log.
    pub fn log_path(&self) -> PathBuf {
        self.path.join(LOG)
    }

    /// Creates the log, to append to.
    pub fn create_log(&self) -> HostResult<File> {
        let path = self.log_path();
        let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
        opened.map_err(|error| HostError::io("make the log", path, &error))
    }

    /// Writes the record.
    pub fn save(&self, record: &impl Serialize) -> HostResult<()> {
        self.write(STATE, record)
    }

    /// The record; `None` where it is missing or of another format.
    pub fn load<T: DeserializeOwned>(&self) -> Option<T> {
        self.read(STATE)
    }

    /// Writes the account of what the daemon made.
    pub fn save_made(&self, ledger: &impl Serialize) -> HostResult<()> {
        self.write(MADE, ledger)
    }

    /// The account of what the daemon made; `None` where it is missing or of another format.
    pub fn load_made<T: DeserializeOwned>(&self) -> Option<T> {
        self.read(MADE)
    }

    /// Writes a second file and renames it, so that the file is always complete.
    fn write(&self, name: &str, content: &impl Serialize) -> HostResult<()> {
        let (path, aside) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let bytes = serde_json::to_vec(content).map_err(|_| HostError::new("write", &path, Errno::EPROTO))?;
        std::fs::write(&aside, bytes)
            .and_then(|()| std::fs::rename(&aside, &path))
            .map_err(|error| HostError::io("write", path, &error))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&std::fs::read(self.path.join(name)).ok()?).ok()
    }

    /// Whether there is a record at all.
    pub fn has_record(&self) -> bool {
        std::fs::symlink_metadata(self.path.join(STATE)).is_ok()
    }

    /// Removes it, and its home where that is empty then.
    pub fn remove(&self) -> HostResult<()> {
        match std::fs::remove_dir_all(&self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(HostError::io("remove the directory", &self.path, &error)),
        }
        // Not while another dindcheck enters its run.
        if let Some((home, Ok(Some(_gate)))) = self.path.parent().map(|home| (home, lock(home))) {
            let _ = std::fs::remove_dir(home);
        }
        Ok(())
    }
}

/// The result of the first home that works, or the first home's error.
fn first_home<T>(work: impl Fn(&Path) -> HostResult<T>) -> HostResult<T> {
    let mut first = None;
    for home in HOMES {
        match work(Path::new(home)) {
            Ok(done) => return Ok(done),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or_else(|| HostError::new("make a directory in", "/run", Errno::ENOENT)))
}

/// Makes a home where it is missing. `EPERM` where somebody else may write to it.
fn make_home(home: &Path) -> HostResult<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(home)
        .map_err(|error| HostError::io("make the directory", home, &error))?;
    if is_ours(home) {
        return Ok(());
    }
    Err(HostError::new("use the directory of another user", home, Errno::EPERM))
}

/// Locks a directory; `None` where another process holds its lock, or where it was replaced meanwhile.
fn lock(path: &Path) -> HostResult<Option<Flock<File>>> {
    let opened = File::open(path).map_err(|error| HostError::io("open", path, &error))?;
    let inode = |meta: &std::fs::Metadata| (meta.dev(), meta.ino());
    match Flock::lock(opened, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => {
            let there =
                std::fs::symlink_metadata(path).map_err(|error| HostError::io("read", path, &error))?;
            let is_same = lock.metadata().is_ok_and(|locked| inode(&locked) == inode(&there));
            Ok(is_same.then_some(lock))
        }
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(HostError::new("lock", path, errno)),
    }
}

/// Waits until a path is gone, or until `end`.
fn wait_until_gone(path: &Path, end: Instant) {
    while std::fs::symlink_metadata(path).is_ok() && Instant::now() < end {
        std::thread::sleep(TICK);
    }
}

/// Whether it is a directory (not a link) that belongs to us and that nobody else may write to.
fn is_ours(home: &Path) -> bool {
    std::fs::symlink_metadata(home).is_ok_and(|meta| {
        meta.is_dir() && meta.uid() == nix::unistd::geteuid().as_raw() && meta.mode() & 0o022 == 0
    })
}

#[cfg(test)]
mod tests;

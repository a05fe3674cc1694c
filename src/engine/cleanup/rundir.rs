//! The run directory: the log of the daemon, and the state that the next run reads if this one is killed.
//!
//! It is `/run/dindcheck/<run>/`, or below `/tmp/dindcheck` where /run is not writable. The state file holds who we are,
//! what we started, and how the machine was before.
#![expect(clippy::disallowed_methods, reason = "the run's own files")]

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host::{HostError, HostResult};

/// The directories of run directories, in the order of preference.
pub const HOMES: &[&str] = &["/run/dindcheck", "/tmp/dindcheck"];
/// The daemon's log.
const LOG: &str = "dockerd.log";
/// The state for the next run.
const STATE: &str = "state.json";

/// The directory of one run.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Creates it, with a first state in it, in the first home that takes both.
    ///
    /// # Errors
    ///
    /// The first home's error, where no home works.
    pub fn make(run: &str, state: &impl Serialize) -> HostResult<Self> {
        let mut first = None;
        for home in HOMES {
            match Self::make_in(Path::new(home), run, state) {
                Ok(dir) => return Ok(dir),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| HostError::new("make a directory in", "/run", Errno::ENOENT)))
    }

    /// Creates it in one home.
    fn make_in(home: &Path, run: &str, state: &impl Serialize) -> HostResult<Self> {
        let path = home.join(run);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(home)
            .map_err(|error| HostError::io("make the directory", home, &error))?;
        if !is_ours(home) {
            return Err(HostError::new("use the directory of another user", home, Errno::EPERM));
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| HostError::io("make the directory", &path, &error))?;
        let dir = Self { path };
        // A full file system still creates directories.
        dir.save(state).inspect_err(|_| drop(dir.remove()))?;
        Ok(dir)
    }

    /// An existing run directory.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Every run directory of this user.
    pub fn all() -> Vec<Self> {
        let homes = HOMES.iter().map(Path::new).filter(|home| is_ours(home));
        let entries = homes.filter_map(|home| std::fs::read_dir(home).ok()).flatten();
        entries.filter_map(|entry| Some(Self::at(entry.ok()?.path()))).collect()
    }

    /// The run's id.
    pub fn run(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
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

    /// Opens the log, to read.
    pub fn open_log(&self) -> HostResult<File> {
        let path = self.log_path();
        File::open(&path).map_err(|error| HostError::io("open the log", path, &error))
    }

    /// Writes the state to a second file and renames it, so that the state is always complete.
    pub fn save(&self, state: &impl Serialize) -> HostResult<()> {
        let (path, aside) = (self.path.join(STATE), self.path.join("state.new"));
        let bytes = serde_json::to_vec(state).unwrap_or_default();
        std::fs::write(&aside, bytes)
            .and_then(|()| std::fs::rename(&aside, &path))
            .map_err(|error| HostError::io("write the state", path, &error))
    }

    /// The state; `None` where it is missing or of another format.
    pub fn load<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&std::fs::read(self.path.join(STATE)).ok()?).ok()
    }

    /// Removes it, and its home where that is empty then.
    pub fn remove(&self) -> HostResult<()> {
        match std::fs::remove_dir_all(&self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(HostError::io("remove the directory", &self.path, &error)),
        }
        if let Some(home) = self.path.parent() {
            let _ = std::fs::remove_dir(home);
        }
        Ok(())
    }
}

/// Whether it is a directory (not a link) that belongs to us and that nobody else may write to.
fn is_ours(home: &Path) -> bool {
    std::fs::symlink_metadata(home).is_ok_and(|meta| {
        meta.is_dir() && meta.uid() == nix::unistd::geteuid().as_raw() && meta.mode() & 0o022 == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_directory_keeps_its_state_and_is_removed_with_its_home() {
        let temp = tempfile::tempdir().unwrap();
        let home = temp.path().join("home");
        let dir = RunDir::make_in(&home, "cafe", &()).unwrap();
        dir.save(&vec![1, 2]).unwrap();
        assert_eq!(dir.load::<Vec<i32>>(), Some(vec![1, 2]));
        assert_eq!(dir.load::<String>(), None);
        assert_eq!(dir.run(), "cafe");
        dir.remove().unwrap();
        assert!(!home.exists());
        dir.remove().unwrap();
    }

    #[test]
    fn a_home_that_others_may_write_to_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let home = temp.path().join("home");
        DirBuilder::new().mode(0o700).create(&home).unwrap();
        std::fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        assert_eq!(RunDir::make_in(&home, "cafe", &()).unwrap_err().errno(), Errno::EPERM);
    }

    #[test]
    fn a_second_run_of_the_same_id_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        RunDir::make_in(temp.path(), "cafe", &()).unwrap();
        assert_eq!(RunDir::make_in(temp.path(), "cafe", &()).unwrap_err().errno(), Errno::EEXIST);
    }
}

//! Doors that keep every operation which failed, so that a report can name those that a check did not.

use std::cell::RefCell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;

use super::trial::{Trial, TrialReport};
use super::{FsInfo, HostError, HostResult, Identity, MountCall, Ran, Stat, SystemReader, SystemWriter};

/// Doors whose failed operations are kept.
pub struct Watched<'d> {
    reader: &'d dyn SystemReader,
    writer: &'d dyn SystemWriter,
    failed: RefCell<Vec<HostError>>,
}

impl<'d> Watched<'d> {
    /// Watches these doors.
    pub fn new(reader: &'d dyn SystemReader, writer: &'d dyn SystemWriter) -> Self {
        Self { reader, writer, failed: RefCell::default() }
    }

    /// The operations that failed since the last call, each once.
    pub fn take_failed(&self) -> Vec<HostError> {
        self.failed.take()
    }

    fn keep<T>(&self, result: HostResult<T>) -> HostResult<T> {
        if let Err(error) = &result {
            let mut failed = self.failed.borrow_mut();
            if is_failure(error.errno()) && !failed.contains(error) {
                failed.push(error.clone());
            }
        }
        result
    }
}

/// Whether an errno says that an operation could not be carried out. Others answer it: nothing is there, nothing listens,
/// it is no link.
fn is_failure(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EIO
            | Errno::EACCES
            | Errno::EPERM
            | Errno::ETIMEDOUT
            | Errno::EFBIG
            | Errno::ESTALE
            | Errno::ENOMEM
            | Errno::EMFILE
            | Errno::ENFILE
            | Errno::EAGAIN
            | Errno::ENOTCONN
            | Errno::EUCLEAN
    )
}

impl SystemReader for Watched<'_> {
    fn read(&self, path: &Path) -> HostResult<Vec<u8>> {
        self.keep(self.reader.read(path))
    }
    fn read_input(&self, path: &Path) -> HostResult<Vec<u8>> {
        self.keep(self.reader.read_input(path))
    }
    fn read_head(&self, path: &Path, most: usize) -> HostResult<Vec<u8>> {
        self.keep(self.reader.read_head(path, most))
    }
    fn list(&self, path: &Path) -> HostResult<Vec<OsString>> {
        self.keep(self.reader.list(path))
    }
    fn stat(&self, path: &Path) -> HostResult<Stat> {
        self.keep(self.reader.stat(path))
    }
    fn lstat(&self, path: &Path) -> HostResult<Stat> {
        self.keep(self.reader.lstat(path))
    }
    fn read_link(&self, path: &Path) -> HostResult<PathBuf> {
        self.keep(self.reader.read_link(path))
    }
    fn statfs(&self, path: &Path) -> HostResult<FsInfo> {
        self.keep(self.reader.statfs(path))
    }
    fn identity(&self) -> Identity {
        self.reader.identity()
    }
    fn env_os(&self, name: &str) -> Option<OsString> {
        self.reader.env_os(name)
    }
    fn run(&self, program: &Path, args: &[&str], within: Duration) -> HostResult<Ran> {
        self.keep(self.reader.run(program, args, within))
    }
    fn ask(&self, program: &Path, args: &[&str]) -> HostResult<Ran> {
        self.keep(self.reader.ask(program, args))
    }
    fn ask_ahead(&self, program: &Path, args: &[&str]) {
        self.reader.ask_ahead(program, args);
    }
    fn connect(&self, socket: &Path) -> HostResult<()> {
        self.keep(self.reader.connect(socket))
    }
    fn is_locked(&self, path: &Path) -> HostResult<bool> {
        self.keep(self.reader.is_locked(path))
    }
    fn trial(&self, trial: &Trial) -> HostResult<TrialReport> {
        self.keep(self.reader.trial(trial))
    }
    fn trial_ahead(&self, trial: &Trial) {
        self.reader.trial_ahead(trial);
    }
}

impl SystemWriter for Watched<'_> {
    fn mount(&self, call: &MountCall) -> HostResult<()> {
        self.keep(self.writer.mount(call))
    }
    fn unmount(&self, path: &Path) -> HostResult<()> {
        self.keep(self.writer.unmount(path))
    }
    fn create_dir(&self, path: &Path) -> HostResult<()> {
        self.keep(self.writer.create_dir(path))
    }
    fn remove_dir(&self, path: &Path) -> HostResult<()> {
        self.keep(self.writer.remove_dir(path))
    }
    fn write(&self, path: &Path, bytes: &[u8]) -> HostResult<()> {
        self.keep(self.writer.write(path, bytes))
    }
    fn remove_file(&self, path: &Path) -> HostResult<()> {
        self.keep(self.writer.remove_file(path))
    }
    fn symlink(&self, target: &Path, link: &Path) -> HostResult<()> {
        self.keep(self.writer.symlink(target, link))
    }
    fn make_char_device(&self, path: &Path, mode: u32, major: u32, minor: u32) -> HostResult<()> {
        self.keep(self.writer.make_char_device(path, mode, major, minor))
    }
    fn request_module(&self, name: &str) -> HostResult<()> {
        self.keep(self.writer.request_module(name))
    }
    fn delete_link(&self, name: &str, index: u32) -> HostResult<()> {
        self.keep(self.writer.delete_link(name, index))
    }
    fn execute(&self, program: &Path, args: &[&str], within: Duration) -> HostResult<Ran> {
        self.keep(self.writer.execute(program, args, within))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn an_operation_that_could_not_be_carried_out_is_kept_and_an_absence_is_not() {
        let fake = Fake::new().file("/a", "").fails("stat", "/a", Errno::EIO, None);
        let watched = Watched::new(&fake, &fake);
        for path in ["/a", "/a", "/none"] {
            assert!(watched.stat(Path::new(path)).is_err());
        }
        assert_eq!(watched.take_failed(), [HostError::new("stat", "/a", Errno::EIO)]);
        assert_eq!(watched.take_failed(), []);
    }
}

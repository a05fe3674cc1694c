//! A directory that is made for a trial, and removed only as that directory.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, ResolveFlags};

use crate::host::{HostError, HostResult};

/// The deepest level of directories that is removed; a trial makes four.
const MOST_LEVELS: usize = 16;

/// How often a directory is made that another dindcheck removes at that moment.
const TRIES: usize = 20;
/// The time between two tries.
const TICK: Duration = Duration::from_millis(5);

/// A directory that did not exist before.
pub(super) struct Scratch {
    path: PathBuf,
    dir: OwnedFd,
    /// Device and inode.
    id: (u64, u64),
}

impl Scratch {
    /// Makes the directory, readable by its owner alone, and locks it: a directory whose lock is free is one of a process
    /// that was killed. `EEXIST` where anything is there.
    pub(super) fn make(path: &Path) -> HostResult<Self> {
        let failed = |error: rustix::io::Errno| HostError::new("make the directory", path, errno(error));
        for _ in 0..TRIES {
            rustix::fs::mkdir(path, Mode::RWXU).map_err(failed)?;
            // Another dindcheck that found it before it was locked removes it.
            match Self::take(path)? {
                Some(scratch) => return Ok(scratch),
                None => std::thread::sleep(TICK),
            }
        }
        Err(HostError::new("lock the directory", path, Errno::EBUSY))
    }

    /// The directory at a path, locked; `None` where somebody else holds its lock, or where it is gone.
    pub(super) fn take(path: &Path) -> HostResult<Option<Self>> {
        use rustix::io::Errno as E;
        let failed = |error: E| HostError::new("open the directory", path, errno(error));
        let dir = match rustix::fs::open(path, directory(), Mode::empty()) {
            Err(E::NOENT) => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        match rustix::fs::flock(&dir, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Err(E::WOULDBLOCK) => return Ok(None),
            locked => locked.map_err(failed)?,
        }
        let id = id_of(&dir).map_err(failed)?;
        let there = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW);
        let is_there = there.is_ok_and(|stat| (stat.st_dev, stat.st_ino) == id);
        Ok(is_there.then(|| Self { path: path.to_owned(), dir, id }))
    }

    /// Removes it with what is in it: neither through a link, nor into a mount, nor another directory that has its name
    /// by now (`ESTALE`).
    pub(super) fn remove(self) -> HostResult<()> {
        let failed = |errno| HostError::new("remove", &self.path, errno);
        self.empty().map_err(|error| failed(errno(error)))?;
        let now = rustix::fs::statat(CWD, &self.path, AtFlags::SYMLINK_NOFOLLOW);
        match now.map(|stat| (stat.st_dev, stat.st_ino)) {
            Err(rustix::io::Errno::NOENT) => Ok(()),
            Ok(id) if id != self.id => Err(failed(Errno::ESTALE)),
            Ok(_) => rustix::fs::rmdir(&self.path).map_err(|error| failed(errno(error))),
            Err(error) => Err(failed(errno(error))),
        }
    }

    fn empty(&self) -> rustix::io::Result<()> {
        empty(&self.dir, self.id.0, MOST_LEVELS)
    }
}

/// Removes what is in a directory of this device.
fn empty(dir: &OwnedFd, device: u64, levels: usize) -> rustix::io::Result<()> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            remove(dir, name, device, levels)?;
        }
    }
    Ok(())
}

fn remove(dir: &OwnedFd, name: &CStr, device: u64, levels: usize) -> rustix::io::Result<()> {
    // The kernel makes a directory without any permission in the work directory of overlay, which only rmdir(2) removes.
    match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Err(rustix::io::Errno::NOTDIR) => return rustix::fs::unlinkat(dir, name, AtFlags::empty()),
        Err(rustix::io::Errno::NOTEMPTY | rustix::io::Errno::EXIST) if levels > 0 => {}
        done => return done,
    }
    let below = open_below(dir, name)?;
    if id_of(&below)?.0 != device {
        return Err(rustix::io::Errno::XDEV);
    }
    empty(&below, device, levels - 1)?;
    rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
}

/// Opens a directory in another one, unless it is a mount point. Kernels before 5.6, and filters that do not know
/// openat2(2), leave the comparison of devices.
fn open_below(dir: &OwnedFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    use rustix::io::Errno as E;
    let strict = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    match rustix::fs::openat2(dir, name, directory(), Mode::empty(), strict) {
        Err(E::NOSYS | E::PERM) => rustix::fs::openat(dir, name, directory(), Mode::empty()),
        opened => opened,
    }
}

fn directory() -> OFlags {
    OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY
}

fn id_of(dir: impl AsFd) -> rustix::io::Result<(u64, u64)> {
    rustix::fs::fstat(dir).map(|stat| (stat.st_dev, stat.st_ino))
}

fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "in a directory of the test")]
mod tests {
    use std::fs;

    use super::*;

    fn errno_of<T>(result: HostResult<T>) -> Errno {
        result.err().unwrap().errno()
    }

    #[test]
    fn directory_that_exists_is_neither_used_nor_removed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("theirs"), "").unwrap();
        assert_eq!(errno_of(Scratch::make(dir.path())), Errno::EEXIST);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/nonexistent", &link).unwrap();
        assert_eq!(errno_of(Scratch::make(&link)), Errno::EEXIST);
        assert!(dir.path().join("theirs").exists());
    }

    #[test]
    fn contents_are_removed_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, outside) = (dir.path().join("new"), dir.path().join("outside"));
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("theirs"), "").unwrap();
        let scratch = Scratch::make(&path).unwrap();
        fs::create_dir_all(path.join("a/b/c")).unwrap();
        fs::write(path.join("a/b/file"), "").unwrap();
        std::os::unix::fs::symlink(&outside, path.join("a/link")).unwrap();
        std::os::unix::fs::symlink(&outside, path.join("link")).unwrap();
        scratch.remove().unwrap();
        assert!(!path.exists() && outside.join("theirs").exists());
    }

    #[test]
    fn a_directory_is_taken_only_from_a_process_that_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        let scratch = Scratch::make(&path).unwrap();
        assert!(Scratch::take(&path).unwrap().is_none());
        drop(scratch);
        Scratch::take(&path).unwrap().unwrap().remove().unwrap();
        assert!(!path.exists() && Scratch::take(&path).unwrap().is_none());
    }

    #[test]
    fn another_directory_of_the_same_name_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        let scratch = Scratch::make(&path).unwrap();
        fs::write(path.join("ours"), "").unwrap();
        fs::rename(&path, dir.path().join("moved")).unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(path.join("theirs"), "").unwrap();
        assert_eq!(errno_of(scratch.remove()), Errno::ESTALE);
        assert!(path.join("theirs").exists() && !dir.path().join("moved/ours").exists());
    }

    #[test]
    #[ignore = "needs root"]
    fn mount_inside_is_not_entered() {
        use nix::mount::MsFlags;

        use crate::host::live::Live;
        use crate::host::{MountCall, SystemWriter};
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
                let theirs = dir.path().join("theirs");
                fs::create_dir(&theirs).unwrap();
                fs::write(theirs.join("file"), "").unwrap();
                let scratch = Scratch::make(&dir.path().join("new")).unwrap();
                let at = dir.path().join("new/mount");
                fs::create_dir(&at).unwrap();
                let bind = |source: &str, target: &Path, flags: MsFlags| MountCall {
                    source: Some(source.to_owned()),
                    target: target.to_owned(),
                    fstype: None,
                    flags: flags.bits(),
                    data: None,
                };
                let host = Live::default();
                host.mount(&bind("none", Path::new("/"), MsFlags::MS_REC | MsFlags::MS_PRIVATE)).unwrap();
                host.mount(&bind(&theirs.display().to_string(), &at, MsFlags::MS_BIND)).unwrap();
                assert!(matches!(errno_of(scratch.remove()), Errno::EXDEV | Errno::EBUSY));
                assert!(theirs.join("file").exists());
                host.unmount(&at).unwrap();
            });
        });
    }
}

//! Reads files, directories and their metadata, of any type and size without waiting for a writer.

use std::ffi::OsString;
use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::{at, on};
use crate::host::{FileKind, FsInfo, HostError, HostResult, Stat, bounded};

/// The largest number of names in a directory that is listed.
const MOST_NAMES: usize = 1 << 18;
/// The major number of the devices of memory (null, zero, full, urandom), which may be opened without an effect.
const MEMORY: u64 = 1;

/// The whole file; `EFBIG` where it has more than `most` bytes.
pub(in crate::host) fn read(path: &Path, most: u64) -> HostResult<Vec<u8>> {
    let bytes = head(path, most.saturating_add(1))?;
    if bytes.len() as u64 > most {
        return Err(HostError::new("read", path, Errno::EFBIG));
    }
    Ok(bytes)
}

/// The first bytes of a file, at most so many.
pub(super) fn head(path: &Path, most: u64) -> HostResult<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most).read_to_end(&mut bytes).map_err(on("read", path))?;
    Ok(bytes)
}

/// Opens a file to read it, where that neither waits nor has an effect: a named pipe would wait for its writer and take
/// what another program is to read, and some devices act when they are opened.
fn open(path: &Path) -> HostResult<File> {
    if bounded::is_kernel_file(path) {
        return open_at_once(path).map_err(on("open", path));
    }
    let meta = std::fs::metadata(path).map_err(on("open", path))?;
    let refused = |op, errno| Err(HostError::new(op, path, errno));
    match kind(meta.file_type()) {
        FileKind::Dir => refused("read", Errno::EISDIR),
        FileKind::Fifo => refused("read as a file the named pipe", Errno::EINVAL),
        FileKind::Socket => refused("read as a file the socket", Errno::EINVAL),
        FileKind::Block => refused("read as a file the block device", Errno::EINVAL),
        FileKind::Char if nix::sys::stat::major(meta.rdev()) != MEMORY => {
            refused("read as a file the device", Errno::EINVAL)
        }
        FileKind::Char | FileKind::File | FileKind::Link => open_at_once(path).map_err(on("open", path)),
    }
}

/// Opens whatever is there without waiting.
pub(in crate::host) fn open_at_once(path: &Path) -> std::io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

/// The names in a directory, sorted; `EFBIG` where it has too many.
pub(super) fn list(path: &Path) -> HostResult<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(on("list", path))? {
        let entry = entry.map_err(on("list", path))?;
        if names.len() == MOST_NAMES {
            return Err(HostError::new("list", path, Errno::EFBIG));
        }
        names.push(entry.file_name());
    }
    names.sort();
    Ok(names)
}

pub(in crate::host) fn stat(path: &Path) -> HostResult<Stat> {
    std::fs::metadata(path).map(|meta| fields(&meta)).map_err(on("stat", path))
}

pub(super) fn lstat(path: &Path) -> HostResult<Stat> {
    std::fs::symlink_metadata(path).map(|meta| fields(&meta)).map_err(on("lstat", path))
}

pub(super) fn statfs(path: &Path) -> HostResult<FsInfo> {
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

/// Whether a lock is held on the file or directory.
pub(super) fn is_locked(path: &Path) -> HostResult<bool> {
    use nix::fcntl::{Flock, FlockArg};
    let is_dir = std::fs::metadata(path).is_ok_and(|meta| meta.is_dir());
    let file = if is_dir { open_at_once(path).map_err(on("open", path))? } else { open(path)? };
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(_) => Ok(false),
        Err((_, Errno::EWOULDBLOCK)) => Ok(true),
        Err((_, errno)) => Err(HostError::new("lock", path, errno)),
    }
}

/// The metadata of a file.
fn fields(meta: &Metadata) -> Stat {
    Stat {
        kind: kind(meta.file_type()),
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

/// The type of a file.
fn kind(kind: FileType) -> FileKind {
    match kind {
        _ if kind.is_dir() => FileKind::Dir,
        _ if kind.is_symlink() => FileKind::Link,
        _ if kind.is_socket() => FileKind::Socket,
        _ if kind.is_char_device() => FileKind::Char,
        _ if kind.is_block_device() => FileKind::Block,
        _ if kind.is_fifo() => FileKind::Fifo,
        _ => FileKind::File,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use nix::sys::stat::Mode;

    use super::*;

    fn errno(path: &Path) -> Errno {
        read(path, 4).unwrap_err().errno()
    }

    #[test]
    fn what_is_no_file_is_refused_without_being_opened() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, socket) = (dir.path().join("pipe"), dir.path().join("socket"));
        nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        assert_eq!((errno(&pipe), errno(&socket)), (Errno::EINVAL, Errno::EINVAL));
        assert_eq!((errno(Path::new("/dev/ptmx")), errno(dir.path())), (Errno::EINVAL, Errno::EISDIR));
        assert_eq!(is_locked(&pipe).unwrap_err().errno(), Errno::EINVAL);
        let error = read(&pipe, 4).unwrap_err().to_string();
        assert!(error.starts_with(&format!("read as a file the named pipe {}: ", pipe.display())), "{error}");
    }

    #[test]
    fn names_that_are_not_utf8_lead_to_their_files() {
        use std::os::unix::ffi::OsStringExt;
        let dir = tempfile::tempdir().unwrap();
        let name = OsString::from_vec(b"odd\xff".to_vec());
        File::create(dir.path().join(&name)).unwrap();
        assert_eq!(list(dir.path()).unwrap(), std::slice::from_ref(&name));
        assert!(read(&dir.path().join(name), 4).unwrap().is_empty());
    }

    #[test]
    fn lock_of_a_directory_is_seen() {
        use nix::fcntl::{Flock, FlockArg};
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_locked(dir.path()).unwrap());
        let held = Flock::lock(File::open(dir.path()).unwrap(), FlockArg::LockShared).unwrap();
        assert!(is_locked(dir.path()).unwrap());
        drop(held);
        assert!(!is_locked(dir.path()).unwrap());
    }

    #[test]
    fn devices_of_memory_are_read_to_the_limit() {
        assert_eq!(read(Path::new("/dev/null"), 4).unwrap(), b"");
        assert_eq!(errno(Path::new("/dev/zero")), Errno::EFBIG);
        assert_eq!(head(Path::new("/dev/zero"), 4).unwrap(), [0; 4]);
    }

    #[test]
    fn file_that_does_not_exist_is_absent() {
        assert!(read(Path::new("/nonexistent/x"), 4).unwrap_err().is_absent());
    }
}

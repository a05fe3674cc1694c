//! Single operations on a file system, each with a check of its effect.
#![expect(clippy::disallowed_methods, reason = "the probe runs inside the container and changes only that")]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use nix::errno::Errno;

use super::{APPENDED, CONTENT};
use crate::fixture::LOWER_TEXT;
use crate::host::{HostError, HostResult};

/// An attribute that needs no privilege (xattr(7)).
const ATTRIBUTE: &str = "user.dindcheck";
/// The number of syncs of which the median is taken.
const SYNCS: usize = 3;

/// Appends to a file of a lower layer.
pub(super) fn copy_up(path: &Path) -> HostResult<()> {
    let mut file = OpenOptions::new().append(true).open(path).map_err(failed("open to append", path))?;
    file.write_all(APPENDED).map_err(failed("append to", path))?;
    reads(path, &[LOWER_TEXT, APPENDED].concat())
}

/// Removes a file of a lower layer.
pub(super) fn whiteout(path: &Path) -> HostResult<()> {
    fs::remove_file(path).map_err(failed("remove", path))?;
    is_gone(path)?;
    let names = names(path.parent().unwrap_or(path))?;
    holds(names.iter().all(|name| Some(name.as_os_str()) != path.file_name()), "see gone", path)
}

/// Removes a directory of a lower layer and creates it again: it must be empty.
pub(super) fn opaque(path: &Path) -> HostResult<()> {
    fs::remove_dir_all(path).map_err(failed("remove with all in it", path))?;
    fs::create_dir(path).map_err(failed("create again", path))?;
    holds(names(path)?.is_empty(), "find empty", path)
}

/// Renames a file of a lower layer.
pub(super) fn rename(from: &Path, to: &Path) -> HostResult<()> {
    let content = fs::read(from).map_err(failed("read", from))?;
    fs::rename(from, to).map_err(failed("rename", from))?;
    is_gone(from)?;
    reads(to, &content)
}

/// Renames a directory of the image. Returns how: `EXDEV` is permitted (Documentation/filesystems/overlayfs.rst,
/// `redirect_dir`), after which the directory is copied, as mv does.
pub(super) fn rename_dir(from: &Path, to: &Path) -> HostResult<&'static str> {
    let before = names(from)?;
    let mut outcome = "renamed";
    match fs::rename(from, to) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(Errno::EXDEV as i32) => {
            fs::create_dir(to).map_err(failed("make", to))?;
            for name in names(from)? {
                fs::copy(from.join(&name), to.join(&name)).map_err(failed("copy from", from))?;
            }
            fs::remove_dir_all(from).map_err(failed("remove with all in it", from))?;
            outcome = "EXDEV, copied";
        }
        Err(error) => return Err(failed("rename the directory", from)(error)),
    }
    is_gone(from)?;
    holds(names(to)? == before, "find whole", to)?;
    Ok(outcome)
}

/// Creates a hard link: both names must be one file.
pub(super) fn hard_link(path: &Path, link: &Path) -> HostResult<()> {
    fs::hard_link(path, link).map_err(failed("link", path))?;
    let inode =
        |path: &Path| fs::metadata(path).map(|meta| (meta.ino(), meta.nlink())).map_err(failed("stat", path));
    let (one, other) = (inode(path)?, inode(link)?);
    holds(one == other && one.1 == 2, "see as one file with", link)
}

/// Sets a user attribute of a file and reads it. Returns how: a file system may lack user attributes (tmpfs before Linux
/// 6.6).
pub(super) fn attribute(path: &Path) -> HostResult<&'static str> {
    let errno = |op: &'static str| {
        move |error: rustix::io::Errno| HostError::new(op, path, Errno::from_raw(error.raw_os_error()))
    };
    match rustix::fs::setxattr(path, ATTRIBUTE, CONTENT, rustix::fs::XattrFlags::empty()) {
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok("has no user attributes"),
        other => other.map_err(errno("set an attribute of"))?,
    }
    let mut value = [0; 64];
    let length = rustix::fs::getxattr(path, ATTRIBUTE, &mut value).map_err(errno("read the attribute of"))?;
    holds(&value[..length] == CONTENT, "find the attribute of", path)?;
    Ok("kept")
}

/// Writes a file, syncs it and reads it.
pub(super) fn write_and_read(path: &Path) -> HostResult<()> {
    let mut file = File::create(path).map_err(failed("make", path))?;
    file.write_all(CONTENT).and_then(|()| file.sync_all()).map_err(failed("write and sync", path))?;
    reads(path, CONTENT)
}

/// The median duration of an fsync(2) after a small write, in microseconds.
pub(super) fn sync(path: &Path) -> Option<u64> {
    let mut file = File::create(path).ok()?;
    let mut once = || {
        file.write_all(&[1; 4096]).ok()?;
        let start = Instant::now();
        file.sync_all().ok()?;
        u64::try_from(start.elapsed().as_micros()).ok()
    };
    let mut times = (0..SYNCS).map(|_| once()).collect::<Option<Vec<_>>>()?;
    times.sort_unstable();
    let _ = fs::remove_file(path);
    times.get(SYNCS / 2).copied()
}

/// The names in a directory, sorted.
fn names(path: &Path) -> HostResult<Vec<std::ffi::OsString>> {
    let entries = fs::read_dir(path).map_err(failed("list", path))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name()).map_err(failed("list", path)));
    let mut names = names.collect::<HostResult<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// Checks that a file has this content.
pub(super) fn reads(path: &Path, content: &[u8]) -> HostResult<()> {
    let found = fs::read(path).map_err(failed("read", path))?;
    holds(found == content, "find what was written in", path)
}

/// Checks that a path does not exist.
pub(super) fn is_gone(path: &Path) -> HostResult<()> {
    let gone =
        fs::symlink_metadata(path).err().and_then(|error| error.raw_os_error()) == Some(Errno::ENOENT as i32);
    holds(gone, "see gone", path)
}

/// `EIO` where a condition does not hold: an error without a system call behind it.
pub(super) fn holds(holds: bool, op: &str, path: &Path) -> HostResult<()> {
    if holds { Ok(()) } else { Err(HostError::new(op, path, Errno::EIO)) }
}

/// Makes the error of an operation on a path.
fn failed<'p>(op: &'static str, path: &'p Path) -> impl FnOnce(std::io::Error) -> HostError + 'p {
    move |error| HostError::io(op, path, &error)
}

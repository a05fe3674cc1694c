//! Where a path leads: to a file, or to what this process has open already.
//!
//! `/dev/stdout` and the like are links to links without a path of their own. Opening them anew loses the position in a file,
//! and fails for a socket and for what another user opened, so the open file itself is used.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc::{O_NOCTTY, O_NONBLOCK};

/// The longest chain of links, as Linux has it (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Place {
    /// Something that this process has open.
    Open(OwnedFd),
    /// A path that is no link. It may lead to nothing.
    Path(PathBuf),
}

/// Follows the links of a path.
pub(super) fn resolve(path: &Path) -> io::Result<Place> {
    let mut path = std::path::absolute(path)?;
    for _ in 0..MAX_LINKS {
        if let Some(number) = descriptor(&path) {
            return opened(number).map(Place::Open);
        }
        match std::fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("/")).join(target),
            Err(error) if is_no_link(&error) && is_directory_name(&path) => return Err(Errno::EISDIR.into()),
            Err(error) if is_no_link(&error) => return Ok(Place::Path(path)),
            Err(error) => return Err(error),
        }
    }
    Err(Errno::ELOOP.into())
}

/// Whether readlink(2) says that this is something else than a link, or nothing.
fn is_no_link(error: &io::Error) -> bool {
    [Some(Errno::EINVAL as i32), Some(Errno::ENOENT as i32)].contains(&error.raw_os_error())
}

/// Whether a path can only name a directory.
fn is_directory_name(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"/")
}

/// The number of the descriptor that a path names.
fn descriptor(path: &Path) -> Option<u32> {
    match path.to_str()? {
        "/dev/stdin" => return Some(0),
        "/dev/stdout" => return Some(1),
        "/dev/stderr" => return Some(2),
        _ => {}
    }
    let own = format!("/proc/{}/fd", std::process::id());
    let directories = ["/dev/fd", "/proc/self/fd", "/proc/thread-self/fd", &own];
    let name = directories.iter().find_map(|directory| path.strip_prefix(directory).ok())?;
    name.to_str()?.parse().ok()
}

/// What is open under a number, for writing. A pipe or a terminal is opened anew, so that writing never waits.
fn opened(number: u32) -> io::Result<OwnedFd> {
    let standard = match number {
        0 => Some(io::stdin().as_fd().try_clone_to_owned()?),
        1 => Some(io::stdout().as_fd().try_clone_to_owned()?),
        2 => Some(io::stderr().as_fd().try_clone_to_owned()?),
        _ => None,
    };
    let link = PathBuf::from(format!("/proc/self/fd/{number}"));
    let Some(standard) = standard else { return reopen(&link) };
    let mode = fcntl(&standard, FcntlArg::F_GETFL).map(OFlag::from_bits_truncate)?;
    if mode & OFlag::O_ACCMODE == OFlag::O_RDONLY {
        return Err(Errno::EBADF.into());
    }
    let kind = std::fs::File::from(standard.try_clone()?).metadata()?.file_type();
    if kind.is_fifo() || kind.is_char_device() {
        return Ok(reopen(&link).unwrap_or(standard));
    }
    Ok(standard)
}

/// Opens a link of /proc anew, to write behind what is there.
fn reopen(link: &Path) -> io::Result<OwnedFd> {
    OpenOptions::new().append(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(link).map(OwnedFd::from)
}

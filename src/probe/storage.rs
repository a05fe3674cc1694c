//! Does the container's file system do what a root file system must? Tried in three lives.
//!
//! The first life of a container changes files of the image and makes new ones; its second life, after a restart,
//! looks for them; another container looks for what the first wrote into the volume, from a root that is read-only.
#![allow(clippy::disallowed_methods, reason = "inside the container that is looked at, there is no door")]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::layers::{IN_DIR, LOWER_DIR, OPAQUE_DIR};
use crate::engine::image::{LOWER, LOWER_TEXT, REPLACED};
use crate::host::{Host, HostError, HostResult};
use crate::trial::TrialReport;

/// What the first life writes.
const WORDS: &[u8] = b"written in the first life\n";
/// What it appends to a file of the image.
const MORE: &[u8] = b"and more\n";
/// What it leaves in the root and in the volume.
const MARK: &str = "dindcheck-mark";
/// What the second life leaves in the volume when it is there to be met.
const HERE: &str = "dindcheck-here";
/// No visitor waits longer for it.
const PATIENCE: Duration = Duration::from_secs(3);
/// An attribute that needs no privilege (xattr(7)).
const ATTRIBUTE: &str = "user.dindcheck";
/// How often a file is synced; the median counts.
const SYNCS: usize = 3;

/// Where to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// A directory that is a volume.
    pub volume: PathBuf,
    /// A directory that is a tmpfs.
    pub tmpfs: PathBuf,
    /// Only looks at what another container left in the volume; its own root is read-only.
    pub visitor: bool,
}

/// Which life it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Life {
    /// The container's first.
    First,
    /// After a restart.
    Second,
    /// Of another container.
    Visitor,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// Which life.
    pub life: Life,
    /// Every attempt.
    pub tried: TrialReport,
    /// How long a small file in the root takes to be on the disk, in microseconds: the median.
    pub sync_root_us: Option<u64>,
    /// The same in the volume.
    pub sync_volume_us: Option<u64>,
}

/// Which life this is: the first one leaves a mark.
pub fn life(host: &dyn Host, places: &Places) -> Life {
    match (places.visitor, host.exists(&Path::new("/").join(MARK))) {
        (true, _) => Life::Visitor,
        (false, Ok(true)) => Life::Second,
        (false, _) => Life::First,
    }
}

/// Tries what belongs to this life.
pub fn try_out(host: &dyn Host, places: &Places) -> Storage {
    let root = Path::new("/");
    let life = life(host, places);
    let mut storage =
        Storage { life, tried: TrialReport::default(), sync_root_us: None, sync_volume_us: None };
    match life {
        Life::First => first(root, places, &mut storage),
        Life::Second => second(root, places, &mut storage.tried),
        Life::Visitor => visit(root, places, &mut storage.tried),
    }
    let mounts = crate::facts::mounts::Mounts::read(host).unwrap_or_default();
    let is_tmpfs = mounts.at(&places.tmpfs).is_some_and(|mount| mount.fstype == "tmpfs");
    storage.tried.attempt("tmpfs-mounted", holds(is_tmpfs, "find a tmpfs at", &places.tmpfs));
    storage
}

/// Says in the volume that this second life is there to be met.
pub fn announce(places: &Places) {
    let _ = File::create(places.volume.join(HERE));
}

/// Waits until the other one is there: it is started at the same time. Where the volume is not shared, the attempt to
/// meet it is made all the same.
pub fn await_the_other(places: &Places) {
    let end = Instant::now() + PATIENCE;
    let here = places.volume.join(HERE);
    while !here.exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Changes files of the image and makes new ones.
fn first(root: &Path, places: &Places, storage: &mut Storage) {
    let tried = &mut storage.tried;
    tried.attempt("copy-up", copy_up(&root.join(LOWER)));
    tried.attempt("whiteout", whiteout(&root.join(IN_DIR)));
    tried.attempt("opaque", opaque(&root.join(LOWER_DIR)));
    tried.attempt("rename", rename(&root.join(REPLACED), &root.join("tmp/renamed")));
    let result = rename_dir(&root.join(OPAQUE_DIR), &root.join("tmp/dir"));
    let how = result.as_ref().ok().copied();
    tried.attempt("rename-directory", result.map(drop));
    if let Some(how) = how {
        tried.detail(how);
    }
    tried.attempt("hard-link", hard_link(&root.join(LOWER), &root.join("tmp/link")));
    let result = attribute(&root.join(LOWER));
    let kept = result.as_ref().ok().copied();
    tried.attempt("attribute", result.map(drop));
    if let Some(how) = kept {
        tried.detail(how);
    }
    tried.attempt("tmpfs-write", write_and_read(&places.tmpfs.join(MARK)));
    tried.attempt("volume-write", write_and_read(&places.volume.join(MARK)));
    tried.attempt("root-write", write_and_read(&root.join(MARK)));
    storage.sync_root_us = sync(&root.join("tmp/sync"));
    storage.sync_volume_us = sync(&places.volume.join("sync"));
}

/// Looks for what the first life left.
fn second(root: &Path, places: &Places, tried: &mut TrialReport) {
    tried.attempt("root-kept", reads(&root.join(MARK), WORDS));
    tried.attempt("change-kept", reads(&root.join(LOWER), &[LOWER_TEXT, MORE].concat()));
    tried.attempt("removal-kept", is_gone(&root.join(REPLACED)));
    tried.attempt("volume-kept", reads(&places.volume.join(MARK), WORDS));
    tried.attempt("tmpfs-emptied", is_gone(&places.tmpfs.join(MARK)));
}

/// Looks for what another container left in the volume.
fn visit(root: &Path, places: &Places, tried: &mut TrialReport) {
    tried.attempt("volume-seen", reads(&places.volume.join(MARK), WORDS));
    let refused = File::create(root.join(MARK)).err().and_then(|error| error.raw_os_error());
    tried.attempt(
        "root-read-only",
        holds(refused == Some(Errno::EROFS as i32), "be refused to write to", root),
    );
}

/// Appends to a file of a lower layer.
fn copy_up(path: &Path) -> HostResult<()> {
    let mut file = OpenOptions::new().append(true).open(path).map_err(failed("open to append", path))?;
    file.write_all(MORE).map_err(failed("append to", path))?;
    reads(path, &[LOWER_TEXT, MORE].concat())
}

/// Removes a file of a lower layer.
fn whiteout(path: &Path) -> HostResult<()> {
    fs::remove_file(path).map_err(failed("remove", path))?;
    is_gone(path)?;
    let names = names(path.parent().unwrap_or(path))?;
    holds(names.iter().all(|name| Some(name.as_os_str()) != path.file_name()), "see gone", path)
}

/// Removes a directory of a lower layer and makes it anew: it must be empty.
fn opaque(path: &Path) -> HostResult<()> {
    fs::remove_dir_all(path).map_err(failed("remove with all in it", path))?;
    fs::create_dir(path).map_err(failed("make anew", path))?;
    holds(names(path)?.is_empty(), "find empty", path)
}

/// Renames a file of a lower layer.
fn rename(from: &Path, to: &Path) -> HostResult<()> {
    let content = fs::read(from).map_err(failed("read", from))?;
    fs::rename(from, to).map_err(failed("rename", from))?;
    is_gone(from)?;
    reads(to, &content)
}

/// Renames a directory of the image. EXDEV is allowed (Documentation/filesystems/overlayfs.rst,
/// `redirect_dir`): a program then copies, as mv does.
fn rename_dir(from: &Path, to: &Path) -> HostResult<&'static str> {
    let before = names(from)?;
    let mut how = "renamed";
    match fs::rename(from, to) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(Errno::EXDEV as i32) => {
            fs::create_dir(to).map_err(failed("make", to))?;
            for name in names(from)? {
                fs::copy(from.join(&name), to.join(&name)).map_err(failed("copy from", from))?;
            }
            fs::remove_dir_all(from).map_err(failed("remove with all in it", from))?;
            how = "EXDEV, copied";
        }
        Err(error) => return Err(failed("rename the directory", from)(error)),
    }
    is_gone(from)?;
    holds(names(to)? == before, "find whole", to)?;
    Ok(how)
}

/// Links a file: both names are one file.
fn hard_link(path: &Path, link: &Path) -> HostResult<()> {
    fs::hard_link(path, link).map_err(failed("link", path))?;
    let inode =
        |path: &Path| fs::metadata(path).map(|meta| (meta.ino(), meta.nlink())).map_err(failed("stat", path));
    let (one, other) = (inode(path)?, inode(link)?);
    holds(one == other && one.1 == 2, "see as one file with", link)
}

/// Gives a file an attribute and reads it. A file system may have none of this kind (tmpfs before Linux 6.6).
fn attribute(path: &Path) -> HostResult<&'static str> {
    let errno = |op: &'static str| {
        move |error: rustix::io::Errno| HostError::new(op, path, Errno::from_raw(error.raw_os_error()))
    };
    match rustix::fs::setxattr(path, ATTRIBUTE, WORDS, rustix::fs::XattrFlags::empty()) {
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok("has no user attributes"),
        other => other.map_err(errno("set an attribute of"))?,
    }
    let mut value = [0; 64];
    let length = rustix::fs::getxattr(path, ATTRIBUTE, &mut value).map_err(errno("read the attribute of"))?;
    holds(&value[..length] == WORDS, "find the attribute of", path)?;
    Ok("kept")
}

/// Writes a file, syncs it, reads it.
fn write_and_read(path: &Path) -> HostResult<()> {
    let mut file = File::create(path).map_err(failed("make", path))?;
    file.write_all(WORDS).and_then(|()| file.sync_all()).map_err(failed("write and sync", path))?;
    reads(path, WORDS)
}

/// The median time of an fsync(2) after a small write.
fn sync(path: &Path) -> Option<u64> {
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

/// The names in a directory.
fn names(path: &Path) -> HostResult<Vec<std::ffi::OsString>> {
    let entries = fs::read_dir(path).map_err(failed("list", path))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name()).map_err(failed("list", path)));
    let mut names = names.collect::<HostResult<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// A file has this content.
fn reads(path: &Path, content: &[u8]) -> HostResult<()> {
    let found = fs::read(path).map_err(failed("read", path))?;
    holds(found == content, "find what was written in", path)
}

/// Nothing is there.
fn is_gone(path: &Path) -> HostResult<()> {
    let gone =
        fs::symlink_metadata(path).err().and_then(|error| error.raw_os_error()) == Some(Errno::ENOENT as i32);
    holds(gone, "see gone", path)
}

/// What does not hold is an error without a system call behind it.
fn holds(holds: bool, op: &str, path: &Path) -> HostResult<()> {
    if holds { Ok(()) } else { Err(HostError::new(op, path, Errno::EIO)) }
}

/// The path of an operation, as its error names it.
fn failed<'p>(op: &'static str, path: &'p Path) -> impl FnOnce(std::io::Error) -> HostError + 'p {
    move |error| HostError::io(op, path, &error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files of the image in a directory, with a volume and a scratch place.
    fn image() -> (tempfile::TempDir, Places) {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        for dir in ["tmp", "volume", "scratch", LOWER_DIR] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        fs::create_dir_all(root.join(OPAQUE_DIR)).unwrap();
        let in_opaque = format!("{OPAQUE_DIR}/two");
        for (path, content) in [(LOWER, LOWER_TEXT), (REPLACED, b"new\n"), (IN_DIR, b"x"), (&in_opaque, b"y")]
        {
            fs::write(root.join(path), content).unwrap();
        }
        let places = Places { volume: root.join("volume"), tmpfs: root.join("scratch"), visitor: false };
        (temp, places)
    }

    fn failures(tried: &TrialReport) -> Vec<&str> {
        let failed = tried.attempts.iter().filter(|attempt| attempt.error.is_some());
        failed.map(|attempt| attempt.name.as_str()).collect()
    }

    #[test]
    fn an_honest_file_system_passes_both_lives() {
        let (temp, places) = image();
        let mut storage = Storage {
            life: Life::First,
            tried: TrialReport::default(),
            sync_root_us: None,
            sync_volume_us: None,
        };
        first(temp.path(), &places, &mut storage);
        assert_eq!(failures(&storage.tried), Vec::<&str>::new(), "{storage:?}");
        assert!(storage.sync_root_us.is_some() && storage.sync_volume_us.is_some());
        fs::remove_file(places.tmpfs.join(MARK)).unwrap();
        let mut tried = TrialReport::default();
        second(temp.path(), &places, &mut tried);
        assert_eq!(failures(&tried), Vec::<&str>::new(), "{tried:?}");
    }

    #[test]
    fn what_is_lost_and_what_comes_back_is_told() {
        let (temp, places) = image();
        let mut storage = Storage {
            life: Life::First,
            tried: TrialReport::default(),
            sync_root_us: None,
            sync_volume_us: None,
        };
        first(temp.path(), &places, &mut storage);
        fs::remove_file(temp.path().join(MARK)).unwrap();
        fs::write(temp.path().join(REPLACED), "old").unwrap();
        let mut tried = TrialReport::default();
        second(temp.path(), &places, &mut tried);
        assert_eq!(failures(&tried), ["root-kept", "removal-kept", "tmpfs-emptied"]);
    }

    #[test]
    fn a_visitor_wants_the_volume_and_a_root_that_refuses() {
        let (temp, places) = image();
        let mut tried = TrialReport::default();
        visit(temp.path(), &places, &mut tried);
        assert_eq!(failures(&tried), ["volume-seen", "root-read-only"]);
    }
}

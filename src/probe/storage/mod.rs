//! Does the container's file system do what a root file system must? Tried in three lives.
//!
//! The first life of a container changes files of the image and makes new ones; its second life, after a restart,
//! looks for them; another container looks for what the first wrote into the volume, from a root that is read-only.
#![expect(clippy::disallowed_methods, reason = "inside the container that is looked at, there is no door")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::layers::{IN_DIR, LOWER_DIR, OPAQUE_DIR};
use crate::fixture::{LOWER, LOWER_TEXT, REPLACED};
use crate::host::SystemReader;
use crate::host::trial::TrialReport;

mod fs_checks;

use fs_checks::{
    attribute, copy_up, hard_link, holds, is_gone, opaque, reads, rename, rename_dir, sync, whiteout,
    write_and_read,
};

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

impl Storage {
    /// Before anything was tried.
    fn of(life: Life) -> Self {
        Self { life, tried: TrialReport::default(), sync_root_us: None, sync_volume_us: None }
    }
}

/// Which life this is: the first one leaves a mark.
pub fn life(host: &dyn SystemReader, places: &Places) -> Life {
    match (places.visitor, host.exists(&Path::new("/").join(MARK))) {
        (true, _) => Life::Visitor,
        (false, Ok(true)) => Life::Second,
        (false, _) => Life::First,
    }
}

/// Tries what belongs to this life.
pub fn try_out(host: &dyn SystemReader, places: &Places) -> Storage {
    let root = Path::new("/");
    let life = life(host, places);
    let mut storage = Storage::of(life);
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

#[cfg(test)]
mod tests {
    use std::fs;

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
        let mut storage = Storage::of(Life::First);
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
        let mut storage = Storage::of(Life::First);
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

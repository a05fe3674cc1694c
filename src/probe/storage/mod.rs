//! Checks the root file system, a volume and a tmpfs of a container, in three runs of the probe.
//!
//! The first run of a container changes files of the image and creates new ones. Its second run, after a restart, checks
//! what was kept. Another container with a read-only root checks what the first wrote to the volume.
#![expect(clippy::disallowed_methods, reason = "the probe runs inside the container and changes only that")]

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

/// What the first run writes.
const CONTENT: &[u8] = b"written in the first life\n";
/// What it appends to a file of the image.
const APPENDED: &[u8] = b"and more\n";
/// The file that it leaves in the root and in the volume.
const MARKER: &str = "dindcheck-mark";
/// The file that the second run leaves in the volume when it accepts connections.
const READY_MARKER: &str = "dindcheck-here";
/// The longest wait of the other container for it: on a busy machine a restart takes seconds.
const READY_TIMEOUT: Duration = Duration::from_secs(15);

/// Where to read and write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageRequest {
    /// A directory that is a volume.
    pub volume: PathBuf,
    /// A directory that is a tmpfs.
    pub tmpfs: PathBuf,
    /// Whether this is the other container, which only checks the volume; its root is read-only.
    pub visitor: bool,
}

/// The run of the probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Life {
    /// The first run of the container.
    First,
    /// The run after a restart.
    Second,
    /// The run of the other container.
    Visitor,
}

/// The results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// The run.
    pub life: Life,
    /// The attempts.
    pub tried: TrialReport,
    /// The median duration of an fsync(2) of a small file in the root, in microseconds.
    pub sync_root_us: Option<u64>,
    /// The same in the volume.
    pub sync_volume_us: Option<u64>,
}

impl Storage {
    /// No results yet.
    fn of(life: Life) -> Self {
        Self { life, tried: TrialReport::default(), sync_root_us: None, sync_volume_us: None }
    }
}

/// The current run, which is the first where its marker is missing.
pub fn life(host: &dyn SystemReader, request: &StorageRequest) -> Life {
    match (request.visitor, host.exists(&Path::new("/").join(MARKER))) {
        (true, _) => Life::Visitor,
        (false, Ok(true)) => Life::Second,
        (false, _) => Life::First,
    }
}

/// Makes the attempts of the current run.
pub fn try_out(host: &dyn SystemReader, request: &StorageRequest) -> Storage {
    let root = Path::new("/");
    let life = life(host, request);
    let mut storage = Storage::of(life);
    match life {
        Life::First => first(root, request, &mut storage),
        Life::Second => second(root, request, &mut storage.tried),
        Life::Visitor => visitor(root, request, &mut storage.tried),
    }
    let mounts = crate::facts::mounts::Mounts::read(host).unwrap_or_default();
    let is_tmpfs = mounts.at(&request.tmpfs).is_some_and(|mount| mount.fstype == "tmpfs");
    storage.tried.attempt("tmpfs-mounted", holds(is_tmpfs, "find a tmpfs at", &request.tmpfs));
    storage
}

/// Creates the file by which the other container knows that this one accepts connections.
pub fn announce(request: &StorageRequest) {
    let _ = File::create(request.volume.join(READY_MARKER));
}

/// Waits for that file, since both containers start at the same time. Without a shared volume it gives up at the deadline,
/// and the connection is tried all the same.
pub fn await_peer(request: &StorageRequest) {
    let end = Instant::now() + READY_TIMEOUT;
    let marker = request.volume.join(READY_MARKER);
    while !marker.exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Changes files of the image and creates new ones.
fn first(root: &Path, request: &StorageRequest, storage: &mut Storage) {
    let tried = &mut storage.tried;
    tried.attempt("copy-up", copy_up(&root.join(LOWER)));
    tried.attempt("whiteout", whiteout(&root.join(IN_DIR)));
    tried.attempt("opaque", opaque(&root.join(LOWER_DIR)));
    tried.attempt("rename", rename(&root.join(REPLACED), &root.join("tmp/renamed")));
    let result = rename_dir(&root.join(OPAQUE_DIR), &root.join("tmp/dir"));
    let outcome = result.as_ref().ok().copied();
    tried.attempt("rename-directory", result.map(drop));
    if let Some(outcome) = outcome {
        tried.detail(outcome);
    }
    tried.attempt("hard-link", hard_link(&root.join(LOWER), &root.join("tmp/link")));
    let result = attribute(&root.join(LOWER));
    let outcome = result.as_ref().ok().copied();
    tried.attempt("attribute", result.map(drop));
    if let Some(outcome) = outcome {
        tried.detail(outcome);
    }
    tried.attempt("tmpfs-write", write_and_read(&request.tmpfs.join(MARKER)));
    tried.attempt("volume-write", write_and_read(&request.volume.join(MARKER)));
    tried.attempt("root-write", write_and_read(&root.join(MARKER)));
    storage.sync_root_us = sync(&root.join("tmp/sync"));
    storage.sync_volume_us = sync(&request.volume.join("sync"));
}

/// Checks what is left of the first run.
fn second(root: &Path, request: &StorageRequest, tried: &mut TrialReport) {
    tried.attempt("root-kept", reads(&root.join(MARKER), CONTENT));
    tried.attempt("change-kept", reads(&root.join(LOWER), &[LOWER_TEXT, APPENDED].concat()));
    tried.attempt("removal-kept", is_gone(&root.join(REPLACED)));
    tried.attempt("volume-kept", reads(&request.volume.join(MARKER), CONTENT));
    tried.attempt("tmpfs-emptied", is_gone(&request.tmpfs.join(MARKER)));
}

/// Checks what another container wrote to the volume.
fn visitor(root: &Path, request: &StorageRequest, tried: &mut TrialReport) {
    tried.attempt("volume-seen", reads(&request.volume.join(MARKER), CONTENT));
    let refused = File::create(root.join(MARKER)).err().and_then(|error| error.raw_os_error());
    tried.attempt(
        "root-read-only",
        holds(refused == Some(Errno::EROFS as i32), "be refused (EROFS) to write to", root),
    );
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The files of the image in a directory, with a volume and a tmpfs.
    fn image() -> (tempfile::TempDir, StorageRequest) {
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
        let request =
            StorageRequest { volume: root.join("volume"), tmpfs: root.join("scratch"), visitor: false };
        (temp, request)
    }

    fn failures(tried: &TrialReport) -> Vec<&str> {
        let failed = tried.attempts.iter().filter(|attempt| attempt.error.is_some());
        failed.map(|attempt| attempt.name.as_str()).collect()
    }

    #[test]
    fn ordinary_file_system_passes_both_runs() {
        let (temp, request) = image();
        let mut storage = Storage::of(Life::First);
        first(temp.path(), &request, &mut storage);
        assert_eq!(failures(&storage.tried), Vec::<&str>::new(), "{storage:?}");
        assert!(storage.sync_root_us.is_some() && storage.sync_volume_us.is_some());
        fs::remove_file(request.tmpfs.join(MARKER)).unwrap();
        let mut tried = TrialReport::default();
        second(temp.path(), &request, &mut tried);
        assert_eq!(failures(&tried), Vec::<&str>::new(), "{tried:?}");
    }

    #[test]
    fn lost_and_restored_files_are_reported() {
        let (temp, request) = image();
        let mut storage = Storage::of(Life::First);
        first(temp.path(), &request, &mut storage);
        fs::remove_file(temp.path().join(MARKER)).unwrap();
        fs::write(temp.path().join(REPLACED), "old").unwrap();
        let mut tried = TrialReport::default();
        second(temp.path(), &request, &mut tried);
        assert_eq!(failures(&tried), ["root-kept", "removal-kept", "tmpfs-emptied"]);
    }

    #[test]
    fn other_container_needs_the_volume_and_a_read_only_root() {
        let (temp, request) = image();
        let mut tried = TrialReport::default();
        visitor(temp.path(), &request, &mut tried);
        assert_eq!(failures(&tried), ["volume-seen", "root-read-only"]);
    }
}

//! Replays a recording: answers as the recorded machine did.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use serde::de::DeserializeOwned;

use super::{of, on, to};
use crate::host::recording::{Content, Recording};
use crate::host::trial::{Trial, TrialReport};
use crate::host::{
    FsInfo, HostError, HostResult, Identity, MountCall, Ran, Stat, SystemReader, SystemWriter,
};
use crate::text::any_path::AnyPath;

/// Answers as the machine of a recording did. It reads and changes nothing on this machine.
pub struct Replay {
    recording: Recording,
    /// How often each question has been asked.
    asked: RefCell<BTreeMap<String, usize>>,
}

impl Replay {
    /// A replay of this recording.
    pub fn new(recording: Recording) -> Self {
        Self { recording, asked: RefCell::default() }
    }

    /// The recording.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// The next answer to a question, or its last one.
    fn recall<T: DeserializeOwned>(&self, key: &str, path: &Path) -> HostResult<T> {
        let unknown = || HostError::new("find in the recording the answer to", path, Errno::ENODATA);
        let sequence = self.recording.answers.get(key).ok_or_else(unknown)?;
        let mut asked = self.asked.borrow_mut();
        let count = asked.entry(key.to_owned()).or_default();
        let answer = sequence.get(*count).or(sequence.last()).ok_or_else(unknown)?;
        *count += 1;
        let part = |name: &str| answer.get(name).cloned();
        match (part("error"), part("ok")) {
            (Some(error), _) => Err(serde_json::from_value(error).unwrap_or_else(|_| unknown())),
            (None, value) => serde_json::from_value(value.unwrap_or_default()).map_err(|_| unknown()),
        }
    }
}

impl SystemReader for Replay {
    fn read(&self, path: &Path) -> HostResult<Vec<u8>> {
        self.recall::<Content>(&on("read", path), path).map(Into::into)
    }

    fn read_head(&self, path: &Path, _most: usize) -> HostResult<Vec<u8>> {
        self.recall::<Content>(&on("read-head", path), path).map(Into::into)
    }

    fn list(&self, path: &Path) -> HostResult<Vec<OsString>> {
        let names: Vec<AnyPath> = self.recall(&on("list", path), path)?;
        Ok(names.into_iter().map(|name| name.as_os_str().to_owned()).collect())
    }

    fn stat(&self, path: &Path) -> HostResult<Stat> {
        self.recall(&on("stat", path), path)
    }

    fn lstat(&self, path: &Path) -> HostResult<Stat> {
        self.recall(&on("lstat", path), path)
    }

    fn read_link(&self, path: &Path) -> HostResult<PathBuf> {
        self.recall::<AnyPath>(&on("read-link", path), path).map(|target| target.to_path_buf())
    }

    fn statfs(&self, path: &Path) -> HostResult<FsInfo> {
        self.recall(&on("statfs", path), path)
    }

    fn identity(&self) -> Identity {
        self.recording.identity
    }

    fn env_os(&self, name: &str) -> Option<OsString> {
        let stored: Option<Content> =
            self.recall(&format!("env {name}"), Path::new(name)).unwrap_or_default();
        stored.map(|value| OsString::from_vec(value.into()))
    }

    fn run(&self, program: &Path, args: &[&str], _within: Duration) -> HostResult<Ran> {
        self.recall(&to("run", program, args), program)
    }

    fn ask(&self, program: &Path, args: &[&str]) -> HostResult<Ran> {
        self.recall(&to("ask", program, args), program)
    }

    fn connect(&self, socket: &Path) -> HostResult<()> {
        self.recall(&on("connect", socket), socket)
    }

    fn is_locked(&self, path: &Path) -> HostResult<bool> {
        self.recall(&on("is-locked", path), path)
    }

    fn trial(&self, trial: &Trial) -> HostResult<TrialReport> {
        self.recall(&of(trial), Path::new("/"))
    }
}

impl SystemWriter for Replay {
    fn mount(&self, call: &MountCall) -> HostResult<()> {
        self.recall(&on("do mount", &call.target), &call.target)
    }

    fn unmount(&self, path: &Path) -> HostResult<()> {
        self.recall(&on("do unmount", path), path)
    }

    fn create_dir(&self, path: &Path) -> HostResult<()> {
        self.recall(&on("do create-dir", path), path)
    }

    fn remove_dir(&self, path: &Path) -> HostResult<()> {
        self.recall(&on("do remove-dir", path), path)
    }

    fn write(&self, path: &Path, _bytes: &[u8]) -> HostResult<()> {
        self.recall(&on("do write", path), path)
    }

    fn remove_file(&self, path: &Path) -> HostResult<()> {
        self.recall(&on("do remove-file", path), path)
    }

    fn symlink(&self, _target: &Path, link: &Path) -> HostResult<()> {
        self.recall(&on("do symlink", link), link)
    }

    fn make_char_device(&self, path: &Path, _mode: u32, _major: u32, _minor: u32) -> HostResult<()> {
        self.recall(&on("do mknod", path), path)
    }

    fn execute(&self, program: &Path, args: &[&str], _within: Duration) -> HostResult<Ran> {
        self.recall(&to("do execute", program, args), program)
    }

    fn request_module(&self, name: &str) -> HostResult<()> {
        self.recall(&on("do request-module", Path::new(name)), Path::new(name))
    }

    fn delete_link(&self, name: &str, _index: u32) -> HostResult<()> {
        self.recall(&on("do delete-link", Path::new(name)), Path::new(name))
    }
}

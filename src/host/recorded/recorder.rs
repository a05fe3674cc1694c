//! Records a run: passes every call on, and stores the answer without secrets.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::{content, of, on, to};
use crate::diagnosis::redact;
use crate::host::recording::{self, Content, Recording};
use crate::host::trial::{Trial, TrialReport};
use crate::host::{FsInfo, HostResult, Identity, MountCall, Ran, Stat, SystemReader, SystemWriter};
use crate::text::any_path::AnyPath;

/// Passes every call on and stores the answer.
pub struct Recorder<'h> {
    host: &'h dyn SystemReader,
    machine: &'h dyn SystemWriter,
    answers: RefCell<BTreeMap<String, Vec<Value>>>,
}

impl<'h> Recorder<'h> {
    /// A recorder of the answers of these two.
    pub fn new(host: &'h dyn SystemReader, machine: &'h dyn SystemWriter) -> Self {
        Self { host, machine, answers: RefCell::default() }
    }

    /// The answers so far, as a recording.
    pub fn recording(&self, run: &str, steps: &[&str], request: &impl Serialize) -> Recording {
        Recording::new(run, steps, request, self.host.identity(), self.answers.borrow().clone())
    }

    /// Stores the answer in the form that `stored` gives it, and returns it unchanged.
    fn record<T, K: Serialize>(
        &self,
        key: String,
        answer: HostResult<T>,
        stored: impl Fn(&T) -> K,
    ) -> HostResult<T> {
        let value = match &answer {
            Ok(value) => json!({"ok": stored(value)}),
            Err(error) => json!({"error": error}),
        };
        self.answers.borrow_mut().entry(key).or_default().push(value);
        answer
    }

    /// The same for an answer that holds no secrets.
    fn plain<T: Serialize + Clone>(&self, key: String, answer: HostResult<T>) -> HostResult<T> {
        self.record(key, answer, Clone::clone)
    }
}

/// The stored form of the content of a file.
fn stored_content(path: &Path) -> impl Fn(&Vec<u8>) -> Content {
    let path = path.display().to_string();
    move |bytes| content::safe(&path, bytes).into()
}

/// The stored form of a variable. One that is kept and not UTF-8 is kept byte by byte.
fn variable(name: &str, value: OsString) -> Content {
    let text = recording::variable(name, value.to_string_lossy().into_owned());
    if text == value.to_string_lossy() { value.into_vec().into() } else { Content::Text(text) }
}

/// The stored form of the output of a program.
fn output(ran: &Ran) -> Ran {
    let covered = |text: &str| redact::message(text).into_owned();
    Ran { stdout: covered(&ran.stdout), stderr: covered(&ran.stderr), ..*ran }
}

impl SystemReader for Recorder<'_> {
    fn read(&self, path: &Path) -> HostResult<Vec<u8>> {
        self.record(on("read", path), self.host.read(path), stored_content(path))
    }

    fn read_input(&self, path: &Path) -> HostResult<Vec<u8>> {
        self.record(on("read", path), self.host.read_input(path), stored_content(path))
    }

    fn read_head(&self, path: &Path, most: usize) -> HostResult<Vec<u8>> {
        self.record(on("read-head", path), self.host.read_head(path, most), stored_content(path))
    }

    fn list(&self, path: &Path) -> HostResult<Vec<OsString>> {
        let stored = |names: &Vec<OsString>| names.iter().map(AnyPath::from).collect::<Vec<_>>();
        self.record(on("list", path), self.host.list(path), stored)
    }

    fn stat(&self, path: &Path) -> HostResult<Stat> {
        self.plain(on("stat", path), self.host.stat(path))
    }

    fn lstat(&self, path: &Path) -> HostResult<Stat> {
        self.plain(on("lstat", path), self.host.lstat(path))
    }

    fn read_link(&self, path: &Path) -> HostResult<PathBuf> {
        self.record(on("read-link", path), self.host.read_link(path), |target| AnyPath::from(target))
    }

    fn statfs(&self, path: &Path) -> HostResult<FsInfo> {
        self.plain(on("statfs", path), self.host.statfs(path))
    }

    fn identity(&self) -> Identity {
        self.host.identity()
    }

    fn env_os(&self, name: &str) -> Option<OsString> {
        let stored = |value: &Option<OsString>| value.clone().map(|value| variable(name, value));
        self.record(format!("env {name}"), Ok(self.host.env_os(name)), stored).unwrap_or_default()
    }

    fn run(&self, program: &Path, args: &[&str], within: Duration) -> HostResult<Ran> {
        self.record(to("run", program, args), self.host.run(program, args, within), output)
    }

    fn ask(&self, program: &Path, args: &[&str]) -> HostResult<Ran> {
        self.record(to("ask", program, args), self.host.ask(program, args), output)
    }

    fn ask_ahead(&self, program: &Path, args: &[&str]) {
        self.host.ask_ahead(program, args);
    }

    fn connect(&self, socket: &Path) -> HostResult<()> {
        self.plain(on("connect", socket), self.host.connect(socket))
    }

    fn is_locked(&self, path: &Path) -> HostResult<bool> {
        self.plain(on("is-locked", path), self.host.is_locked(path))
    }

    fn trial(&self, trial: &Trial) -> HostResult<TrialReport> {
        self.plain(of(trial), self.host.trial(trial))
    }

    fn trial_ahead(&self, trial: &Trial) {
        self.host.trial_ahead(trial);
    }
}

impl SystemWriter for Recorder<'_> {
    fn mount(&self, call: &MountCall) -> HostResult<()> {
        self.plain(on("do mount", &call.target), self.machine.mount(call))
    }

    fn unmount(&self, path: &Path) -> HostResult<()> {
        self.plain(on("do unmount", path), self.machine.unmount(path))
    }

    fn create_dir(&self, path: &Path) -> HostResult<()> {
        self.plain(on("do create-dir", path), self.machine.create_dir(path))
    }

    fn remove_dir(&self, path: &Path) -> HostResult<()> {
        self.plain(on("do remove-dir", path), self.machine.remove_dir(path))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> HostResult<()> {
        self.plain(on("do write", path), self.machine.write(path, bytes))
    }

    fn remove_file(&self, path: &Path) -> HostResult<()> {
        self.plain(on("do remove-file", path), self.machine.remove_file(path))
    }

    fn symlink(&self, target: &Path, link: &Path) -> HostResult<()> {
        self.plain(on("do symlink", link), self.machine.symlink(target, link))
    }

    fn make_char_device(&self, path: &Path, mode: u32, major: u32, minor: u32) -> HostResult<()> {
        self.plain(on("do mknod", path), self.machine.make_char_device(path, mode, major, minor))
    }

    fn execute(&self, program: &Path, args: &[&str], within: Duration) -> HostResult<Ran> {
        self.record(to("do execute", program, args), self.machine.execute(program, args, within), output)
    }

    fn request_module(&self, name: &str) -> HostResult<()> {
        self.plain(on("do request-module", Path::new(name)), self.machine.request_module(name))
    }

    fn delete_link(&self, name: &str, index: u32) -> HostResult<()> {
        self.plain(on("do delete-link", Path::new(name)), self.machine.delete_link(name, index))
    }
}

//! How is a run saved, and how is its environment phase played back elsewhere? Both doors in one wrapper, and the
//! same doors made of what was saved.
//!
//! [`Recorder`] passes everything on and keeps the answers; [`Replay`] answers from a [`Recording`] and needs
//! neither root nor the machine. What was never asked is not known there: `ENODATA`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::recording::{self, Content, Recording};
use super::{FsInfo, Host, HostError, HostResult, Identity, Machine, MountCall, Ran, Stat};
use crate::plan::Wishes;
use crate::trial::{Trial, TrialReport};

/// Passes everything on, and keeps it.
pub struct Recorder<'h> {
    host: &'h dyn Host,
    machine: &'h dyn Machine,
    answers: RefCell<BTreeMap<String, Vec<Value>>>,
}

impl<'h> Recorder<'h> {
    /// A recorder of these doors.
    pub fn new(host: &'h dyn Host, machine: &'h dyn Machine) -> Self {
        Self { host, machine, answers: RefCell::default() }
    }

    /// What was kept so far.
    pub fn recording(&self, run: &str, wishes: &Wishes) -> Recording {
        Recording::new(run, wishes, self.host.identity(), self.answers.borrow().clone())
    }

    /// Keeps an answer, as it may be kept, and passes it on as it is.
    fn keep<T, K: Serialize>(
        &self,
        key: String,
        answer: HostResult<T>,
        kept: impl Fn(&T) -> K,
    ) -> HostResult<T> {
        let value = match &answer {
            Ok(value) => json!({"ok": kept(value)}),
            Err(error) => json!({"error": error}),
        };
        self.answers.borrow_mut().entry(key).or_default().push(value);
        answer
    }

    /// The same for what holds no secrets.
    fn plain<T: Serialize + Clone>(&self, key: String, answer: HostResult<T>) -> HostResult<T> {
        self.keep(key, answer, Clone::clone)
    }
}

/// The question of an operation on a path.
fn on(op: &str, path: &Path) -> String {
    format!("{op} {}", path.display())
}

/// The question to a program.
fn to(op: &str, program: &Path, args: &[&str]) -> String {
    format!("{op} {} {}", program.display(), recording::without_passwords(&args.join(" ")))
        .trim_end()
        .to_owned()
}

/// The question of a trial.
fn of(trial: &Trial) -> String {
    format!("trial {}", serde_json::to_string(trial).unwrap_or_default())
}

/// What is kept of a file.
fn content(path: &Path) -> impl Fn(&Vec<u8>) -> Content {
    let path = path.display().to_string();
    move |bytes| recording::content(&path, bytes).into()
}

/// What is kept of a program's words.
fn words(ran: &Ran) -> Ran {
    let keep = |words: &str| recording::without_passwords(words);
    Ran { code: ran.code, stdout: keep(&ran.stdout), stderr: keep(&ran.stderr) }
}

impl Host for Recorder<'_> {
    fn read(&self, path: &Path) -> HostResult<Vec<u8>> {
        self.keep(on("read", path), self.host.read(path), content(path))
    }

    fn read_head(&self, path: &Path, most: usize) -> HostResult<Vec<u8>> {
        self.keep(on("read-head", path), self.host.read_head(path, most), content(path))
    }

    fn list(&self, path: &Path) -> HostResult<Vec<String>> {
        self.plain(on("list", path), self.host.list(path))
    }

    fn stat(&self, path: &Path) -> HostResult<Stat> {
        self.plain(on("stat", path), self.host.stat(path))
    }

    fn lstat(&self, path: &Path) -> HostResult<Stat> {
        self.plain(on("lstat", path), self.host.lstat(path))
    }

    fn read_link(&self, path: &Path) -> HostResult<PathBuf> {
        self.plain(on("read-link", path), self.host.read_link(path))
    }

    fn statfs(&self, path: &Path) -> HostResult<FsInfo> {
        self.plain(on("statfs", path), self.host.statfs(path))
    }

    fn identity(&self) -> Identity {
        self.host.identity()
    }

    fn env(&self, name: &str) -> Option<String> {
        let keep = |value: &Option<String>| value.clone().map(|value| recording::variable(name, value));
        self.keep(format!("env {name}"), Ok(self.host.env(name)), keep).unwrap_or_default()
    }

    fn run(&self, program: &Path, args: &[&str], within: Duration) -> HostResult<Ran> {
        self.keep(to("run", program, args), self.host.run(program, args, within), words)
    }

    fn ask(&self, program: &Path, args: &[&str]) -> HostResult<Ran> {
        self.keep(to("ask", program, args), self.host.ask(program, args), words)
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

impl Machine for Recorder<'_> {
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
        self.keep(to("do execute", program, args), self.machine.execute(program, args, within), words)
    }

    fn request_module(&self, name: &str) -> HostResult<()> {
        self.plain(on("do request-module", Path::new(name)), self.machine.request_module(name))
    }
}

/// Answers as the machine of a recording did; nothing is looked at, and nothing is changed.
pub struct Replay {
    recording: Recording,
    /// How often each question has been asked.
    asked: RefCell<BTreeMap<String, usize>>,
}

impl Replay {
    /// Plays a recording.
    pub fn new(recording: Recording) -> Self {
        Self { recording, asked: RefCell::default() }
    }

    /// What is played.
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

impl Host for Replay {
    fn read(&self, path: &Path) -> HostResult<Vec<u8>> {
        self.recall::<Content>(&on("read", path), path).map(Into::into)
    }

    fn read_head(&self, path: &Path, _most: usize) -> HostResult<Vec<u8>> {
        self.recall::<Content>(&on("read-head", path), path).map(Into::into)
    }

    fn list(&self, path: &Path) -> HostResult<Vec<String>> {
        self.recall(&on("list", path), path)
    }

    fn stat(&self, path: &Path) -> HostResult<Stat> {
        self.recall(&on("stat", path), path)
    }

    fn lstat(&self, path: &Path) -> HostResult<Stat> {
        self.recall(&on("lstat", path), path)
    }

    fn read_link(&self, path: &Path) -> HostResult<PathBuf> {
        self.recall(&on("read-link", path), path)
    }

    fn statfs(&self, path: &Path) -> HostResult<FsInfo> {
        self.recall(&on("statfs", path), path)
    }

    fn identity(&self) -> Identity {
        self.recording.identity
    }

    fn env(&self, name: &str) -> Option<String> {
        self.recall(&format!("env {name}"), Path::new(name)).unwrap_or_default()
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

impl Machine for Replay {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    /// Asks the same of both, with a change in between.
    fn answers<H: Host + Machine>(host: &H) -> Vec<String> {
        let path = Path::new("/a");
        vec![
            format!("{:?}", host.read_text(path)),
            format!("{:?}", host.write(path, b"new")),
            format!("{:?}", host.read_text(path)),
            format!("{:?}", host.read_text(path)),
            format!("{:?}", host.stat(Path::new("/none")).map_err(|error| error.errno())),
            format!("{:?}", host.env("DOCKER_DRIVER")),
            format!("{:?}", host.ask(Path::new("/bin/x"), &["--version"])),
            format!("{:?}", host.run(Path::new("/bin/x"), &["--version"], Duration::ZERO)),
            format!("{:?}", host.identity()),
            format!("{:?}", host.list(Path::new("/"))),
        ]
    }

    #[test]
    fn a_replay_answers_as_the_machine_did_before_and_after_a_change() {
        let host = Fake::new().file("/a", "old").variable("DOCKER_DRIVER", "vfs").program(
            "/bin/x --version",
            0,
            "1.2.3",
        );
        let recorder = Recorder::new(&host, &host);
        let seen = answers(&recorder);
        let json = serde_json::to_string(&recorder.recording("12ab", &Wishes::default())).unwrap();
        assert_eq!(answers(&Replay::new(Recording::parse(&json).unwrap())), seen);
    }

    #[test]
    fn what_was_never_asked_is_not_known() {
        let host = Fake::new().file("/a", "text");
        let replay = Replay::new(Recorder::new(&host, &host).recording("1", &Wishes::default()));
        assert_eq!(replay.read(Path::new("/a")).unwrap_err().errno(), Errno::ENODATA);
        assert_eq!(replay.env("PATH"), None);
    }

    #[test]
    fn a_secret_is_passed_on_and_not_kept() {
        let host = Fake::new().variable("TOKEN", "hush").file("/p", "http://u:hush@x");
        let recorder = Recorder::new(&host, &host);
        assert_eq!(recorder.env("TOKEN").as_deref(), Some("hush"));
        assert_eq!(recorder.read_text(Path::new("/p")).unwrap(), "http://u:hush@x");
        let json = serde_json::to_string(&recorder.recording("1", &Wishes::default())).unwrap();
        assert!(!json.contains("hush"), "{json}");
    }
}

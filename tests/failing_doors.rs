//! Every operation on the machine fails once, at each step: what was there stays as it was, and the report names the
//! operation.
//!
//! The machines are recordings of real ones, sound and broken, so that checks and repairs go their whole way.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may panic, and reads recordings")]

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dindcheck::engine::NoEngine;
use dindcheck::host::recorded::Replay;
use dindcheck::host::recording::Recording;
use dindcheck::host::trial::{Trial, TrialReport};
use dindcheck::host::{
    FsInfo, HostError, HostResult, Identity, MountCall, Ran, Stat, SystemReader, SystemWriter,
};
use dindcheck::interrupt::Interrupt;
use dindcheck::options::PlanRequest;
use dindcheck::plan::Plan;
use dindcheck::report::Report;
use dindcheck::report::formats;
use dindcheck::runner::{self, Doors};
use nix::errno::Errno;

/// Doors of which one operation fails.
struct Failing {
    inner: Replay,
    /// The number of the operation that fails, from 0.
    at: usize,
    count: Cell<usize>,
    failed: RefCell<Option<HostError>>,
    changes: RefCell<Vec<String>>,
}

impl Failing {
    fn new(recording: &str, at: usize) -> Self {
        let inner = Replay::new(Recording::parse(recording).unwrap());
        Self { inner, at, count: Cell::new(0), failed: RefCell::default(), changes: RefCell::default() }
    }

    /// The answer of the machine, or the error of the operation that fails.
    fn answer<T>(&self, op: &str, path: &Path, ask: impl FnOnce() -> HostResult<T>) -> HostResult<T> {
        let number = self.count.replace(self.count.get() + 1);
        if number != self.at {
            return ask();
        }
        let error = HostError::new(op, path, Errno::EIO);
        *self.failed.borrow_mut() = Some(error.clone());
        Err(error)
    }

    /// The same for a change.
    fn change<T>(&self, op: &str, path: &Path, ask: impl FnOnce() -> HostResult<T>) -> HostResult<T> {
        self.answer(op, path, ask)
            .inspect(|_| self.changes.borrow_mut().push(format!("{op} {}", path.display())))
    }
}

impl SystemReader for Failing {
    fn read(&self, path: &Path) -> HostResult<Vec<u8>> {
        self.answer("read", path, || self.inner.read(path))
    }
    fn read_head(&self, path: &Path, most: usize) -> HostResult<Vec<u8>> {
        self.answer("read the head of", path, || self.inner.read_head(path, most))
    }
    fn list(&self, path: &Path) -> HostResult<Vec<OsString>> {
        self.answer("list", path, || self.inner.list(path))
    }
    fn stat(&self, path: &Path) -> HostResult<Stat> {
        self.answer("stat", path, || self.inner.stat(path))
    }
    fn lstat(&self, path: &Path) -> HostResult<Stat> {
        self.answer("lstat", path, || self.inner.lstat(path))
    }
    fn read_link(&self, path: &Path) -> HostResult<PathBuf> {
        self.answer("read the link", path, || self.inner.read_link(path))
    }
    fn statfs(&self, path: &Path) -> HostResult<FsInfo> {
        self.answer("statfs", path, || self.inner.statfs(path))
    }
    fn identity(&self) -> Identity {
        self.inner.identity()
    }
    fn env_os(&self, name: &str) -> Option<OsString> {
        self.inner.env_os(name)
    }
    fn run(&self, program: &Path, args: &[&str], within: Duration) -> HostResult<Ran> {
        self.answer("run", program, || self.inner.run(program, args, within))
    }
    fn ask(&self, program: &Path, args: &[&str]) -> HostResult<Ran> {
        self.answer("ask", program, || self.inner.ask(program, args))
    }
    fn connect(&self, socket: &Path) -> HostResult<()> {
        self.answer("connect to", socket, || self.inner.connect(socket))
    }
    fn is_locked(&self, path: &Path) -> HostResult<bool> {
        self.answer("lock", path, || self.inner.is_locked(path))
    }
    fn trial(&self, trial: &Trial) -> HostResult<TrialReport> {
        self.answer("try", Path::new("/"), || self.inner.trial(trial))
    }
}

impl SystemWriter for Failing {
    fn mount(&self, call: &MountCall) -> HostResult<()> {
        self.change("mount", &call.target, || self.inner.mount(call))
    }
    fn unmount(&self, path: &Path) -> HostResult<()> {
        self.change("unmount", path, || self.inner.unmount(path))
    }
    fn create_dir(&self, path: &Path) -> HostResult<()> {
        self.change("create_dir", path, || self.inner.create_dir(path))
    }
    fn remove_dir(&self, path: &Path) -> HostResult<()> {
        self.change("remove_dir", path, || self.inner.remove_dir(path))
    }
    fn write(&self, path: &Path, bytes: &[u8]) -> HostResult<()> {
        self.change("write", path, || self.inner.write(path, bytes))
    }
    fn remove_file(&self, path: &Path) -> HostResult<()> {
        self.change("remove_file", path, || self.inner.remove_file(path))
    }
    fn symlink(&self, target: &Path, link: &Path) -> HostResult<()> {
        self.change("symlink", link, || self.inner.symlink(target, link))
    }
    fn make_char_device(&self, path: &Path, mode: u32, major: u32, minor: u32) -> HostResult<()> {
        self.change("mknod", path, || self.inner.make_char_device(path, mode, major, minor))
    }
    fn request_module(&self, name: &str) -> HostResult<()> {
        self.change("request_module", Path::new(name), || self.inner.request_module(name))
    }
    fn delete_link(&self, name: &str, index: u32) -> HostResult<()> {
        self.change("delete_link", Path::new(name), || self.inner.delete_link(name, index))
    }
    fn execute(&self, program: &Path, args: &[&str], within: Duration) -> HostResult<Ran> {
        self.change("execute", program, || self.inner.execute(program, args, within))
    }
}

/// The environment phase of a recording; its report as JSON.
fn play(doors: &Failing) -> (Report, String) {
    let interrupt = Interrupt::default();
    let request = PlanRequest { until: Some("daemon-state".into()), ..PlanRequest::default() };
    let plan = Plan::new(&doors.inner, &request).unwrap();
    let doors = Doors { host: doors, machine: doors, engine: &NoEngine, interrupt: &interrupt };
    let report = runner::run(&plan, &doors, &mut |_| {});
    let json = formats::find("json").unwrap().text(&report).unwrap();
    (report, json)
}

fn recording(name: &str) -> String {
    let file = format!("{}/tests/fixtures/worlds/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(file).unwrap()
}

/// Recordings of machines: sound ones, and those with repairs of several steps.
const MACHINES: &[&str] =
    &["healthy-bookworm", "healthy-trixie", "healthy-forky", "cgroups-not-mounted", "memory-not-mounted"];

/// The paths that were made and are still there. Panics where something was taken away that was not made before.
fn made(changes: &[String]) -> Vec<String> {
    let mut there: Vec<String> = Vec::new();
    for change in changes {
        let (op, path) = change.split_once(' ').unwrap();
        match op {
            "mount" | "create_dir" | "symlink" | "mknod" => there.push(path.to_owned()),
            "unmount" | "remove_dir" | "remove_file" => {
                let at = there.iter().rposition(|made| made == path);
                there.remove(
                    at.unwrap_or_else(|| panic!("{path} was there before, and is gone: {changes:?}")),
                );
            }
            // Values, which a repair writes back.
            _ => {}
        }
    }
    there
}

/// What is wrong about the report of a run in which one operation failed.
fn judge(doors: &Failing, report: &Report, json: &str) -> Option<String> {
    let error = doors.failed.borrow().clone().unwrap();
    let path = error.path.display().to_string();
    if !(json.contains(&path) && json.contains("EIO")) {
        return Some(format!("{} {path} is not named", error.op));
    }
    let records = report.steps.iter().filter_map(|step| step.repair.as_ref());
    let recorded: Vec<String> =
        records.flat_map(|repair| &repair.changes).map(|change| change.did.clone()).collect();
    let unrecorded = made(&doors.changes.borrow()).into_iter().find(|path| {
        !recorded.iter().any(|change| change.contains(path.as_str())) && !json.contains(path.as_str())
    });
    unrecorded.map(|path| {
        format!("{path} was made and is in no report, when {} {} failed", error.op, error.path.display())
    })
}

#[test]
fn every_operation_that_fails_is_named_and_nothing_that_was_there_is_changed() {
    let (mut wrong, mut total, mut changed) = (Vec::new(), 0, 0);
    for machine in MACHINES {
        let recording = recording(machine);
        let whole = Failing::new(&recording, usize::MAX);
        play(&whole);
        for at in 0..whole.count.get() {
            let doors = Failing::new(&recording, at);
            let (report, json) = play(&doors);
            total += 1;
            changed += doors.changes.borrow().len();
            wrong.extend(judge(&doors, &report, &json).map(|what| format!("{machine}: {what}")));
        }
    }
    assert!(total > 1000 && changed > 100, "only {total} operations and {changed} changes");
    assert!(wrong.is_empty(), "{} of {total}:\n{}", wrong.len(), wrong.join("\n"));
}

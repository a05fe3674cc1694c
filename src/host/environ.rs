//! A reader with the environment of another process, to judge that process as it sees the machine.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::trial::{Trial, TrialReport};
use super::{FsInfo, HostResult, Identity, Ran, Stat, SystemReader};

/// A reader whose variables are those of a process; everything else is the machine's.
pub struct WithEnviron<'h> {
    host: &'h dyn SystemReader,
    /// `None` where they cannot be read, as in a recording, which withholds them: then our own count.
    variables: Option<BTreeMap<OsString, OsString>>,
}

impl<'h> WithEnviron<'h> {
    /// Reads /proc/PID/environ, which has the variables that the process was started with (`proc_pid_environ(5)`).
    pub fn of(host: &'h dyn SystemReader, pid: i32) -> Self {
        let bytes = host.read(Path::new(&format!("/proc/{pid}/environ"))).unwrap_or_default();
        let pairs = bytes.split(|byte| *byte == 0).filter_map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=')?;
            Some((OsStr::from_bytes(&pair[..at]).into(), OsStr::from_bytes(&pair[at + 1..]).into()))
        });
        let variables: BTreeMap<_, _> = pairs.collect();
        Self { host, variables: (!variables.is_empty()).then_some(variables) }
    }
}

impl SystemReader for WithEnviron<'_> {
    fn env_os(&self, name: &str) -> Option<OsString> {
        match &self.variables {
            Some(variables) => variables.get(OsStr::new(name)).cloned(),
            None => self.host.env_os(name),
        }
    }
    fn read(&self, path: &Path) -> HostResult<Vec<u8>> {
        self.host.read(path)
    }
    fn read_input(&self, path: &Path) -> HostResult<Vec<u8>> {
        self.host.read_input(path)
    }
    fn read_head(&self, path: &Path, most: usize) -> HostResult<Vec<u8>> {
        self.host.read_head(path, most)
    }
    fn list(&self, path: &Path) -> HostResult<Vec<OsString>> {
        self.host.list(path)
    }
    fn stat(&self, path: &Path) -> HostResult<Stat> {
        self.host.stat(path)
    }
    fn lstat(&self, path: &Path) -> HostResult<Stat> {
        self.host.lstat(path)
    }
    fn read_link(&self, path: &Path) -> HostResult<PathBuf> {
        self.host.read_link(path)
    }
    fn statfs(&self, path: &Path) -> HostResult<FsInfo> {
        self.host.statfs(path)
    }
    fn identity(&self) -> Identity {
        self.host.identity()
    }
    fn run(&self, program: &Path, args: &[&str], within: Duration) -> HostResult<Ran> {
        self.host.run(program, args, within)
    }
    fn ask(&self, program: &Path, args: &[&str]) -> HostResult<Ran> {
        self.host.ask(program, args)
    }
    fn ask_ahead(&self, program: &Path, args: &[&str]) {
        self.host.ask_ahead(program, args);
    }
    fn connect(&self, socket: &Path) -> HostResult<()> {
        self.host.connect(socket)
    }
    fn is_locked(&self, path: &Path) -> HostResult<bool> {
        self.host.is_locked(path)
    }
    fn trial(&self, trial: &Trial) -> HostResult<TrialReport> {
        self.host.trial(trial)
    }
    fn trial_ahead(&self, trial: &Trial) {
        self.host.trial_ahead(trial);
    }
}

//! The dockerd that we start: spawned in a process group of its own, watched, and stopped.
//!
//! It is spawned through a trampoline, this program again, so that it does not outlive a dindcheck that was killed.
#![expect(clippy::disallowed_methods, reason = "the daemon is started here and nowhere else")]

use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::engine::cleanup::processes;
use crate::engine::cleanup::rundir::RunDir;
use crate::engine::docker::error::{Death, EngineError, EngineResult};
use crate::engine::dockerd::log::LogTail;
use crate::engine::dockerd::log::follower::Follower;
use crate::engine::dockerd::wait::TICK;
use crate::facts::programs;
use crate::host::{HostError, SystemReader};

pub mod log;
pub mod readiness;
pub mod wait;

/// How long a killed process may take to end; only one in state D takes longer.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// The standard input of a daemon.
pub const NULL: &str = "/dev/null";

/// A dockerd that we started.
#[derive(Debug)]
pub struct Dockerd {
    child: Child,
    started: Instant,
    log: Follower,
    death: Option<Death>,
    /// Whether it has answered.
    pub served: bool,
}

/// How a dockerd ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// By itself, after SIGTERM or before it.
    InTime,
    /// By SIGKILL.
    Killed,
    /// Not at all: it is still there.
    Never,
}

impl Dockerd {
    /// Starts it. `argv` is its program and arguments; with `bound` the kernel sends it SIGTERM at our death.
    ///
    /// # Errors
    ///
    /// `NotFound` where the program is not in PATH; `System` where its log or process cannot be created.
    pub fn spawn(host: &dyn SystemReader, argv: &[String], dir: &RunDir, bound: bool) -> EngineResult<Self> {
        let (name, args) = argv.split_first().map_or(("dockerd", argv), |(name, args)| (name.as_str(), args));
        let program = locate(host, name)?;
        let writer = dir.create_log()?;
        let log = Follower::start(LogTail::open(dir.log_path())?)
            .map_err(|error| HostError::io("start a thread that reads the log", dir.log_path(), &error))?;
        // Opened here, so that an error names this file and not the program.
        let null = File::open(NULL).map_err(|error| HostError::io("open", NULL, &error))?;
        let failed = |error: std::io::Error| HostError::io("start", &program, &error);
        let mut command = if bound { trampoline(&program) } else { Command::new(&program) };
        let child = command
            .args(args)
            .env(processes::LABEL, dir.run())
            .stdin(null)
            .stdout(writer.try_clone().map_err(failed)?)
            .stderr(writer)
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        Ok(Self { child, started: Instant::now(), log, death: None, served: false })
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or_default()
    }

    /// From its start until now.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Its log, read up to its present end, as far as there is time.
    pub fn log(&self) -> MutexGuard<'_, LogTail> {
        let mut log = self.log.tail();
        log.catch_up();
        log
    }

    /// Its death, if it has ended.
    pub fn poll_death(&mut self) -> Option<Death> {
        if self.death.is_none() {
            let status = self.child.try_wait().ok().flatten()?;
            self.death = Some(self.death(status));
        }
        self.death.clone()
    }

    /// Its death with this status, explained by its log.
    fn death(&self, status: ExitStatus) -> Death {
        let after = self.age();
        let mut log = self.log.tail();
        log.finish();
        Death {
            status: describe(status),
            after,
            code: status.code(),
            first_error: log.first_error(),
            last_words: log.last_words(),
            log_dropped: log.dropped(),
            served: self.served,
        }
    }

    /// Stops it: SIGTERM, at most `timeout`, SIGKILL to its whole group.
    pub async fn stop(&mut self, timeout: Duration) -> Stopped {
        if self.ended_within(Duration::ZERO).await {
            return Stopped::InTime;
        }
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGTERM);
        let in_time = self.ended_within(timeout).await;
        // Nothing in its group is meant to outlive it.
        let _ = killpg(Pid::from_raw(self.pid()), Signal::SIGKILL);
        match in_time {
            true => Stopped::InTime,
            false if self.ended_within(KILL_TIMEOUT).await => Stopped::Killed,
            false => Stopped::Never,
        }
    }

    /// Whether it ends within this time.
    async fn ended_within(&mut self, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        loop {
            if self.poll_death().is_some() {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(TICK).await;
        }
    }
}

/// The command of the trampoline: it asks for SIGTERM at our death, and then becomes dockerd.
fn trampoline(program: &Path) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg("__exec").arg(std::process::id().to_string()).arg(program);
    command
}

/// The trampoline: becomes the program. Returns only an error.
pub fn become_program(parent: i32, argv: &[String]) -> anyhow::Error {
    let Some((program, args)) = argv.split_first() else {
        return anyhow::anyhow!("the trampoline needs a program");
    };
    if let Err(errno) = nix::sys::prctl::set_pdeathsig(Signal::SIGTERM) {
        return anyhow::anyhow!("the signal at the parent's death cannot be set: {errno}");
    }
    if nix::unistd::getppid().as_raw() != parent {
        return anyhow::anyhow!("dindcheck ended before it could start {program}");
    }
    let name = Path::new(program).file_name().unwrap_or_default();
    let error = Command::new(program).arg0(name).args(args).exec();
    // execve(2): ENOENT for a program that exists means that its interpreter is missing.
    let exists = error.raw_os_error() == Some(Errno::ENOENT as i32) && Path::new(program).exists();
    let doing = if exists { "find the interpreter or loader of" } else { "start" };
    HostError::io(doing, program, &error).into()
}

/// `exit code 1`, `signal SIGKILL`.
fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(number)) => {
            let name = Signal::try_from(number).map_or_else(|_| number.to_string(), |s| s.to_string());
            format!("signal {name}")
        }
        (None, None) => "an unknown status".to_owned(),
    }
}

/// Finds a program by its name in PATH, or by its path.
///
/// # Errors
///
/// `NotFound`, with the directories that were searched.
pub fn locate(host: &dyn SystemReader, name: &str) -> EngineResult<PathBuf> {
    programs::locate(host, name).ok_or_else(|| {
        let path = match Path::new(name).parent().filter(|_| name.contains('/')) {
            Some(dir) => dir.display().to_string(),
            None => host.env("PATH").unwrap_or_default(),
        };
        EngineError::NotFound { program: name.to_owned(), path }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn a_program_is_found_as_the_shell_finds_it() {
        let host = Fake::new()
            .variable("PATH", "/a::/usr/bin:/b")
            .file("/a/dockerd", "not executable")
            .program("/usr/bin/dockerd", 0, "")
            .program("/b/dockerd", 0, "");
        assert_eq!(locate(&host, "dockerd").unwrap(), Path::new("/usr/bin/dockerd"));
        assert_eq!(locate(&host, "/b/dockerd").unwrap(), Path::new("/b/dockerd"));
        assert!(matches!(locate(&host, "/a/dockerd"), Err(EngineError::NotFound { .. })));
        let error = locate(&host, "other").unwrap_err();
        assert_eq!(error.to_string(), "other is not found in PATH (/a::/usr/bin:/b)");
    }

    #[test]
    fn an_exit_status_is_described() {
        assert_eq!(describe(ExitStatus::from_raw(0x100)), "exit code 1");
        assert_eq!(describe(ExitStatus::from_raw(9)), "signal SIGKILL");
    }
}

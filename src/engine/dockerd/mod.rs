//! How does a dockerd of ours live and die? Spawned in its own process group, watched, and stopped for good.
#![allow(clippy::disallowed_methods, reason = "the daemon is started here and nowhere else")]

use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::engine::cleanup::rundir::RunDir;
use crate::engine::docker::error::{Death, EngineError, EngineResult};
use crate::engine::dockerd::log::LogTail;
use crate::engine::dockerd::wait::TICK;
use crate::facts::programs;
use crate::host::{HostError, SystemReader};

pub mod log;
pub mod readiness;
pub mod wait;

/// How long a killed process may take to be gone; longer only in state D.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// What a daemon reads from.
pub const NULL: &str = "/dev/null";

/// A dockerd that we started.
#[derive(Debug)]
pub struct Dockerd {
    child: Child,
    started: Instant,
    log: LogTail,
    ended: Option<ExitStatus>,
    /// It has answered.
    pub served: bool,
}

/// How a dockerd came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// By itself, after SIGTERM; or it was dead already.
    InTime,
    /// It had to be killed.
    Killed,
    /// It is still there.
    Never,
}

impl Dockerd {
    /// Starts it: `line` is its program and arguments. With `bound` it is told to end when we are killed.
    pub fn spawn(host: &dyn SystemReader, line: &[String], dir: &RunDir, bound: bool) -> EngineResult<Self> {
        let (name, args) = line.split_first().map_or(("dockerd", line), |(name, args)| (name.as_str(), args));
        let program = locate(host, name)?;
        let writer = dir.create_log()?;
        let log = LogTail::new(dir.open_log()?, Some(dir.log_path()));
        // Opened here, so that an error says that it is this which lacks, and not the program.
        let nothing = File::open(NULL).map_err(|error| HostError::io("open", NULL, &error))?;
        let failed = |error: std::io::Error| HostError::io("start", &program, &error);
        let mut command = if bound { trampoline(&program) } else { Command::new(&program) };
        let child = command
            .args(args)
            .stdin(nothing)
            .stdout(writer.try_clone().map_err(failed)?)
            .stderr(writer)
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        Ok(Self { child, started: Instant::now(), log, ended: None, served: false })
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or_default()
    }

    /// From its start until now.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Its log.
    pub fn log(&mut self) -> &mut LogTail {
        self.log.read_on();
        &mut self.log
    }

    /// Takes in its log, and tells its death.
    pub fn look(&mut self) -> Option<Death> {
        self.log.read_on();
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        let status = self.ended?;
        self.log.finish();
        let first_error = self.log.first_error();
        Some(Death {
            status: describe(status),
            after: self.age(),
            code: status.code(),
            first_error,
            last_words: self.log.last_words(),
            served: self.served,
        })
    }

    /// SIGTERM, a bounded wait, SIGKILL to its whole group.
    pub async fn stop(&mut self, patience: Duration) -> Stopped {
        if self.ended_within(Duration::ZERO).await {
            return Stopped::InTime;
        }
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGTERM);
        let in_time = self.ended_within(patience).await;
        // What else is in its group never had a reason to outlive it.
        let _ = killpg(Pid::from_raw(self.pid()), Signal::SIGKILL);
        match in_time {
            true => Stopped::InTime,
            false if self.ended_within(KILL_PATIENCE).await => Stopped::Killed,
            false => Stopped::Never,
        }
    }

    /// Whether it ends in this time.
    async fn ended_within(&mut self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        loop {
            if self.look().is_some() {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(TICK).await;
        }
    }
}

/// This program again, which asks for SIGTERM at our death and then becomes dockerd: the daemon never outlives
/// a dindcheck that was killed.
fn trampoline(program: &Path) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg("__exec").arg(std::process::id().to_string()).arg(program);
    command
}

/// What the trampoline does. Returns only with the reason why it did not become the program.
pub fn become_program(parent: i32, words: &[String]) -> anyhow::Error {
    let Some((program, args)) = words.split_first() else {
        return anyhow::anyhow!("there is no program to become");
    };
    if let Err(errno) = nix::sys::prctl::set_pdeathsig(Signal::SIGTERM) {
        return anyhow::anyhow!("the signal at the parent's death cannot be set: {errno}");
    }
    if nix::unistd::getppid().as_raw() != parent {
        return anyhow::anyhow!("dindcheck ended before it could start {program}");
    }
    let name = Path::new(program).file_name().unwrap_or_default();
    let error = Command::new(program).arg0(name).args(args).exec();
    // execve(2): a program that is there and is not found lacks the interpreter that it names.
    let there = error.raw_os_error() == Some(Errno::ENOENT as i32) && Path::new(program).exists();
    let doing = if there { "find the interpreter or loader of" } else { "start" };
    HostError::io(doing, program, &error).into()
}

/// `exit code 1`, `SIGKILL`.
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

/// The program of that name in PATH, or at a path.
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
    fn programs_are_found_as_the_shell_finds_them() {
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
    fn statuses_have_words() {
        assert_eq!(describe(ExitStatus::from_raw(0x100)), "exit code 1");
        assert_eq!(describe(ExitStatus::from_raw(9)), "signal SIGKILL");
    }
}

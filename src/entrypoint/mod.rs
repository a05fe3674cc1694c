//! dindcheck as the entrypoint of an outer container: it checks, keeps the inner daemon, is the init of the command, and
//! stops the daemon when the command ends.
//!
//! The check runs in a child, which hands over its dockerd. So this process has no thread and no runtime, and stays small
//! for as long as the container lives. It reaps every orphan ([`init`]).

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::engine::live::{LiveEngine, Recovery, take_over};
use crate::exit;
use crate::host::SystemReader;
use crate::host::live::Live;
use crate::interrupt::Interrupt;
use crate::options::PlanRequest;
use crate::profile::DaemonDeath;
use crate::text::any_path::AnyPath;
use crate::text::seconds;

use daemon::Daemon;
use init::{Event, Init, ProcessGroup, exit_code_of_signal, send};
pub(crate) use stderr::say;
use task::Task;

pub mod daemon;
pub mod firewall;
pub mod init;
pub mod log;
pub mod stderr;
pub mod task;
pub mod tls;

/// The steps of a daemon's restart.
const RESTART: [&str; 2] = ["daemon-start", "teardown"];
/// How often a daemon is restarted.
const MAX_RESTARTS: u32 = 5;
/// How long a killed daemon may take to end.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// What happens when the check fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OnFailure {
    /// The report is printed, and the exit code is the verdict's.
    Stop,
    /// The command runs anyway, without a daemon.
    Continue,
    /// A shell runs instead of the command, to look around.
    Shell,
}

/// The request to the child that checks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckRequest {
    /// The plan of the check.
    pub plan: PlanRequest,
    /// The files of its report, besides stderr: the name of a format, and a path.
    pub outputs: Vec<(String, AnyPath)>,
    /// The directory of the certificates to create, if any.
    pub certificates: Option<PathBuf>,
    /// A daemon that died is started again: what killed runs left was removed at the start of the entrypoint.
    pub restart: bool,
}

/// The request to the entrypoint.
pub struct EntrypointRequest {
    /// What is run.
    pub task: Task,
    /// The check.
    pub check: CheckRequest,
    /// What happens when the check fails.
    pub on_failure: OnFailure,
    /// What happens when the daemon dies before the command.
    pub on_death: DaemonDeath,
    /// The time from SIGTERM to SIGKILL for the daemon.
    pub stop_timeout: Duration,
}

/// A running entrypoint.
struct Entrypoint<'h> {
    host: &'h Live,
    init: Init,
    request: EntrypointRequest,
    daemon: Option<Daemon>,
    restarting: Option<Pid>,
    restarts: u32,
    given_up: bool,
}

/// Runs it to its end; the exit code is the command's once it ran.
///
/// # Errors
///
/// Where a system call of the init fails, or a process cannot be started.
pub fn run(host: &Live, request: EntrypointRequest) -> anyhow::Result<u8> {
    let init = Init::new().context("block the signals")?;
    Entrypoint { host, init, request, daemon: None, restarting: None, restarts: 0, given_up: false }.run()
}

impl Entrypoint<'_> {
    fn run(mut self) -> anyhow::Result<u8> {
        let check = start_check(&self.request.check)?;
        let verdict = match self.follow_check(check)? {
            Ok(code) => code,
            Err(signal) => return Ok(exit_code_of_signal(signal)),
        };
        self.daemon = take_over(self.host, check.as_raw()).map(Daemon::new);
        let code = match (verdict, self.request.on_failure) {
            (exit::SOUND, _) => self.command(),
            (_, OnFailure::Stop) => Ok(verdict),
            (_, OnFailure::Shell) => self.shell().map(|_| verdict),
            (_, OnFailure::Continue) if self.request.task.command.is_empty() => Ok(verdict),
            (_, OnFailure::Continue) => {
                say("the command runs anyway, without a daemon (--on-failure continue)");
                self.command()
            }
        };
        self.stop()?;
        code.map(|code| if self.given_up { exit::BROKEN } else { code })
    }

    /// Waits for the check: its exit code, or the signal that ended it early.
    fn follow_check(&mut self, check: Pid) -> anyhow::Result<Result<u8, i32>> {
        let mut signal = None;
        loop {
            match self.init.next(Duration::MAX, None)? {
                Event::Signal(number) => {
                    signal = signal.or(asks_to_end(number).then_some(number));
                    send(check, number);
                }
                Event::Ended(pid, code) if pid == check => return Ok(signal.map_or(Ok(code), Err)),
                _ => {}
            }
        }
    }

    /// Runs the command to its end; without one, the daemon is what runs.
    fn command(&mut self) -> anyhow::Result<u8> {
        match (&mut self.daemon, self.request.task.command.clone()) {
            (Some(daemon), command) if command.is_empty() => {
                daemon.show_log();
                let pid = daemon.pid();
                let code = self.attend(pid)?;
                self.record_and_drop_daemon();
                Ok(code)
            }
            (_, command) => self.run_in_foreground(&command),
        }
    }

    /// Runs a shell instead of the command.
    fn shell(&mut self) -> anyhow::Result<u8> {
        let shell = self.host.env("SHELL").filter(|shell| !shell.is_empty());
        let shell = shell.unwrap_or_else(|| "/bin/sh".to_owned());
        say(&format!(
            "{shell} runs instead of the command; `dindcheck` checks again; this container ends with the shell"
        ));
        self.run_in_foreground(&[shell])
    }

    /// Runs a program in the foreground.
    fn run_in_foreground(&mut self, argv: &[String]) -> anyhow::Result<u8> {
        let child =
            init::start(argv, ProcessGroup::Foreground, Stdio::inherit()).context("start the command")?;
        let code = self.attend(child);
        init::take_terminal();
        code
    }

    /// Handles every event until the process `main` ends; its exit code.
    fn attend(&mut self, main: Pid) -> anyhow::Result<u8> {
        loop {
            match self.next_event(Duration::MAX)? {
                Event::Ended(pid, code) if pid == main => {
                    self.daemon.iter_mut().for_each(Daemon::finish_log);
                    return Ok(code);
                }
                Event::Ended(pid, code) => self.other_ended(pid, code, main)?,
                // A terminal sends these to us alone, because we are in the background.
                Event::Signal(number)
                    if number == Signal::SIGTTIN as i32 || number == Signal::SIGTTOU as i32 => {}
                Event::Signal(number) => send(main, number),
                // Nobody else could continue it.
                Event::Stopped(pid) if pid == main && init::leads_session() => {
                    send(main, Signal::SIGCONT as i32);
                }
                Event::Stopped(_) | Event::Timeout => {}
            }
        }
    }

    /// The next event, after at most `within`; the daemon's log is tended meanwhile.
    fn next_event(&mut self, within: Duration) -> nix::Result<Event> {
        let wake = self.daemon.as_mut().map(Daemon::tend_log);
        let (fd, tick) = wake.map_or((None, Duration::MAX), |wake| (wake.fd, wake.within));
        self.init.next(within.min(tick), fd)
    }

    /// Handles the end of another process than the command: an orphan, the daemon, or the check that restarts it.
    fn other_ended(&mut self, pid: Pid, code: u8, main: Pid) -> anyhow::Result<()> {
        if self.restarting == Some(pid) {
            self.restarting = None;
            self.daemon = take_over(self.host, pid.as_raw()).map(Daemon::new);
            say(if self.daemon.is_some() {
                "dockerd serves again"
            } else {
                "dockerd could not be started again"
            });
        } else if self.daemon.as_ref().is_some_and(|daemon| daemon.pid() == pid) {
            let dead = self.daemon.take();
            if let Some(dead) = &dead {
                dead.record(self.host);
            }
            say(&dead.map(|mut dead| dead.death_message(code)).unwrap_or_default());
            match self.request.on_death {
                DaemonDeath::Report => {}
                DaemonDeath::Restart if self.restarts >= MAX_RESTARTS => {
                    say("it died too often and is not restarted");
                }
                DaemonDeath::Restart => {
                    self.restarts += 1;
                    let mut check =
                        CheckRequest { outputs: Vec::new(), restart: true, ..self.request.check.clone() };
                    check.plan.only = RESTART.iter().map(ToString::to_string).collect();
                    self.restarting = Some(start_check(&check)?);
                }
                DaemonDeath::Stop => {
                    self.given_up = true;
                    say("the daemon died, so the command gets SIGTERM (--on-daemon-death stop)");
                    send(main, Signal::SIGTERM as i32);
                }
            }
        }
        Ok(())
    }

    /// Drops the daemon, which has ended.
    fn record_and_drop_daemon(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.record(self.host);
        }
    }

    /// Stops the daemon, and removes what it left.
    fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(check) = self.restarting.take() {
            send(check, Signal::SIGTERM as i32);
            self.ended_within(check, self.request.stop_timeout)?;
            self.daemon = take_over(self.host, check.as_raw()).map(Daemon::new);
        }
        if let Some(pid) = self.daemon.as_ref().map(Daemon::pid) {
            let began = Instant::now();
            send(pid, Signal::SIGTERM as i32);
            if self.ended_within(pid, self.request.stop_timeout)? {
                self.daemon.iter_mut().for_each(Daemon::finish_log);
                say(&format!("dockerd stopped within {}", seconds(began.elapsed())));
            } else {
                say(&format!("dockerd did not stop within {} and is killed", seconds(began.elapsed())));
                let _ = nix::sys::signal::killpg(pid, Signal::SIGKILL);
                self.ended_within(pid, KILL_TIMEOUT)?;
            }
            self.record_and_drop_daemon();
        }
        let engine =
            LiveEngine::new(self.host.clone(), Interrupt::default()).context("create the runtime")?;
        engine.recover(Recovery::SparingEtc);
        for left in crate::engine::Engine::leftovers(&engine) {
            say(&format!("left over: {left}"));
        }
        firewall::remove_links();
        Ok(())
    }

    /// Whether a process ends within this time; signals are ignored meanwhile.
    fn ended_within(&mut self, process: Pid, timeout: Duration) -> anyhow::Result<bool> {
        let end = Instant::now() + timeout;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.next_event(left)? {
                Event::Ended(pid, _) if pid == process => return Ok(true),
                Event::Timeout if left.is_zero() => return Ok(false),
                _ => {}
            }
        }
    }
}

/// Starts the child that checks and hands over its daemon.
fn start_check(request: &CheckRequest) -> anyhow::Result<Pid> {
    let argv = ["/proc/self/exe".to_owned(), "__check".to_owned(), serde_json::to_string(request)?];
    // stdout belongs to the command.
    let stderr = std::io::stderr().as_fd().try_clone_to_owned().context("duplicate stderr")?;
    init::start(&argv, ProcessGroup::Shared, Stdio::from(stderr)).context("start the check")
}

/// Whether a signal asks for the end.
fn asks_to_end(number: i32) -> bool {
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT]
        .iter()
        .any(|signal| *signal as i32 == number)
}

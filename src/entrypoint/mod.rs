//! What does dindcheck do as the entrypoint of an outer container? It checks, keeps the inner daemon, and is the init
//! of the command; when the command ends, it stops the daemon.
//!
//! The check runs in a child, which hands over a dockerd of its own: so this process has no thread and no runtime, and
//! stays small for as long as the container lives. Everything that falls to it ([`init`]) is reaped.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::engine::live::{LiveEngine, kept_by};
use crate::exit;
use crate::host::SystemReader;
use crate::host::live::Live;
use crate::interrupt::Interrupt;
use crate::options::PlanRequest;
use crate::profile::DaemonDeath;
use crate::text::seconds;

use daemon::Daemon;
use init::{Init, News, Place, by_signal, send};
use task::Task;

pub mod daemon;
pub mod firewall;
pub mod init;
pub mod task;
pub mod tls;

/// The steps of a daemon that is started once more.
const RESTART: [&str; 2] = ["daemon-start", "teardown"];
/// A daemon that dies more often is not started any more.
const RESTARTS: u32 = 5;
/// From SIGKILL to the end.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// What happens where the check fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OnFailure {
    /// The report is printed, and the exit code is the verdict's.
    Stop,
    /// The command runs all the same, without a daemon.
    Continue,
    /// A shell runs instead of the command, to look around.
    Shell,
}

/// What the child is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckRequest {
    /// The check.
    pub wishes: PlanRequest,
    /// Where its report goes besides stderr: the name of a format, and a file.
    pub outputs: Vec<(String, PathBuf)>,
    /// Where certificates are to be.
    pub certificates: Option<PathBuf>,
}

/// What was asked for.
pub struct Request {
    /// What is to be run.
    pub task: Task,
    /// The check.
    pub errand: CheckRequest,
    /// Where the check fails.
    pub on_failure: OnFailure,
    /// Where the daemon dies before the command.
    pub on_death: DaemonDeath,
    /// From SIGTERM to SIGKILL for the daemon.
    pub stop_timeout: Duration,
}

/// An entrypoint at work.
struct Entrypoint<'h> {
    host: &'h Live,
    init: Init,
    request: Request,
    daemon: Option<Daemon>,
    restarting: Option<Pid>,
    restarts: u32,
    given_up: bool,
}

/// Runs it to its end; the exit code is the command's once it ran.
pub fn run(host: &Live, request: Request) -> anyhow::Result<u8> {
    let init = Init::new().context("take the signals")?;
    Entrypoint { host, init, request, daemon: None, restarting: None, restarts: 0, given_up: false }.run()
}

impl Entrypoint<'_> {
    fn run(mut self) -> anyhow::Result<u8> {
        let check = start_check(&self.request.errand)?;
        let verdict = match self.follow_check(check)? {
            Ok(code) => code,
            Err(signal) => return Ok(by_signal(signal)),
        };
        self.daemon = kept_by(check.as_raw()).map(Daemon::new);
        let code = match (verdict, self.request.on_failure) {
            (exit::SOUND, _) => self.command(),
            (_, OnFailure::Stop) => Ok(verdict),
            (_, OnFailure::Shell) => self.shell().map(|_| verdict),
            (_, OnFailure::Continue) if self.request.task.command.is_empty() => Ok(verdict),
            (_, OnFailure::Continue) => {
                say("the command runs all the same, without a daemon (--on-failure continue)");
                self.command()
            }
        };
        self.stop()?;
        code.map(|code| if self.given_up { exit::BROKEN } else { code })
    }

    /// The verdict of the check; or the signal that ended it early.
    fn follow_check(&mut self, check: Pid) -> anyhow::Result<Result<u8, i32>> {
        let mut asked = None;
        loop {
            match self.init.next(Duration::from_secs(3600))? {
                News::Signal(number) => {
                    asked = asked.or(ends(number).then_some(number));
                    send(check, number);
                }
                News::Ended(pid, code) if pid == check => return Ok(asked.map_or(Ok(code), Err)),
                _ => {}
            }
        }
    }

    /// Runs the command to its end; it may be the daemon itself.
    fn command(&mut self) -> anyhow::Result<u8> {
        match (&mut self.daemon, self.request.task.command.clone()) {
            (Some(daemon), command) if command.is_empty() => {
                daemon.speaks = true;
                let pid = daemon.pid();
                let code = self.attend(pid)?;
                self.daemon = None;
                Ok(code)
            }
            (_, command) => self.beside(&command),
        }
    }

    /// Runs a shell to look around in.
    fn shell(&mut self) -> anyhow::Result<u8> {
        let shell = self.host.env("SHELL").filter(|shell| !shell.is_empty());
        let shell = shell.unwrap_or_else(|| "/bin/sh".to_owned());
        say(&format!(
            "{shell} runs instead of the command; `dindcheck` checks again, and the end is the end of this container"
        ));
        self.beside(&[shell])
    }

    /// Runs a program in the foreground.
    fn beside(&mut self, words: &[String]) -> anyhow::Result<u8> {
        let child = init::start(words, Place::Foreground, Stdio::inherit()).context("start the command")?;
        let code = self.attend(child);
        init::take_terminal();
        code
    }

    /// Looks after everything until this process ends; its code.
    fn attend(&mut self, main: Pid) -> anyhow::Result<u8> {
        loop {
            let tick = self.daemon.as_ref().map_or(Duration::from_secs(3600), Daemon::tick);
            match self.init.next(tick)? {
                News::Ended(pid, code) if pid == main => {
                    self.daemon.iter_mut().for_each(Daemon::look_after_log);
                    return Ok(code);
                }
                News::Ended(pid, code) => self.other(pid, code, main)?,
                // A terminal says these to us alone, for what we do in the background.
                News::Signal(number)
                    if number == Signal::SIGTTIN as i32 || number == Signal::SIGTTOU as i32 => {}
                News::Signal(number) => send(main, number),
                // Nobody else could ever wake it up.
                News::Stopped(pid) if pid == main && init::leads_session() => {
                    send(main, Signal::SIGCONT as i32);
                }
                News::Stopped(_) | News::Nothing => {}
            }
            if let Some(daemon) = &mut self.daemon {
                daemon.look_after_log();
            }
        }
    }

    /// Something else than the command ended: an orphan, the daemon, or the check that starts one anew.
    fn other(&mut self, pid: Pid, code: u8, main: Pid) -> anyhow::Result<()> {
        if self.restarting == Some(pid) {
            self.restarting = None;
            self.daemon = kept_by(pid.as_raw()).map(Daemon::new);
            say(if self.daemon.is_some() {
                "dockerd serves again"
            } else {
                "dockerd could not be started again"
            });
        } else if self.daemon.as_ref().is_some_and(|daemon| daemon.pid() == pid) {
            let dead = self.daemon.take();
            say(&dead.map(|mut dead| dead.obituary(code)).unwrap_or_default());
            match self.request.on_death {
                DaemonDeath::Report => {}
                DaemonDeath::Restart if self.restarts >= RESTARTS => {
                    say("it died too often, and is not started again");
                }
                DaemonDeath::Restart => {
                    self.restarts += 1;
                    let mut errand = CheckRequest { outputs: Vec::new(), ..self.request.errand.clone() };
                    errand.wishes.only = RESTART.iter().map(ToString::to_string).collect();
                    self.restarting = Some(start_check(&errand)?);
                }
                DaemonDeath::Stop => {
                    self.given_up = true;
                    say("the command is told to end, since the daemon died (--on-daemon-death stop)");
                    send(main, Signal::SIGTERM as i32);
                }
            }
        }
        Ok(())
    }

    /// Stops the daemon, and takes away what is left of it.
    fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(check) = self.restarting.take() {
            send(check, Signal::SIGTERM as i32);
            self.ended_within(check, self.request.stop_timeout)?;
            self.daemon = kept_by(check.as_raw()).map(Daemon::new);
        }
        if let Some(mut daemon) = self.daemon.take() {
            let began = Instant::now();
            send(daemon.pid(), Signal::SIGTERM as i32);
            if self.ended_within(daemon.pid(), self.request.stop_timeout)? {
                daemon.look_after_log();
                say(&format!("dockerd stopped within {}", seconds(began.elapsed())));
            } else {
                say(&format!("dockerd did not stop within {} and is killed", seconds(began.elapsed())));
                let _ = nix::sys::signal::killpg(daemon.pid(), Signal::SIGKILL);
                self.ended_within(daemon.pid(), LAST_MOMENT)?;
            }
        }
        let engine = LiveEngine::new(self.host.clone(), Interrupt::default()).context("make the runtime")?;
        engine.recover();
        for left in crate::engine::Engine::leftovers(&engine) {
            say(&format!("left over: {left}"));
        }
        firewall::remove_links();
        Ok(())
    }

    /// Whether a process ends in this time; signals change nothing about it.
    fn ended_within(&mut self, wanted: Pid, patience: Duration) -> anyhow::Result<bool> {
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.init.next(left)? {
                News::Ended(pid, _) if pid == wanted => return Ok(true),
                News::Nothing if left.is_zero() => return Ok(false),
                _ => {}
            }
        }
    }
}

/// Starts the child that checks, and hands over its daemon.
fn start_check(errand: &CheckRequest) -> anyhow::Result<Pid> {
    let words = ["/proc/self/exe".to_owned(), "__check".to_owned(), serde_json::to_string(errand)?];
    // stdout is the command's alone.
    let stderr = std::io::stderr().as_fd().try_clone_to_owned().context("use stderr")?;
    init::start(&words, Place::Here, Stdio::from(stderr)).context("start the check")
}

/// Whether a signal asks for the end.
fn ends(number: i32) -> bool {
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT]
        .iter()
        .any(|signal| *signal as i32 == number)
}

/// A word to the user: stdout is the command's.
pub(crate) fn say(text: &str) {
    anstream::eprintln!("dindcheck: {text}");
}

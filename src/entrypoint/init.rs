//! How is one process the parent of everything that falls to it? It takes every signal as data, reaps what ends, and
//! sends on what is meant for its command.
//!
//! docker-init does the reaping and forwarding as well, but ends with its one child: here there are two to be looked
//! after, and one of them is to end after the other.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgrp, getpid, getsid, setpgid, tcsetpgrp};

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// A signal, by its number: real-time ones have no name.
    Signal(i32),
    /// A process ended, with the code that a shell would give it.
    Ended(Pid, u8),
    /// A process was stopped, as by Ctrl-Z.
    Stopped(Pid),
    /// Nothing, for as long as was waited.
    Nothing,
}

/// The parent of everything that falls to it.
pub struct Init {
    signals: SignalFd,
    news: VecDeque<News>,
}

impl Init {
    /// Takes every signal from now on, and every orphan. What is started must give its signals back: [`becomes`].
    pub fn new() -> nix::Result<Self> {
        let mut all = SigSet::all();
        // These are our own faults.
        for fault in [
            Signal::SIGSEGV,
            Signal::SIGBUS,
            Signal::SIGFPE,
            Signal::SIGILL,
            Signal::SIGABRT,
            Signal::SIGTRAP,
        ] {
            all.remove(fault);
        }
        all.thread_block()?;
        let signals = SignalFd::with_flags(&all, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        if getpid().as_raw() != 1 {
            set_child_subreaper(true)?;
        }
        Ok(Self { signals, news: VecDeque::new() })
    }

    /// The next thing that comes, waited for at most so long.
    pub fn next(&mut self, within: Duration) -> nix::Result<News> {
        if let Some(news) = self.news.pop_front() {
            return Ok(news);
        }
        let timeout = PollTimeout::try_from(within).unwrap_or(PollTimeout::MAX);
        let mut ready = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        while let Some(signal) = self.signals.read_signal()? {
            let number = i32::try_from(signal.ssi_signo).unwrap_or_default();
            if number != Signal::SIGCHLD as i32 {
                self.news.push_back(News::Signal(number));
            }
        }
        self.reap()?;
        Ok(self.news.pop_front().unwrap_or(News::Nothing))
    }

    /// Takes leave of everything that ended; signals of the same kind come once for several.
    fn reap(&mut self) -> nix::Result<()> {
        loop {
            let news = match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::Exited(pid, code)) => {
                    News::Ended(pid, u8::try_from(code & 0xff).unwrap_or(u8::MAX))
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) => News::Ended(pid, by_signal(signal as i32)),
                Ok(WaitStatus::Stopped(pid, _)) => News::Stopped(pid),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(()),
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno),
            };
            self.news.push_back(news);
        }
    }
}

/// The code of a process that a signal ended.
pub fn by_signal(number: i32) -> u8 {
    u8::try_from(128 + number).unwrap_or(u8::MAX)
}

/// Sends a signal to a process; one that has ended needs none.
pub fn send(pid: Pid, number: i32) {
    if let Ok(signal) = Signal::try_from(number) {
        let _ = kill(pid, signal);
    } else {
        // A real-time signal, which no safe call sends.
        let words = ["kill".to_owned(), format!("-{number}"), pid.to_string()];
        let _ = start(&words, Place::Here, Stdio::null());
    }
}

/// How a child is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Among us: what a terminal sends comes to us too.
    Here,
    /// In a process group of its own, which has the terminal if there is one.
    Foreground,
}

/// Starts a program through the trampoline that gives it its signals and its place.
#[allow(clippy::disallowed_methods, reason = "an init starts what it is told to")]
pub fn start(words: &[String], place: Place, said: Stdio) -> std::io::Result<Pid> {
    let mut command = Command::new("/proc/self/exe");
    command.arg("__become");
    if place == Place::Foreground {
        command.arg("--foreground");
    }
    command.arg("--").args(words).stdout(said);
    let child = command.spawn()?;
    Ok(Pid::from_raw(i32::try_from(child.id()).unwrap_or_default()))
}

/// Takes the terminal back, where there is one.
pub fn take_terminal() {
    let _ = tcsetpgrp(std::io::stdin(), getpgrp());
}

/// Whether nobody but us could wake up what was stopped: we lead the session.
pub fn leads_session() -> bool {
    getsid(None) == Ok(getpid())
}

/// What the trampoline does: takes its place, gives back the signals, and becomes the program. Returns only with the
/// code of a shell for why it did not.
#[allow(clippy::disallowed_methods, reason = "a command is run as it was typed")]
pub fn becomes(foreground: bool, words: &[String]) -> u8 {
    if foreground {
        let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
        // SIGTTOU is still blocked, so that the terminal is given and does not stop us. Without a terminal: ENOTTY.
        let _ = tcsetpgrp(std::io::stdin(), getpgrp());
    }
    let _ = SigSet::empty().thread_set_mask();
    let Some((program, args)) = words.split_first() else {
        return 127;
    };
    let error = Command::new(program).args(args).exec();
    anstream::eprintln!("dindcheck: {program} cannot be run: {error}");
    if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 }
}

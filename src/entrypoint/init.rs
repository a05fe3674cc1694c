//! An init: takes every signal as data, reaps every process that ends, and forwards signals to its command.
//!
//! docker-init reaps and forwards as well, but ends with its one child. Here are two, the command and the daemon, and the
//! daemon has to be stopped after the command.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
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

/// An event that the init waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A signal, by its number: real-time signals have no name.
    Signal(i32),
    /// A process ended, with the code that a shell would give it.
    Ended(Pid, u8),
    /// A process was stopped, as by Ctrl-Z.
    Stopped(Pid),
    /// The time to wait is over, or what else was waited for is readable.
    Timeout,
}

/// The init: the parent of every orphan.
pub struct Init {
    signals: SignalFd,
    events: VecDeque<Event>,
}

impl Init {
    /// Takes every signal and every orphan from now on. Children must unblock the signals: [`exec_program`].
    ///
    /// # Errors
    ///
    /// Where a system call fails.
    pub fn new() -> nix::Result<Self> {
        let mut all = SigSet::all();
        // These report faults of this program.
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
        Ok(Self { signals, events: VecDeque::new() })
    }

    /// Waits for the next event, at most `within` and until `other` is readable.
    pub fn next(&mut self, within: Duration, other: Option<BorrowedFd<'_>>) -> nix::Result<Event> {
        if let Some(event) = self.events.pop_front() {
            return Ok(event);
        }
        let timeout = PollTimeout::try_from(within).unwrap_or(PollTimeout::MAX);
        let waited_for = [Some(self.signals.as_fd()), other];
        let mut ready: Vec<_> =
            waited_for.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut ready, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        while let Some(signal) = self.signals.read_signal()? {
            let number = i32::try_from(signal.ssi_signo).unwrap_or_default();
            if number != Signal::SIGCHLD as i32 {
                self.events.push_back(Event::Signal(number));
            }
        }
        self.reap()?;
        Ok(self.events.pop_front().unwrap_or(Event::Timeout))
    }

    /// Reaps every process that has ended: one SIGCHLD may stand for several.
    fn reap(&mut self) -> nix::Result<()> {
        loop {
            let event = match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED))
            {
                Ok(WaitStatus::Exited(pid, code)) => {
                    Event::Ended(pid, u8::try_from(code & 0xff).unwrap_or(u8::MAX))
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    Event::Ended(pid, exit_code_of_signal(signal as i32))
                }
                Ok(WaitStatus::Stopped(pid, _)) => Event::Stopped(pid),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(()),
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno),
            };
            self.events.push_back(event);
        }
    }
}

/// The exit code that a shell gives to a process that a signal ended.
pub fn exit_code_of_signal(number: i32) -> u8 {
    u8::try_from(128 + number).unwrap_or(u8::MAX)
}

/// Sends a signal to a process; one that has ended is ignored.
pub fn send(pid: Pid, number: i32) {
    if let Ok(signal) = Signal::try_from(number) {
        let _ = kill(pid, signal);
    } else {
        // A real-time signal, which nix cannot send.
        let argv = ["kill".to_owned(), format!("-{number}"), pid.to_string()];
        let _ = start(&argv, ProcessGroup::Shared, Stdio::null());
    }
}

/// The process group of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessGroup {
    /// Ours: signals from a terminal reach both.
    Shared,
    /// One of its own, which gets the terminal if there is one.
    Foreground,
}

/// Starts a program through the trampoline, which unblocks its signals and sets its process group.
///
/// # Errors
///
/// Where the trampoline cannot be started.
#[expect(clippy::disallowed_methods, reason = "an init starts any command")]
pub fn start(argv: &[String], group: ProcessGroup, stdout: Stdio) -> std::io::Result<Pid> {
    let mut command = Command::new("/proc/self/exe");
    command.arg("__become");
    if group == ProcessGroup::Foreground {
        command.arg("--foreground");
    }
    command.arg("--").args(argv).stdout(stdout);
    let child = command.spawn()?;
    Ok(Pid::from_raw(i32::try_from(child.id()).unwrap_or_default()))
}

/// Takes the terminal back, if there is one.
pub fn take_terminal() {
    let _ = tcsetpgrp(std::io::stdin(), getpgrp());
}

/// Whether we lead the session, so that nobody else can continue a stopped process.
pub fn leads_session() -> bool {
    getsid(None) == Ok(getpid())
}

/// The trampoline: sets the process group, unblocks the signals, and becomes the program. Returns only on failure, with
/// the exit code of a shell for it.
#[expect(clippy::disallowed_methods, reason = "a command is run as it was typed")]
pub fn exec_program(foreground: bool, argv: &[String]) -> u8 {
    if foreground {
        let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
        // SIGTTOU is still blocked, so this does not stop us. Without a terminal it fails with ENOTTY.
        let _ = tcsetpgrp(std::io::stdin(), getpgrp());
    }
    let _ = SigSet::empty().thread_set_mask();
    let Some((program, args)) = argv.split_first() else {
        return 127;
    };
    let error = Command::new(program).args(args).exec();
    crate::talk::survive_broken_pipe();
    crate::talk::say(&format!("cannot run {program}: {}", crate::text::errors::reason(&error)));
    if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 }
}

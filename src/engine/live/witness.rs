//! The witness of a run: a process that outlives a dindcheck which is killed, and records what its dockerd made until its
//! end. It removes nothing: that is the next run's.
//!
//! It holds the lock of the run with the run itself, and learns of the run's end from a pipe.
#![expect(clippy::disallowed_methods, reason = "this program itself, started again")]

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::engine::cleanup::others::Alive;
use crate::engine::cleanup::rundir::RunDir;
use crate::host::SystemReader;

use super::reclaim::{alive, record};

/// How long the dockerd of a killed run may take to end; it gets SIGTERM at the end of the run.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// How long what its dockerd started may take to end after that, and what answers then to be silent.
const LINGER: Duration = Duration::from_secs(1);
/// How often they are looked at.
const TICK: Duration = Duration::from_millis(20);
/// How long it may take to end after that.
const END_TIMEOUT: Duration = Duration::from_secs(3);
/// What a run writes where there may be something to record.
const LOOK: u8 = b'+';
/// What a run that ends in order writes.
const DONE: u8 = b'.';

/// A witness that was started.
#[derive(Debug)]
pub(super) struct Witness(Child);

impl Witness {
    /// Starts it for a run with a record and an account; `None` where no process can be started, or where the run has no lock to share.
    pub(super) fn start(dir: &RunDir) -> Option<Self> {
        let child = Command::new("/proc/self/exe")
            .arg("__witness")
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::from(dir.shared_lock()?))
            .stderr(Stdio::null())
            // What ends the run's process group does not end its witness.
            .process_group(0)
            .spawn();
        child.ok().map(Self)
    }
}

impl Witness {
    /// Lets it record what there is by now, without waiting for that.
    pub(super) fn look(&mut self) {
        if let Some(pipe) = &mut self.0.stdin {
            let _ = pipe.write_all(&[LOOK]);
        }
    }
}

impl Drop for Witness {
    /// Ends it: there is nothing left to record. A run that is killed drops nothing.
    fn drop(&mut self) {
        if let Some(mut pipe) = self.0.stdin.take() {
            let _ = pipe.write_all(&[DONE]);
        }
        let end = Instant::now() + END_TIMEOUT;
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program of a witness: records whenever the run asks for it, and after the end of the run until that of its dockerd.
pub fn observe(host: &dyn SystemReader, path: &Path) {
    ignore_signals();
    let dir = RunDir::at(path.to_owned());
    let mut requests = [0; 64];
    loop {
        match std::io::stdin().read(&mut requests) {
            Ok(0) | Err(_) => break,
            Ok(length) if requests[..length].contains(&DONE) => return,
            Ok(_) => {
                record(host, &dir);
            }
        }
    }
    // It may be killed itself before the dockerd ends.
    record(host, &dir);
    until(STOP_TIMEOUT, || alive(host, &dir) != Alive::Dockerd);
    // A containerd ends a moment later, and the last threads of a process hold its sockets as another daemon would.
    until(LINGER, || alive(host, &dir) == Alive::Nothing);
    until(LINGER, || record(host, &dir));
}

/// Tries until it holds, for so long.
fn until(within: Duration, holds: impl Fn() -> bool) {
    let end = Instant::now() + within;
    while !holds() && Instant::now() < end {
        std::thread::sleep(TICK);
    }
}

/// The signals that ask a run to end are the run's own business.
fn ignore_signals() {
    use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        signals.add(signal);
    }
    let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&signals), None);
}

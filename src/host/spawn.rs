//! How is a program run to its end, with a deadline, and nothing of it left behind?
#![allow(clippy::disallowed_methods, reason = "this is the door behind which the system is called")]

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::{HostError, HostResult, Ran};

/// The most that is kept of what a program prints.
const MAX_OUTPUT: u64 = 64 << 10;

/// Runs a program in a process group of its own, so that what it started ends with it at the deadline.
pub(super) fn run(program: &Path, args: &[&str], env: &[(&str, &str)], within: Duration) -> HostResult<Ran> {
    let mut child = Command::new(program)
        .args(args)
        .env("LC_ALL", "C")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| HostError::io("run", program, &error))?;
    let (closes, closed) = mpsc::channel();
    let stdout = collect(child.stdout.take(), closes.clone());
    let stderr = collect(child.stderr.take(), closes);
    let status =
        wait(&mut child, within, &closed).map_err(|errno| HostError::new("wait for", program, errno))?;
    Ok(Ran {
        code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        stdout: stdout.join().unwrap_or_default(),
        stderr: stderr.join().unwrap_or_default(),
    })
}

/// Reads a pipe to its end beside the waiting, so that a full pipe never blocks the child.
fn collect(
    pipe: Option<impl Read + Send + 'static>,
    closes: mpsc::Sender<()>,
) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let Some(mut pipe) = pipe else { return String::new() };
        let mut kept = Vec::new();
        let _ = pipe.by_ref().take(MAX_OUTPUT).read_to_end(&mut kept);
        let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        let _ = closes.send(());
        String::from_utf8_lossy(&kept).into_owned()
    })
}

/// Waits with a deadline. A pipe that closes mostly means that the program is about to end, so that the end is
/// noticed at once; one that closes its pipes and stays, or leaves them to a child, is looked at from time to
/// time.
fn wait(
    child: &mut Child,
    within: Duration,
    closed: &mpsc::Receiver<()>,
) -> Result<std::process::ExitStatus, Errno> {
    const SHORT: Duration = Duration::from_micros(200);
    let end = Instant::now() + within;
    let mut pause = SHORT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < end => {}
            Ok(None) => {
                kill_group(child);
                return Err(Errno::ETIMEDOUT);
            }
            Err(error) => return Err(Errno::from_raw(error.raw_os_error().unwrap_or(Errno::ECHILD as i32))),
        }
        pause = match closed.recv_timeout(pause) {
            Ok(()) => SHORT,
            Err(mpsc::RecvTimeoutError::Timeout) => (pause * 3 / 2).min(Duration::from_millis(10)),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                std::thread::sleep(pause);
                (pause * 3 / 2).min(Duration::from_millis(10))
            }
        };
    }
}

/// Ends the child's whole group and reaps the child.
fn kill_group(child: &mut Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
    let _ = child.wait();
}

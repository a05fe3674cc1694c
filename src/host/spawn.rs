//! Runs a program to its end with a deadline; at the deadline its whole process group is killed.
#![expect(clippy::disallowed_methods, reason = "checks and repairs call the operating system here")]

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::{HostError, HostResult, Ran};

/// The bytes that are kept of each output of a program; the rest is read and dropped, and [`Ran::truncated`] says so.
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
    let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
    Ok(Ran {
        code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        truncated: stdout.truncated || stderr.truncated,
        stdout: stdout.text,
        stderr: stderr.text,
    })
}

/// What a program wrote to one of its pipes.
#[derive(Default)]
struct Output {
    text: String,
    truncated: bool,
}

/// Reads a pipe to its end beside the waiting, so that a full pipe never blocks the child.
fn collect(
    pipe: Option<impl Read + Send + 'static>,
    closes: mpsc::Sender<()>,
) -> std::thread::JoinHandle<Output> {
    std::thread::spawn(move || {
        let Some(mut pipe) = pipe else { return Output::default() };
        let mut kept = Vec::new();
        let _ = pipe.by_ref().take(MAX_OUTPUT).read_to_end(&mut kept);
        let dropped = std::io::copy(&mut pipe, &mut std::io::sink()).unwrap_or(0);
        let _ = closes.send(());
        Output { text: String::from_utf8_lossy(&kept).into_owned(), truncated: dropped > 0 }
    })
}

/// Waits with a deadline. A closed pipe mostly means that the program is about to end, so that the end is noticed at
/// once; a program that closes its pipes and goes on, or leaves them to a child, is polled every 10 ms.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> HostResult<Ran> {
        run(Path::new("/bin/sh"), &["-c", script], &[], Duration::from_secs(10))
    }

    #[test]
    fn output_up_to_the_limit_is_whole_and_beyond_it_truncated() {
        let whole = sh("head -c 65536 /dev/zero | tr '\\0' x").unwrap();
        assert_eq!((whole.stdout.len(), whole.truncated), (65536, false));
        assert!(whole.whole_stdout(Path::new("/bin/sh")).is_ok());
        for script in ["head -c 65537 /dev/zero | tr '\\0' x", "head -c 999999 /dev/zero >&2"] {
            let ran = sh(script).unwrap();
            assert!(ran.code == 0 && ran.truncated && ran.stdout.len().max(ran.stderr.len()) == 65536);
            assert_eq!(ran.whole_stdout(Path::new("/bin/sh")).unwrap_err().errno(), Errno::EFBIG);
        }
    }

    #[test]
    fn program_that_outlives_its_deadline_is_killed_with_its_children() {
        let error =
            run(Path::new("/bin/sh"), &["-c", "sleep 9 & wait"], &[], Duration::from_millis(30)).unwrap_err();
        assert_eq!(error.errno(), Errno::ETIMEDOUT);
    }
}

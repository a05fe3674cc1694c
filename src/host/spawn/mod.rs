//! Runs a program to its end with a deadline; at the deadline its whole process group is killed.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use std::os::unix::process::{CommandExt, ExitStatusExt};

use nix::errno::Errno;

use super::{HostError, HostResult, Ran, bounded};

mod outputs;
mod running;

use outputs::Outputs;
use running::Running;

/// The bytes that are kept of each output of a program; the rest is read and dropped, and [`Ran::truncated`] says so.
/// `iptables-save` prints thousands of rules on some machines.
pub(super) const MAX_OUTPUT: usize = 4 << 20;
/// The same for a program that is run for its version.
pub(super) const MAX_VERSION: usize = 64 << 10;
/// The longest wait for what a program leaves after its end or after SIGKILL: a child that holds its pipes, or itself
/// where it cannot be killed (state D of `proc_pid_stat(5)`).
const GRACE: Duration = Duration::from_millis(500);
/// The longest pause between two looks at a program that neither writes nor closes its pipes.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

/// A program to run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order<'o> {
    /// Its path.
    pub(super) program: &'o Path,
    /// Its arguments.
    pub(super) args: &'o [&'o str],
    /// Variables besides the inherited ones.
    pub(super) env: &'o [(&'o str, &'o str)],
    /// The time within which it has to end.
    pub(super) within: Duration,
    /// The bytes that are kept of each of its outputs.
    pub(super) keep: usize,
}

/// Runs a program in a process group of its own, so that what it started ends with it at the deadline. Returns at most
/// [`GRACE`] after the deadline, even where a descendant left the group and holds the pipes, or the program cannot be
/// killed. Where such a descendant outlives the program, what was written so far is returned as truncated.
pub(super) fn run(order: Order<'_>) -> HostResult<Ran> {
    let failed = |op: &'static str| move |errno| HostError::new(op, order.program, errno);
    running::admit().map_err(failed("run"))?;
    let mut running = start(order)?;
    let mut outputs = Outputs::of(running.child(), order.keep).map_err(failed("read the output of"))?;
    let status = wait(&mut running, &mut outputs, order.within).map_err(failed("wait for"))?;
    let (stdout, stderr, truncated) = outputs.into_parts();
    Ok(Ran {
        code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
        truncated,
    })
}

/// Starts the program. One that is started after the start was given up is killed at once.
fn start(order: Order<'_>) -> HostResult<Running> {
    let mut command = command(order);
    bounded::call("run", order.program, move |program| {
        command.spawn().map(Running::new).map_err(|error| HostError::io("run", program, &error))
    })
}

/// The program with pipes for its outputs.
#[expect(clippy::disallowed_methods, reason = "checks and repairs call the operating system here")]
fn command(order: Order<'_>) -> Command {
    let mut command = Command::new(order.program);
    command.args(order.args).env("LC_ALL", "C").envs(order.env.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    command
}

/// Waits for the end of the program, and then shortly for the end of its outputs. A program that ends closes its pipes,
/// so that its end is noticed at once; one that closes them earlier, or leaves them to a child, is looked at every 10 ms.
fn wait(running: &mut Running, outputs: &mut Outputs, within: Duration) -> Result<ExitStatus, Errno> {
    const SHORTEST_PAUSE: Duration = Duration::from_micros(200);
    let end = Instant::now() + within;
    let mut pause = SHORTEST_PAUSE;
    while !running.has_ended()? {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Errno::ETIMEDOUT);
        }
        let moved = outputs.read(pause.min(left))?;
        pause = if moved { SHORTEST_PAUSE } else { (pause * 3 / 2).min(LONGEST_PAUSE) };
    }
    let held = outputs.finish(GRACE)?;
    running.reap(held)
}

#[cfg(test)]
mod tests;

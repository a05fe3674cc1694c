//! Are the limits of this container enforced? Each is run against: a limit that only stands in a file protects
//! nobody.
//!
//! The memory is eaten by a child that offers itself to the kernel's killer; the processes are threads, which the
//! pids controller counts as well (Documentation/admin-guide/cgroup-v1/pids.rst); the processor is spun for a
//! window of a few periods.
#![expect(clippy::disallowed_methods, reason = "inside the container that is looked at, there is no door")]

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::alarm;
use serde::{Deserialize, Serialize};

use crate::facts::cgroup::ROOT;
use crate::host::SystemReader;

/// The word that makes the probe eat memory.
pub const EAT: &str = "eat";
/// How much more than the limit is asked for.
const BEYOND: u64 = 32 << 20;
/// A page at most: one byte in each makes the kernel give them all.
const PAGE: usize = 4096;
/// What is taken at once.
const BITE: usize = 1 << 20;
/// No eater takes longer, in seconds.
const PATIENCE: u32 = 10;
/// How long the parent may take to sit down and wait.
const SETTLED: Duration = Duration::from_millis(500);
/// How long the processor is spun: a few periods of the quota.
const WINDOW: Duration = Duration::from_millis(60);
/// Enough for a thread that only waits.
const STACK: usize = 64 << 10;

/// The limits that the container was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Bytes.
    pub memory: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Hundredths of a processor.
    pub cpu_percent: u64,
}

/// What came of running against them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory.
    pub memory: Eaten,
    /// Processes.
    pub pids: Spawned,
    /// Processor.
    pub cpu: Spun,
}

/// How the eater ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eaten {
    /// Bytes that it was to take.
    pub asked: u64,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Its exit code; 0 says that it got everything.
    pub code: Option<i32>,
    /// The cgroup's own count of processes killed for memory.
    pub kills: Option<u64>,
    /// Why it could not be tried.
    pub error: Option<String>,
}

/// How many threads there were when no more were given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spawned {
    /// How many were asked for.
    pub asked: u64,
    /// How many there were at once, the first included.
    pub got: u64,
    /// The errno of the refusal.
    pub errno: Option<i32>,
}

/// How much processor was had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spun {
    /// From first to last look, in microseconds.
    pub window_us: u64,
    /// Processor time in it, in microseconds.
    pub used_us: u64,
    /// Periods in which the quota was used up, by the cgroup's own count.
    pub throttled: Option<u64>,
}

/// Runs against each.
pub fn run_against(host: &dyn SystemReader, wanted: &Wanted) -> Limits {
    let cpu = spin(host);
    let pids = spawn(2 * wanted.pids);
    Limits { memory: feed(host, wanted.memory + BEYOND), pids, cpu }
}

/// Spins for the window.
fn spin(host: &dyn SystemReader) -> Spun {
    let throttled = || number_after(host, &["cpu.stat", "cpu/cpu.stat"], "nr_throttled");
    let before = throttled();
    let (start, used) = (Instant::now(), used_us());
    let mut sum = 0_u64;
    while start.elapsed() < WINDOW {
        sum = black_box(sum.wrapping_mul(31).wrapping_add(7));
    }
    Spun {
        window_us: u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
        used_us: used_us().saturating_sub(used),
        throttled: throttled().zip(before).map(|(after, before)| after.saturating_sub(before)),
    }
}

/// The processor time of this process so far.
fn used_us() -> u64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return 0 };
    let us = |time: nix::sys::time::TimeVal| {
        u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or_default()
    };
    us(usage.user_time()) + us(usage.system_time())
}

/// Starts threads that wait, until no more are given.
fn spawn(most: u64) -> Spawned {
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock();
    let mut threads = Vec::new();
    let mut errno = None;
    for _ in 0..most {
        let gate = Arc::clone(&gate);
        let waits = move || drop(gate.lock());
        match thread::Builder::new().stack_size(STACK).spawn(waits) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                errno = error.raw_os_error();
                break;
            }
        }
    }
    let got = threads.len() as u64 + 1;
    drop(closed);
    for thread in threads {
        let _ = thread.join();
    }
    Spawned { asked: most, got, errno }
}

/// Has a child take so much memory, and sleeps until it has ended: whoever takes a page while the kernel is short of them
/// may be killed beside the child, which is passed over from the moment when its memory is on its way back, and not yet
/// there (mm/mmap.c, `exit_mmap` sets `MMF_OOM_SKIP` before it gives the pages back). A page of this program's own text,
/// which the shortage took, is enough.
fn feed(host: &dyn SystemReader, asked: u64) -> Eaten {
    let mut eaten = Eaten { asked, signal: None, code: None, kills: None, error: None };
    let child = Command::new("/proc/self/exe")
        .args(["probe", EAT, &asked.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    match child.and_then(|mut child| child.wait()) {
        Ok(status) => (eaten.signal, eaten.code) = (status.signal(), status.code()),
        Err(error) => eaten.error = Some(error.to_string()),
    }
    eaten.kills = number_after(host, &["memory.events", "memory/memory.oom_control"], "oom_kill");
    eaten
}

/// Takes so many bytes and touches every page of them; the exit code.
pub fn eat(words: &[String]) -> u8 {
    // Whatever is short of memory, this process goes first.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let Some(bytes) = words.first().and_then(|word| word.parse::<usize>().ok()) else { return 2 };
    await_sleep(&format!("/proc/{}/stat", nix::unistd::getppid()));
    // Nobody looks at the clock meanwhile: SIGALRM ends it.
    alarm::set(PATIENCE);
    let mut taken = Vec::new();
    while taken.len() * BITE < bytes {
        let mut bite = vec![0_u8; BITE];
        bite.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
        taken.push(black_box(bite));
    }
    alarm::cancel();
    0
}

/// Waits until a process sleeps, and does so still a moment later: the parent has nothing to do then but to wait. Whether
/// it came to that.
fn await_sleep(stat: &str) -> bool {
    let sleeps = || {
        let line = std::fs::read_to_string(stat).unwrap_or_default();
        line.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('S'))
    };
    let (start, mut looks) = (Instant::now(), 0);
    while looks < 2 && start.elapsed() < SETTLED {
        thread::sleep(Duration::from_millis(1));
        looks = if sleeps() { looks + 1 } else { 0 };
    }
    looks == 2
}

/// The number behind a word, in the first of these files of the cgroup that is there.
fn number_after(host: &dyn SystemReader, files: &[&str], word: &str) -> Option<u64> {
    let text = files.iter().find_map(|file| host.read_text(&Path::new(ROOT).join(file)).ok())?;
    text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn counts_are_read_by_their_whole_name() {
        let host = Fake::new()
            .file("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
            .file("/sys/fs/cgroup/cpu/cpu.stat", "nr_periods 9\nnr_throttled 4\nthrottled_time 1\n");
        assert_eq!(number_after(&host, &["memory.events", "memory/memory.oom_control"], "oom_kill"), Some(3));
        assert_eq!(number_after(&host, &["cpu.stat", "cpu/cpu.stat"], "nr_throttled"), Some(4));
        assert_eq!(number_after(&host, &["absent"], "x"), None);
    }

    #[test]
    fn threads_are_counted_and_the_processor_is_measured() {
        assert_eq!(spawn(3), Spawned { asked: 3, got: 4, errno: None });
        let spun = spin(&Fake::new());
        assert!(spun.window_us >= 60_000 && spun.used_us > 0 && spun.throttled.is_none(), "{spun:?}");
    }

    #[test]
    fn a_process_that_sleeps_is_known() {
        let mut sleeper = Command::new("sleep").arg("9").spawn().unwrap();
        let asleep = await_sleep(&format!("/proc/{}/stat", sleeper.id()));
        sleeper.kill().unwrap();
        assert!(asleep && !await_sleep(&format!("/proc/{}/stat", sleeper.id())), "a zombie does not sleep");
        sleeper.wait().unwrap();
        assert!(!await_sleep("/nothing"));
    }

    #[test]
    fn a_small_meal_is_digested() {
        assert_eq!(eat(&["1".to_owned()]), 0);
        assert_eq!(eat(&[]), 2);
    }
}

//! Exceeds the limits of the container, to see that the kernel enforces them.
//!
//! A child with the highest OOM score allocates memory; threads stand for processes, since the pids controller counts them
//! as well (Documentation/admin-guide/cgroup-v1/pids.rst); a busy loop uses the processor for a few periods of the quota.
#![expect(clippy::disallowed_methods, reason = "the probe runs inside the container and changes only that")]

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

/// The argument with which the probe allocates memory.
pub const ALLOCATE: &str = "eat";
/// The bytes that are allocated beyond the limit.
const BEYOND: u64 = 32 << 20;
/// The smallest page size, in bytes: one write in each makes the kernel provide every page.
const PAGE: usize = 4096;
/// The bytes of one allocation.
const CHUNK: usize = 1 << 20;
/// The deadline of the allocation, in seconds.
const ALLOCATE_SECONDS: u32 = 10;
/// The longest wait until the parent sleeps in wait(2).
const PARENT_SLEEPS_WITHIN: Duration = Duration::from_millis(500);
/// The duration of the busy loop: a few periods of the quota.
const WINDOW: Duration = Duration::from_millis(60);
/// The stack of a thread that only waits, in bytes.
const STACK: usize = 64 << 10;

/// The limits of the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsRequest {
    /// Memory in bytes.
    pub memory: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Percent of one processor.
    pub cpu_percent: u64,
    /// Leaves the memory limit alone: the outer container has too little left to exceed it.
    #[serde(default)]
    pub spares_memory: bool,
}

/// The results of exceeding each limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The memory limit.
    pub memory: MemoryResult,
    /// The limit of processes.
    pub pids: ThreadsResult,
    /// The CPU limit.
    pub cpu: CpuResult,
}

/// How the child that allocates memory ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryResult {
    /// The bytes that it was to allocate.
    pub asked: u64,
    /// The signal that ended it: 9 where it was OOM-killed.
    pub signal: Option<i32>,
    /// The exit code; 0 where it could allocate everything.
    pub code: Option<i32>,
    /// The number of OOM kills that the cgroup counts.
    pub kills: Option<u64>,
    /// Why the child could not be started.
    pub error: Option<String>,
}

/// The number of threads that could be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadsResult {
    /// The number that was to be started.
    pub asked: u64,
    /// The number that existed at once, with the main thread.
    pub got: u64,
    /// The errno of the refusal.
    pub errno: Option<i32>,
}

/// The processor time of the busy loop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuResult {
    /// The wall time of the loop, in microseconds.
    pub window_us: u64,
    /// The processor time in it, in microseconds.
    pub used_us: u64,
    /// The periods in which the cgroup counts the quota as used up.
    pub throttled: Option<u64>,
}

/// Exceeds each limit; the memory last, since the OOM killer may end the probe as well.
pub fn exceed(host: &dyn SystemReader, limits: &LimitsRequest) -> Limits {
    let cpu = spin(host);
    let pids = spawn(2 * limits.pids);
    let memory = if limits.spares_memory {
        MemoryResult { asked: 0, signal: None, code: None, kills: None, error: None }
    } else {
        exceed_memory(host, limits.memory + BEYOND)
    };
    Limits { memory, pids, cpu }
}

/// Runs the busy loop.
fn spin(host: &dyn SystemReader) -> CpuResult {
    let throttled = || number_after(host, &["cpu.stat", "cpu/cpu.stat"], "nr_throttled");
    let before = throttled();
    let (start, used) = (Instant::now(), used_us());
    let mut sum = 0_u64;
    while start.elapsed() < WINDOW {
        sum = black_box(sum.wrapping_mul(31).wrapping_add(7));
    }
    CpuResult {
        window_us: u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
        used_us: used_us().saturating_sub(used),
        throttled: throttled().zip(before).map(|(after, before)| after.saturating_sub(before)),
    }
}

/// The processor time of this process so far, in microseconds.
fn used_us() -> u64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return 0 };
    let us = |time: nix::sys::time::TimeVal| {
        u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or_default()
    };
    us(usage.user_time()) + us(usage.system_time())
}

/// Starts threads that wait, until the kernel refuses.
fn spawn(most: u64) -> ThreadsResult {
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
    ThreadsResult { asked: most, got, errno }
}

/// Lets a child allocate memory, and sleeps until it ended. A process that needs a page meanwhile may be OOM-killed beside
/// the child: the OOM killer skips a victim whose memory is being released but is not free yet (mm/mmap.c, `exit_mmap`
/// sets `MMF_OOM_SKIP` before it frees the pages). Reading back an evicted page of this program's own text is enough.
fn exceed_memory(host: &dyn SystemReader, bytes: u64) -> MemoryResult {
    let mut result = MemoryResult { asked: bytes, signal: None, code: None, kills: None, error: None };
    let child = Command::new("/proc/self/exe")
        .args(["probe", ALLOCATE, &bytes.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    match child.and_then(|mut child| child.wait()) {
        Ok(status) => (result.signal, result.code) = (status.signal(), status.code()),
        Err(error) => result.error = Some(error.to_string()),
    }
    result.kills = number_after(host, &["memory.events", "memory/memory.oom_control"], "oom_kill");
    result
}

/// Allocates the number of bytes in the first argument and writes to every page; returns the exit code.
pub fn allocate(args: &[String]) -> u8 {
    // The OOM killer takes this process first.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let Some(bytes) = args.first().and_then(|arg| arg.parse::<usize>().ok()) else { return 2 };
    await_sleep(&format!("/proc/{}/stat", nix::unistd::getppid()));
    // SIGALRM ends this process at the deadline.
    alarm::set(ALLOCATE_SECONDS);
    let mut chunks = Vec::new();
    while chunks.len() * CHUNK < bytes {
        let mut chunk = vec![0_u8; CHUNK];
        chunk.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
        chunks.push(black_box(chunk));
    }
    alarm::cancel();
    0
}

/// Waits until a process sleeps in two consecutive samples, which means that it waits for its child. Returns whether it
/// did before the deadline.
fn await_sleep(stat: &str) -> bool {
    let sleeps = || {
        let line = std::fs::read_to_string(stat).unwrap_or_default();
        line.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('S'))
    };
    let (start, mut samples) = (Instant::now(), 0);
    while samples < 2 && start.elapsed() < PARENT_SLEEPS_WITHIN {
        thread::sleep(Duration::from_millis(1));
        samples = if sleeps() { samples + 1 } else { 0 };
    }
    samples == 2
}

/// The number after a key, in the first of these files of the cgroup that exists.
fn number_after(host: &dyn SystemReader, files: &[&str], key: &str) -> Option<u64> {
    let text = files.iter().find_map(|file| host.read_text(&Path::new(ROOT).join(file)).ok())?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn count_is_found_by_its_whole_key() {
        let host = Fake::new()
            .file("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
            .file("/sys/fs/cgroup/cpu/cpu.stat", "nr_periods 9\nnr_throttled 4\nthrottled_time 1\n");
        assert_eq!(number_after(&host, &["memory.events", "memory/memory.oom_control"], "oom_kill"), Some(3));
        assert_eq!(number_after(&host, &["cpu.stat", "cpu/cpu.stat"], "nr_throttled"), Some(4));
        assert_eq!(number_after(&host, &["absent"], "x"), None);
    }

    #[test]
    fn threads_are_counted_and_processor_time_is_measured() {
        assert_eq!(spawn(3), ThreadsResult { asked: 3, got: 4, errno: None });
        let spun = spin(&Fake::new());
        assert!(spun.window_us >= 60_000 && spun.used_us > 0 && spun.throttled.is_none(), "{spun:?}");
    }

    #[test]
    fn sleeping_process_is_recognized() {
        let mut sleeper = Command::new("sleep").arg("9").spawn().unwrap();
        let asleep = await_sleep(&format!("/proc/{}/stat", sleeper.id()));
        sleeper.kill().unwrap();
        assert!(asleep && !await_sleep(&format!("/proc/{}/stat", sleeper.id())), "a zombie does not sleep");
        sleeper.wait().unwrap();
        assert!(!await_sleep("/nothing"));
    }

    #[test]
    fn small_allocation_succeeds_and_missing_size_is_an_error() {
        assert_eq!(allocate(&["1".to_owned()]), 0);
        assert_eq!(allocate(&[]), 2);
    }
}

//! The bed: Debian trees with an engine in each, an outer engine, and the scripts of tests/bed that make both.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A suite of Debian, by which kernels, trees and engines are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Suite {
    /// Docker 20.10.24, kernel 6.1.
    Bookworm,
    /// Docker 26.1.5, kernel 6.12.
    Trixie,
    /// Docker 28.5.2, kernel 7.2.
    Forky,
}

pub(crate) use Suite::{Bookworm, Forky, Trixie};

/// All of them, oldest engine first.
pub(crate) const SUITES: &[Suite] = &[Bookworm, Trixie, Forky];

/// The oldest engine and the newest: enough where their words differ and nothing else does.
pub(crate) const ENDS: &[Suite] = &[Bookworm, Forky];

impl Suite {
    /// The name of its tree.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Bookworm => "bookworm",
            Trixie => "trixie",
            Forky => "forky",
        }
    }

    /// The version of its engine, without Debian's suffix.
    pub(crate) fn engine(self) -> &'static str {
        match self {
            Bookworm => "20.10.24",
            Trixie => "26.1.5",
            Forky => "28.5.2",
        }
    }

    /// The version of its kernel.
    pub(crate) fn kernel(self) -> &'static str {
        match self {
            Bookworm => "6.1",
            Trixie => "6.12",
            Forky => "7.2",
        }
    }
}

/// Where the bed keeps its trees.
pub(crate) fn dir() -> PathBuf {
    std::env::var_os("DINDCHECK_BED").map_or_else(|| PathBuf::from("/var/cache/dindcheck"), PathBuf::from)
}

/// A script of the bed.
pub(crate) fn script(name: &str) -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed").join(name))
}

/// Calls a script of the bed; its standard output. Fails the test where the script fails.
#[track_caller]
pub(crate) fn call(name: &str, args: &[&str]) -> String {
    let out = script(name).args(args).output().expect("bash");
    assert!(out.status.success(), "{name} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// `docker ARGS` of the outer engine.
pub(crate) fn docker(args: &[&str]) -> Command {
    let mut command = script("engine.sh");
    command.arg("docker").args(args);
    command
}

/// What `docker ARGS` of the outer engine prints. Fails the test where it fails.
#[track_caller]
pub(crate) fn docker_output(args: &[&str]) -> String {
    call("engine.sh", &[&["docker"], args].concat()).trim().to_owned()
}

/// `docker build -t TAG` of a folder with a Dockerfile.
#[track_caller]
pub(crate) fn build(tag: &str, dir: &Path) {
    let mut tar =
        Command::new("tar").arg("-C").arg(dir).args(["-c", "."]).stdout(Stdio::piped()).spawn().expect("tar");
    let context = tar.stdout.take().expect("the context");
    let built = docker(&["build", "-q", "-t", tag, "-"]).stdin(context).output().expect("docker");
    assert!(tar.wait().expect("tar").success());
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// A line of the outer engine's status: its value.
fn status(key: &str) -> String {
    let status = call("engine.sh", &["status"]);
    let value = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {key} in {status}")).to_owned()
}

/// The outer engine's socket on this machine.
pub(crate) fn socket() -> String {
    status("socket")
}

/// The directory that outer containers see as /share, with the program under test in it.
pub(crate) fn share() -> &'static Path {
    static SHARE: OnceLock<PathBuf> = OnceLock::new();
    SHARE.get_or_init(|| {
        let share = status("share");
        let share = PathBuf::from(share.split(' ').next().expect("a path"));
        // A running program cannot be overwritten, but another can take its place.
        let aside = share.join(format!("dindcheck.{}", std::process::id()));
        std::fs::copy(super::program(), &aside).expect("copy the program");
        std::fs::rename(&aside, share.join("dindcheck")).expect("put it into place");
        share
    })
}

/// Whether this machine itself lacks `CAP_SYS_RESOURCE`, and so every container on it.
pub(crate) fn machine_lacks_sys_resource() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let bound = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).expect("CapBnd");
    u64::from_str_radix(bound.trim(), 16).expect("hex") & 1 << 24 == 0
}

/// Asks every 50 ms until the answer is yes; `false` where it never is within the deadline.
pub(crate) fn until(deadline: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + deadline;
    while !holds() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

/// The command's output, or `None` where it does not end within the deadline and is sent SIGTERM.
pub(crate) fn within(mut command: Command, deadline: Duration) -> Option<Output> {
    let streams = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = streams.spawn().expect("the bed's script starts");
    let id = child.id().to_string();
    let waiter = std::thread::spawn(move || child.wait_with_output());
    if !until(deadline, || waiter.is_finished()) {
        let _ = Command::new("kill").arg(&id).status();
        return None;
    }
    waiter.join().expect("the waiter ends").ok()
}

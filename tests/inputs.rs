//! What the program reads that is no ordinary file: pipes, devices, and files on a mount whose server is gone. It always
//! ends in time, and says what it could not read.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests make files and run programs")]

use std::ffi::OsString;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::mount::MsFlags;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

const SOUND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/worlds/healthy-trixie.json");
/// Longer than any of these runs takes on a busy machine, and shorter than a run that hangs.
const SOON: Duration = Duration::from_secs(20);

/// A directory with a `dockerd` that only knows its version.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let dockerd = place.at("dockerd");
        std::fs::write(&dockerd, "#!/bin/sh\necho Docker version 28.5.2, build 1\n").unwrap();
        std::fs::set_permissions(&dockerd, PermissionsExt::from_mode(0o755)).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn pipe(&self) -> PathBuf {
        let path = self.at("pipe");
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        path
    }

    fn start(&self, args: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dindcheck"));
        command.args(args).env_remove("DINDCHECK_PROFILE").env_remove("DINDCHECK_REPAIR");
        command.env("PATH", format!("{}:/usr/bin:/bin", self.0.path().display()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The plan with this file as daemon.json.
    fn plan(&self, config: &Path) -> (Output, String) {
        let config = format!("--config-file={}", config.display());
        let output = in_time(self.start(&["plan", "--", &config]));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output, text)
    }
}

/// The output of a program that has to end soon.
fn in_time(mut child: Child) -> Output {
    drop(child.stdin.take());
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > SOON {
            child.kill().unwrap();
            panic!("it hangs");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn named_pipe_as_daemon_json_is_said_and_its_writer_lives() {
    let place = Place::new();
    let pipe = place.pipe();
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::OpenOptions::new().write(true).open(pipe)?.write_all(b"{}\n")
    });
    std::thread::sleep(Duration::from_millis(100));
    let (output, text) = place.plan(&pipe);
    assert!(output.status.success() && text.contains("named pipe"), "{output:?}");
    assert!(!writer.is_finished(), "nobody has read what dockerd is to read");
    assert_eq!(std::fs::read(&pipe).unwrap(), b"{}\n");
    writer.join().unwrap().unwrap();
}

#[test]
fn endless_device_as_daemon_json_is_said() {
    let place = Place::new();
    let (output, text) = place.plan(Path::new("/dev/zero"));
    assert!(output.status.success() && text.contains("EFBIG"), "{output:?}");
    let (output, text) = place.plan(Path::new("/dev/ptmx"));
    assert!(output.status.success() && text.contains("EINVAL"), "{output:?}");
}

#[test]
fn inputs_may_be_pipes() {
    let place = Place::new();
    let run = |args: &[&str], input: &[u8]| {
        let mut child = place.start(args);
        child.stdin.take().unwrap().write_all(input).unwrap();
        in_time(child)
    };
    let replayed = run(&["--replay", "/dev/stdin", "--format", "json"], &std::fs::read(SOUND).unwrap());
    assert_eq!(replayed.status.code(), Some(0), "{replayed:?}");
    let profile = run(&["profile", "validate", "/dev/stdin"], b"extends: nonsense\n");
    assert_eq!(profile.status.code(), Some(64), "{profile:?}");
    assert!(String::from_utf8_lossy(&profile.stderr).contains("`nonsense` is not a valid profile"));
    let log = run(&["diagnose", "/dev/stdin"], b"failed to find runc binary\n");
    assert!(String::from_utf8_lossy(&log.stdout).contains("runc-program-missing"), "{log:?}");
}

#[test]
fn followed_pipe_is_diagnosed_while_its_writer_is_silent() {
    let place = Place::new();
    let pipe = place.pipe();
    let mut child = place.start(&["diagnose", "--follow", pipe.to_str().unwrap()]);
    let mut writer = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    writer.write_all(b"failed to find runc binary\n").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(child.try_wait().unwrap(), None);
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let output = in_time(child);
    assert!(String::from_utf8_lossy(&output.stdout).contains("runc-program-missing"), "{output:?}");
}

#[test]
fn path_with_bytes_that_are_not_utf8_is_searched() {
    let place = Place::new();
    let mut path = b"/odd\xff:".to_vec();
    path.extend(place.0.path().as_os_str().as_encoded_bytes());
    let mut command = Command::new(env!("CARGO_BIN_EXE_dindcheck"));
    command.arg("plan").env("PATH", OsString::from_vec(path)).env_remove("DINDCHECK_PROFILE");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !text.contains("dockerd is not in PATH"), "{output:?}");
}

/// Mounts a FUSE file system that nobody serves, in a mount namespace of this thread. The file is its only server.
fn dead_mount(at: &Path) -> std::fs::File {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    nix::mount::mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    let server = std::fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").unwrap();
    let data = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
    nix::mount::mount(Some("dead"), at, Some("fuse"), MsFlags::empty(), Some(data.as_str())).unwrap();
    server
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn dead_mount_is_said_and_a_signal_ends_the_wait_for_it() {
    std::thread::spawn(|| {
        let place = Place::new();
        let mount = place.at("mount");
        std::fs::create_dir(&mount).unwrap();
        let _server = dead_mount(&mount);
        let (output, text) = place.plan(&mount.join("daemon.json"));
        assert!(output.status.success() && text.contains("ETIMEDOUT"), "{output:?}");
        let config = format!("--config-file={}", mount.join("daemon.json").display());
        let child = place.start(&["verify", "--format", "json", "--repair", "none", "--", &config]);
        std::thread::sleep(Duration::from_secs(1));
        let begun = Instant::now();
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
        let output = in_time(child);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert!(serde_json::from_slice::<serde_json::Value>(&output.stdout).is_ok(), "{output:?}");
    })
    .join()
    .unwrap();
}

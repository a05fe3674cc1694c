//! Reports on named pipes, and a stdout, whose readers are late, silent or absent, with the real program.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests make files and run programs")]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::libc::O_NONBLOCK;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use tempfile::TempDir;

use replayed::SOUND;
use written::{code, names, output_to, program, stderr};

mod replayed;
mod written;

/// A pipe in a directory of its own.
fn pipe() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    (dir, path)
}

/// Both ends of a pipe, into which nothing more fits.
fn full(path: &Path) -> File {
    let mut both = OpenOptions::new().read(true).write(true).custom_flags(O_NONBLOCK).open(path).unwrap();
    while both.write(&[b'x'; 4096]).is_ok() {}
    both
}

/// Whether a process ends within this time; it is killed otherwise.
fn ends_within(child: &mut Child, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

#[test]
fn pipe_without_reader_is_refused_and_nothing_is_written() {
    let (dir, pipe) = pipe();
    let other = dir.path().join("other.json");
    for option in ["--output", "--record"] {
        let value = if option == "--output" {
            format!("json={}", pipe.display())
        } else {
            pipe.display().to_string()
        };
        let began = Instant::now();
        let refused = program()
            .args(["--until", "privileges", "--repair", "none", option, &value])
            .args(["--output", &format!("json={}", other.display())])
            .output()
            .unwrap();
        assert_eq!(code(&refused), 64, "{}", stderr(&refused));
        assert!(stderr(&refused).contains("nothing reads this pipe (ENXIO)"), "{}", stderr(&refused));
        assert!(refused.stdout.is_empty() && began.elapsed() < Duration::from_secs(8));
    }
    assert_eq!(names(dir.path()), ["pipe"]);
}

#[test]
fn reader_of_a_pipe_gets_the_whole_report_once() {
    let (_dir, pipe) = pipe();
    let mut command = program();
    command.args(["--replay", &SOUND, "--format", "brief", "--output", &format!("json={}", pipe.display())]);
    // The program is there first, as in `dindcheck --output json=pipe & cat pipe`.
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let mut text = String::new();
    File::open(&pipe).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["verdict"], "sound");
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
}

#[test]
fn signal_ends_the_program_whose_output_nobody_takes() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        for to_stdout in [false, true] {
            let (_dir, pipe) = pipe();
            let kept = full(&pipe);
            let mut command = program();
            command.args(["--until", "privileges", "--repair", "none"]).stdout(Stdio::null());
            if to_stdout {
                command.stdout(OpenOptions::new().write(true).open(&pipe).unwrap());
            } else {
                command.args(["--output", &format!("json={}", pipe.display())]);
            }
            let mut child = command.stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(500));
            kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
            assert!(ends_within(&mut child, Duration::from_secs(6)), "{signal} to_stdout={to_stdout}");
            drop(kept);
        }
    }
}

#[test]
fn pipe_whose_reader_takes_nothing_is_given_up_and_is_never_sound() {
    let (_dir, pipe) = pipe();
    let _kept = full(&pipe);
    let late = output_to("json", &pipe);
    assert_eq!(code(&late), 2, "{}", stderr(&late));
    assert!(stderr(&late).contains("could not be written"), "{}", stderr(&late));
    assert!(stderr(&late).contains("its reader takes nothing"), "{}", stderr(&late));
}

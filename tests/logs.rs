//! `diagnose` on logs of every encoding, on what is no log, and on pipes and devices, with the real program.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests make files and run programs")]

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

/// A log with a failure in its second line.
const LOG: &str =
    "time=\"2026-01-01T00:00:00Z\" level=info msg=\"Starting up\"\r\nfailed to find runc binary \u{e9}\r\n";

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dindcheck"));
    command.arg("diagnose").stdin(Stdio::null());
    command
}

fn diagnose(path: &Path) -> Output {
    program().arg(path).output().unwrap()
}

/// The diagnosis of bytes, as a file and on standard input, which are the same.
fn of_bytes(bytes: &[u8]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(&path, bytes).unwrap();
    let file = diagnose(&path);
    let mut child =
        program().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may have been refused before it was read to its end.
    let _ = child.stdin.take().unwrap().write_all(bytes);
    let piped = child.wait_with_output().unwrap();
    assert_eq!((piped.status.code(), &piped.stdout), (file.status.code(), &file.stdout));
    let text = String::from_utf8([file.stdout, file.stderr].concat()).unwrap();
    (file.status.code(), text)
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

#[test]
fn failure_is_found_in_every_encoding() {
    let marked = format!("\u{feff}{LOG}");
    let docker = LOG.lines().map(|line| serde_json::json!({"log": format!("{line}\n"), "stream": "stderr"}));
    for (name, bytes) in [
        ("plain", LOG.as_bytes().to_vec()),
        ("UTF-8 with a mark", marked.clone().into_bytes()),
        ("UTF-16 of PowerShell", utf16(&marked, u16::to_le_bytes)),
        ("big-endian UTF-16", utf16(&marked, u16::to_be_bytes)),
        ("UTF-16 without a mark", utf16(LOG, u16::to_le_bytes)),
        ("big-endian UTF-16 without a mark", utf16(LOG, u16::to_be_bytes)),
        (
            "bytes and UTF-16",
            [b"one\n".to_vec(), utf16("failed to find runc binary", u16::to_le_bytes)].concat(),
        ),
        ("a hole", [vec![0; 100_000], b"\n".to_vec(), LOG.as_bytes().to_vec()].concat()),
        ("the json-file driver", docker.map(|line| format!("{line}\n")).collect::<String>().into_bytes()),
    ] {
        let (code, text) = of_bytes(&bytes);
        assert_eq!(code, Some(1), "{name}: {text}");
        assert!(text.starts_with("runc-program-missing "), "{name}: {text}");
        assert!(text.contains("first error  line "), "{name}: {text}");
    }
}

#[test]
fn what_is_no_log_is_refused_and_says_what_to_do() {
    let mut state = 7_u32;
    let random: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(300_000)
    .collect();
    let program = fs::read(env!("CARGO_BIN_EXE_dindcheck")).unwrap();
    for (bytes, texts) in [
        (&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], ["compressed with gzip", "zcat"]),
        (b"\x28\xb5\x2f\xfd\x04", ["compressed with zstd", "zstdcat"]),
        (b"\xfd7zXZ\0\0\x04", ["compressed with xz", "xzcat"]),
        (b"BZh91AY&SY", ["compressed with bzip2", "bzcat"]),
        (&random, ["no text", "docker logs"]),
        (&random[..64], ["no text", "docker logs"]),
        (&program, ["no text", "docker logs"]),
        (&[0; 5000], ["no text", "docker logs"]),
    ] {
        let (code, text) = of_bytes(bytes);
        assert_eq!(code, Some(64), "{texts:?}: {text}");
        assert!(texts.iter().all(|piece| text.contains(piece)), "{texts:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[test]
fn remedy_for_a_compressed_log_can_be_pasted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("it's a log.gz");
    let mut gzip =
        Command::new("gzip").stdin(Stdio::piped()).stdout(fs::File::create(&path).unwrap()).spawn().unwrap();
    gzip.stdin.take().unwrap().write_all(LOG.as_bytes()).unwrap();
    assert!(gzip.wait().unwrap().success());
    let stderr = String::from_utf8(diagnose(&path).stderr).unwrap();
    let command = stderr.split('`').nth(1).unwrap().replace("dindcheck", env!("CARGO_BIN_EXE_dindcheck"));
    let pasted = Command::new("sh").args(["-c", &command]).output().unwrap();
    assert_eq!(pasted.status.code(), Some(1), "{command}");
    assert!(String::from_utf8(pasted.stdout).unwrap().starts_with("runc-program-missing "));
}

#[test]
fn empty_and_healthy_logs_are_healthy() {
    for bytes in [&b""[..], b"level=info msg=x\n", b"level=info msg=x\0\0\0\r\n"] {
        assert_eq!(of_bytes(bytes).0, Some(0));
    }
}

#[test]
fn endless_bytes_that_are_no_log_are_refused_at_once() {
    let began = Instant::now();
    let refused = diagnose(Path::new("/dev/urandom"));
    assert_eq!(refused.status.code(), Some(64));
    assert!(began.elapsed() < Duration::from_secs(10));
    let directory = diagnose(Path::new("/tmp"));
    assert_eq!(directory.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&directory.stderr).contains("/tmp: Is a directory (EISDIR)"));
}

#[test]
fn signal_ends_a_diagnosis_that_follows_a_silent_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let (reader, silent) = std::io::pipe().unwrap();
    for (args, stdin) in [(vec![pipe.as_os_str()], None), (vec![], Some(reader.try_clone().unwrap()))] {
        let mut command = program();
        command.arg("--follow").args(args).stdout(Stdio::null());
        if let Some(stdin) = stdin {
            command.stdin(stdin);
        }
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(400));
        assert!(child.try_wait().unwrap().is_none(), "it waits for more");
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
        let end = Instant::now() + Duration::from_secs(5);
        while child.try_wait().unwrap().is_none() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        let ended = child.try_wait().unwrap();
        let _ = child.kill();
        assert_eq!(ended.and_then(|status| status.code()), Some(0));
    }
    drop(silent);
}

#[test]
fn log_whose_name_is_not_text_is_read_and_its_name_is_escaped() {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join(OsStr::from_bytes(b"a\xff\x1b[31m\n::error::b"));
    fs::write(&path, LOG).unwrap();
    let both = program().arg(&path).arg(&path).output().unwrap();
    assert_eq!(both.status.code(), Some(1));
    let text = String::from_utf8(both.stdout).unwrap();
    assert!(text.contains("/a\\xff\\u{1b}[31m\\n::error::b: runc-program-missing"), "{text}");
    let json = program().args(["--format", "json"]).arg(&path).arg(&path).output().unwrap();
    let line = String::from_utf8(json.stdout).unwrap();
    let first: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    assert!(first["file"].as_str().unwrap().contains("a\\xff\\u{1b}"));
    fs::remove_file(&path).unwrap();
    let stderr = String::from_utf8(diagnose(&path).stderr).unwrap();
    assert!(
        stderr.contains("a\\xff\\u{1b}[31m\\n::error::b: No such file or directory (ENOENT)"),
        "{stderr}"
    );
}

//! stdout and stderr that are full, closed or without a reader, with the real program: it never panics, and the exit code
//! says whether the answer arrived.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests make files and run programs")]

use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use replayed::SOUND;

mod replayed;

/// Commands that answer on stdout, and their exit codes. SOUND and BROKEN stand for recordings.
const ANSWERS: &[(&[&str], i32)] = &[
    (&["--replay", "SOUND"], 0),
    (&["--replay", "SOUND", "--format", "json"], 0),
    (&["--replay", "BROKEN", "--format", "github"], 1),
    (&["plan", "--replay", "SOUND"], 0),
    (&["plan", "--replay", "SOUND", "--format", "json"], 0),
    (&["list"], 0),
    (&["list", "--format", "json"], 0),
    (&["explain", "--list"], 0),
    (&["explain", "storage"], 0),
    (&["profile", "list"], 0),
    (&["profile", "show", "ci"], 0),
    (&["profile", "validate", "ci"], 0),
    (&["schema"], 0),
    (&["completions", "bash"], 0),
    (&["man"], 0),
    (&["diagnose", "rustfmt.toml"], 0),
    (&["--help"], 0),
    (&["image", "--help"], 0),
    (&["--version"], 0),
    (&["wait", "--attach", "unix:///no", "--elsewhere", "--timeout", "0s", "--format", "json"], 2),
];

/// Commands that talk on stderr, and their exit codes.
const TALKS: &[(&[&str], i32)] = &[
    (&["--no-such-flag"], 64),
    (&["--until", "nonsense"], 64),
    (&["explain", "nonsense"], 64),
    (&["--replay", "SOUND", "--format", "json"], 0),
    (&["--replay", "BROKEN", "--format", "junit"], 1),
    (&["wait", "--attach", "unix:///no", "--grace", "0s"], 1),
    (&["__become", "--", "/no/such/program"], 127),
];

/// A world in which the one step fails.
static BROKEN: LazyLock<String> =
    LazyLock::new(|| replayed::of("json-with-a-trailing-comma", "daemon-config"));

/// The arguments, with recordings for the words that stand for them.
fn arguments(args: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    args.iter().map(|arg| match *arg {
        "SOUND" => SOUND.as_str(),
        "BROKEN" => BROKEN.as_str(),
        other => other,
    })
}

fn program(args: &'static [&'static str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dindcheck"));
    command.args(arguments(args)).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    command.env_remove("DINDCHECK_PROFILE").env_remove("DINDCHECK_REPAIR");
    command
}

fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

/// A pipe whose reader has gone.
fn broken_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// Runs a command as a shell does with this redirection.
fn redirected(args: &'static [&'static str], redirection: &str) -> Output {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("\"$@\" {redirection}"), "sh", env!("CARGO_BIN_EXE_dindcheck")])
        .args(arguments(args));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    command.env_remove("DINDCHECK_PROFILE").env_remove("DINDCHECK_REPAIR").output().unwrap()
}

#[test]
fn answer_on_a_full_stdout_is_an_error_and_never_sound() {
    for (args, code) in ANSWERS {
        let output = program(args).stdout(full()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            output.status.code(),
            Some(*code.max(&if *code == 0 { 2 } else { 0 })),
            "{args:?}: {stderr}"
        );
        assert_eq!(
            stderr.matches("write to stdout: No space left on device (ENOSPC)").count(),
            1,
            "{args:?}: {stderr}"
        );
    }
}

#[test]
fn reader_that_closed_the_pipe_changes_nothing_and_is_not_mentioned() {
    for (args, code) in ANSWERS {
        let output = program(args).stdout(broken_pipe()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {stderr}");
        assert!(!stderr.contains("pipe") && !stderr.contains("stdout"), "{args:?}: {stderr}");
    }
}

#[test]
fn stderr_that_is_full_or_gone_changes_no_exit_code() {
    for (args, code) in TALKS {
        for stderr in [full(), broken_pipe()] {
            let status = program(args).stdout(Stdio::null()).stderr(stderr).status().unwrap();
            assert_eq!(status.code(), Some(*code), "{args:?}");
        }
        let output = redirected(args, "2>&-");
        assert_eq!(output.status.code(), Some(*code), "{args:?}");
    }
}

#[test]
fn closed_stdout_ends_with_the_code_of_the_verdict_and_no_file_gets_the_report() {
    for (args, code) in ANSWERS {
        for redirection in [">&-", ">&- 2>&-", ">&- 2>&- <&-"] {
            assert_eq!(redirected(args, redirection).status.code(), Some(*code), "{args:?} {redirection}");
        }
    }
}

#[test]
fn everything_full_at_once_is_no_panic() {
    for (args, code) in ANSWERS {
        let status = program(args).stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(if *code == 0 { 2 } else { *code }), "{args:?}");
    }
}

#[test]
fn diagnosis_is_not_lost_silently_on_a_full_stdout() {
    let mut child =
        program(&["diagnose"]).stdin(Stdio::piped()).stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"failed to find runc binary\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("ENOSPC"));
}

//! Invalid input: one message, exit code 64, and nothing is changed. Empty variables and odd paths are valid.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests read files and run programs")]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use assert_cmd::Command;
use dindcheck::text::shown::is_hidden;
use serde_json::Value;

fn dindcheck(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("dindcheck").unwrap();
    command.args(args).env_remove("DINDCHECK_PROFILE").env_remove("DINDCHECK_REPAIR");
    command
}

/// Expects exit code 64, a message on stderr with each of these texts, and nothing on stdout.
fn refused(args: &[&str], texts: &[&str]) {
    let output = dindcheck(args).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{args:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{args:?}");
    for text in texts {
        assert!(stderr.contains(text), "{args:?}: `{text}` is not in:\n{stderr}");
    }
}

/// The same for arguments that are found to be invalid by the command line's own parser, whose message has a few lines.
fn refused_with_variable(name: &str, value: &str, text: &str) {
    let output = dindcheck(&["plan"]).env(name, value).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{name}={value}: {stderr}");
    assert!(stderr.contains(text), "{stderr}");
}

/// A profile in a file of its own.
fn profile(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn invalid_arguments_are_refused() {
    refused(&["verify", "--no-such-flag"], &["--no-such-flag"]);
    refused(&["--format", "word"], &["--format", "word", "human", "junit"]);
    refused(&["--until", "cgroups"], &["--until", "cgroups", "cgroup-mounts"]);
    refused(&["--only", "privileges,nonsense"], &["--only", "nonsense"]);
    refused(&["--image", "Not A Reference"], &["Not A Reference", "builtin"]);
    refused(&["--attach", "ssh://host"], &["ssh://host", "unix:///PATH"]);
    refused(&["--attach=tcp://host"], &["HOST:PORT"]);
    refused(&["--output", "json"], &["FORMAT=FILE"]);
    refused(&["--output", "json=/no/such/directory/x"], &["/no/such/directory/x"]);
    refused(&["image", "--output", "html=/no/such/directory/x", "y"], &["/no/such/directory/x"]);
    refused(&["image", "--output", "junit=/tmp/x", "y"], &["human or json or html"]);
    refused(&["explain", "no-such-cause"], &["no-such-cause", "explain --list"]);
    refused(&["diagnose", "/no/such/log"], &["/no/such/log"]);
    refused(&["diagnose", "--follow", "Cargo.toml", "README.md"], &["only one log"]);
    refused(&["plan", "--format", "junit"], &["--format human"]);
    refused(&["--replay", "/tmp"], &["/tmp", "Is a directory (EISDIR)"]);
    refused(&["--replay", "/dev/zero"], &["/dev/zero", "File too large (EFBIG)"]);
    refused(&["nonsense"], &["nonsense"]);
}

#[test]
fn invalid_images_and_options_of_their_containers_are_refused_before_the_daemon_is_asked() {
    for (args, texts) in [
        (vec![":::"], [":::", "[HOST[:PORT]/]NAME"]),
        (vec![""], ["REF", "lower case"]),
        (vec!["Upper/Case"], ["Upper/Case", "lower case"]),
        (vec!["x", "y:"], ["y:", "[:TAG]"]),
        (vec!["--parallel", "0", "x"], ["--parallel", "0 is not in 1..=64"]),
        (vec!["--parallel=-1", "x"], ["--parallel", "-1"]),
        (vec!["--cgroupns", "shared", "x"], ["shared", "private, host"]),
        (vec!["-v", ":::", "x"], [":::", "SOURCE:TARGET"]),
        (vec!["-v", "", "x"], ["--volume", "SOURCE:TARGET"]),
        (vec!["-v", "a:b", "x"], ["a:b", "SOURCE:TARGET"]),
        (vec!["-e", "", "x"], ["--env", "NAME=VALUE"]),
        (vec!["-e", "=x", "x"], ["--env", "NAME=VALUE"]),
        (vec!["--platform", "linux//", "x"], ["linux//", "linux/amd64"]),
        (vec!["--network", "", "x"], ["--network", "value is required"]),
        (vec!["--timeout", "soon", "x"], ["soon", "1m 30s"]),
        (vec!["--timeout", "400days", "x"], ["400days", "365 days"]),
        (vec!["--host", "tcp://h", "x"], ["--host: `tcp://h`", "HOST:PORT"]),
    ] {
        let args: Vec<_> = ["image"].into_iter().chain(args).collect();
        refused(&args, &texts);
    }
}

#[test]
fn daemon_that_does_not_answer_is_not_an_invalid_argument() {
    let output = dindcheck(&["image", "--host", "unix:///no/such/socket", "x:1"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("/no/such/socket"), "{stderr}");
}

#[test]
fn invalid_durations_and_addresses_are_refused() {
    for duration in ["", "soon", "-1s", "5", "500000000000y"] {
        refused(&["wait", &format!("--timeout={duration}")], &["--timeout"]);
        refused(&["wait", &format!("--grace={duration}")], &["--grace"]);
        refused(&["entrypoint", &format!("--stop-timeout={duration}"), "--", "true"], &["--stop-timeout"]);
    }
    for address in ["tcp://h:0", "tcp://h:65536", "tcp://h:", "tcp://:1", "tcp://a b:1", "unix://x", "h:1"] {
        refused(&["wait", "--attach", address], &["--attach", address]);
        refused(&["verify", &format!("--attach={address}")], &["--attach", address]);
    }
    let from_variable = dindcheck(&["wait"]).env("DOCKER_HOST", "tcp://h:0").output().unwrap();
    assert_eq!(from_variable.status.code(), Some(64));
    assert!(String::from_utf8(from_variable.stderr).unwrap().contains("DOCKER_HOST: `tcp://h:0`"));
}

#[test]
fn options_that_leave_no_step_are_refused() {
    refused(&["--until", "kernel", "--only", "storage"], &["no step is left", "storage", "after --until"]);
    refused(&["--until", "daemon-start", "--only", "image"], &["no step is left", "image"]);
    refused(&["--until", "kernel", "--keep-daemon"], &["--keep-daemon", "daemon-start", "after --until"]);
    refused(&["--only", ""], &["--only"]);
    refused(&["--until", ""], &["--until"]);
    refused(&["plan", "--until", "kernel", "--only", "storage"], &["no step is left"]);
}

#[test]
fn empty_variables_count_as_unset() {
    let output = dindcheck(&["plan", "--format", "json", "--until", "kernel"])
        .envs([("DINDCHECK_PROFILE", ""), ("DINDCHECK_REPAIR", "")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&plan["profile"]["name"], &plan["profile"]["repair"]),
        (&"default".into(), &"container".into())
    );
    let entrypoint = dindcheck(&["entrypoint", "--until", "mounts", "--", "true"])
        .env("DINDCHECK_ON_FAILURE", "")
        .output()
        .unwrap();
    assert!(String::from_utf8(entrypoint.stderr).unwrap().contains("keeps a daemon"));
    let wait = dindcheck(&["wait", "--timeout", "0s", "--grace", "0s"])
        .envs([("DOCKER_HOST", ""), ("DOCKER_TLS_VERIFY", ""), ("DOCKER_CERT_PATH", "")])
        .output()
        .unwrap();
    assert!(String::from_utf8(wait.stderr).unwrap().contains("unix:///var/run/docker.sock"));
    refused_with_variable("DINDCHECK_PROFILE", "nonsense", "nonsense");
    refused_with_variable("DINDCHECK_REPAIR", "nonsense", "nonsense");
}

#[test]
fn paths_that_are_not_text_are_paths() {
    let dir = tempfile::tempdir().unwrap();
    let odd = |name: &[u8]| dir.path().join(OsStr::from_bytes(name));
    let (profile, report) = (odd(b"p\xff.yaml"), odd(b"r\xfe.json"));
    std::fs::write(&profile, "extends: default\nsteps: {mounts: skip}\n").unwrap();
    let mut output_option = OsString::from("json=");
    output_option.push(&report);
    let args = ["verify", "--repair", "none", "--until", "kernel", "--format", "brief"];
    let output =
        dindcheck(&args).arg("--profile").arg(&profile).arg("--output").arg(&output_option).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("p\\xff.yaml"), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert!(report["profile"].as_str().unwrap().ends_with("p\\xff.yaml"));
    let shown = dindcheck(&["profile", "validate"]).arg(&profile).output().unwrap();
    assert!(String::from_utf8(shown.stdout).unwrap().ends_with("p\\xff.yaml: valid\n"));
    let missing = dindcheck(&["--profile"]).arg(odd(b"no\xff\x1b.yaml")).output().unwrap();
    assert_eq!(missing.status.code(), Some(64));
    assert!(String::from_utf8(missing.stderr).unwrap().contains("no\\xff\\u{1b}.yaml cannot be read"));
}

#[test]
fn control_characters_in_arguments_are_escaped() {
    let hostile = "x\u{1b}[2J\u{9b}\u{202e}\n::error::y ##[add-mask]z";
    for args in [
        vec!["--until", hostile],
        vec!["--profile", hostile],
        vec!["--image", hostile],
        vec!["--attach", hostile],
        vec!["--repair", hostile],
        vec!["--output", hostile],
        vec!["explain", hostile],
        vec!["diagnose", hostile],
        vec!["image", hostile],
        vec!["image", "--timeout", hostile, "x"],
        vec!["profile", "show", hostile],
        vec!["wait", "--for", hostile],
        vec!["--replay", hostile],
        vec![hostile],
        vec!["list", hostile],
    ] {
        let output = dindcheck(&args).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{args:?}: {stderr}");
        assert!(!stderr.contains(|c| is_hidden(c) && c != '\n'), "{args:?}: {stderr:?}");
        assert!(
            !stderr.lines().any(|line| line.trim_start().starts_with("::") || line.contains("##[")),
            "{stderr}"
        );
    }
}

#[test]
fn invalid_profiles_are_refused_with_key_or_line() {
    refused(&["--profile", "nonsense"], &["nonsense", "default", "ci", "legacy"]);
    refused(&["--profile", "/no/such/file.yaml"], &["/no/such/file.yaml", "No such file"]);
    for (text, texts) in [
        ("repair: container\nsteps:\n  privilege: warn\n", vec!["privilege", "privileges"]),
        ("repair: container\nrepairs: host\n", vec!["line 2", "repairs"]),
        ("daemon:\n  start_timeout: soon\n", vec!["line 2", "soon", "60s"]),
        ("daemon:\n  start_timeout: 0s\n", vec!["start_timeout", "zero"]),
        ("steps: [\n", vec!["line"]),
        ("causes:\n  no-such-cause: fail\n", vec!["no-such-cause"]),
        ("image:\n  reference: 'A b'\n", vec!["A b"]),
        ("format: word\n", vec!["format", "`word`", "human, brief, json"]),
    ] {
        let file = profile(text);
        refused(&["--profile", file.path().to_str().unwrap()], &texts);
    }
    let deep = profile(&"[".repeat(40_000));
    refused(&["--profile", deep.path().to_str().unwrap()], &["bytes"]);
    let circle = profile("");
    let path = circle.path().to_str().unwrap().to_owned();
    std::fs::write(circle.path(), format!("extends: {path}\n")).unwrap();
    refused(&["--profile", &path], &["circle"]);
}

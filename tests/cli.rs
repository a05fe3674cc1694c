//! What does the command line accept, and what does it say to what it does not?
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests look at the machine and speak for themselves"
)]

use assert_cmd::Command;
use serde_json::Value;

fn dindcheck(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("dindcheck").unwrap();
    command.args(args).env_remove("DINDCHECK_PROFILE").env_remove("DINDCHECK_REPAIR");
    command
}

/// Refused with exit 64, one message on stderr that holds these words, and nothing on stdout.
fn refused(args: &[&str], words: &[&str]) {
    let output = dindcheck(args).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{args:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{args:?}");
    for word in words {
        assert!(stderr.contains(word), "{args:?}: `{word}` is not in:\n{stderr}");
    }
}

fn stdout(args: &[&str]) -> String {
    let output = dindcheck(args).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A profile in a file of its own.
fn profile(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn what_was_typed_wrong_is_refused_before_anything_is_touched() {
    refused(&["verify", "--no-such-flag"], &["--no-such-flag"]);
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
}

#[test]
fn profiles_are_refused_with_line_and_column() {
    refused(&["--profile", "nonsense"], &["nonsense", "default", "ci", "legacy"]);
    refused(&["--profile", "/no/such/file.yaml"], &["/no/such/file.yaml", "No such file"]);
    for (text, words) in [
        ("repair: container\nsteps:\n  privilege: warn\n", vec!["privilege", "privileges"]),
        ("repair: container\nrepairs: host\n", vec!["line 2", "repairs"]),
        ("daemon:\n  start_timeout: soon\n", vec!["line 2", "soon", "60s"]),
        ("daemon:\n  start_timeout: 0s\n", vec!["start_timeout", "zero"]),
        ("steps: [\n", vec!["line"]),
        ("causes:\n  no-such-cause: fail\n", vec!["no-such-cause"]),
        ("image:\n  reference: 'A b'\n", vec!["A b"]),
    ] {
        let file = profile(text);
        refused(&["--profile", file.path().to_str().unwrap()], &words);
    }
    let deep = profile(&"[".repeat(40_000));
    refused(&["--profile", deep.path().to_str().unwrap()], &["bytes"]);
    let circle = profile("");
    let path = circle.path().to_str().unwrap().to_owned();
    std::fs::write(circle.path(), format!("extends: {path}\n")).unwrap();
    refused(&["--profile", &path], &["circle"]);
}

#[test]
fn the_ladder_is_listed_in_order() {
    let rows = stdout(&["list"]);
    let ids: Vec<_> = rows.lines().map(|row| row.split_whitespace().nth(1).unwrap()).collect();
    let ladder: Vec<_> = dindcheck::steps::ALL.iter().map(|step| step.id).collect();
    assert_eq!(ids, ladder);
    let json: Value = serde_json::from_str(&stdout(&["list", "--format", "json"])).unwrap();
    let same: Vec<_> = json.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, same);
}

#[test]
fn a_plan_shows_what_would_run_and_what_may_be_repaired() {
    let plan: Value = serde_json::from_str(&stdout(&[
        "plan", "--format", "json", "--until", "storage", "--repair", "none",
    ]))
    .unwrap();
    let steps = plan["steps"].as_array().unwrap();
    let of = |id: &str| steps.iter().find(|step| step["id"] == id).unwrap();
    assert_eq!(of("storage")["skip"], Value::Null);
    assert_eq!(of("network")["skip"], "after --until");
    assert_eq!(of("cgroup-mounts")["repair"]["granted"], false);
}

#[test]
fn profiles_extend_each_other() {
    let file = profile("extends: ci\ncontainer:\n  exit_code: 3\nsteps:\n  kernel: skip\n");
    let shown = stdout(&["profile", "show", file.path().to_str().unwrap()]);
    for line in ["exit_code: 3", "kernel: skip", "format: json", "start_timeout: 1m"] {
        assert!(shown.contains(line), "`{line}` is not in\n{shown}");
    }
    for name in
        stdout(&["profile", "list"]).lines().map(|row| row.split_whitespace().next().unwrap().to_owned())
    {
        assert_eq!(stdout(&["profile", "validate", &name]), format!("{name}: valid\n"));
    }
}

#[test]
fn steps_and_causes_explain_themselves() {
    assert!(stdout(&["explain", "cgroup-mounts"]).contains("reach: container"));
    assert!(stdout(&["explain", "cgroup-v1-devices-not-mounted"]).contains("mount"));
    let all = stdout(&["explain", "--list"]);
    assert!(all.contains("step   teardown\n") && all.contains("cause  unknown\n"));
}

#[test]
fn a_log_on_standard_input_is_diagnosed() {
    let log = "time=\"2026-01-01T00:00:00Z\" level=info msg=\"Starting up\"\nfailed to start daemon: Devices cgroup isn't mounted\n";
    let output = dindcheck(&["diagnose", "--format", "json"]).write_stdin(log).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["cause"]["id"], "cgroup-v1-devices-not-mounted");
    assert_eq!(said["first_error"]["line"], 2);
}

#[test]
fn the_readme_has_every_profile_and_every_exit_code() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for (name, _) in dindcheck::profile::built_in() {
        assert!(readme.contains(&format!("* `{name}`: ")), "{name}");
    }
    for code in ["| 0 |", "| 1 |", "| 2 |", "| 64 |"] {
        assert!(readme.contains(code));
    }
}

#[test]
fn shells_and_readers_get_every_command_and_nothing_of_ours() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = stdout(&["completions", shell]);
        assert!(
            text.contains("entrypoint") && text.contains("keep-going") && !text.contains("__become"),
            "{shell}"
        );
    }
    let dir = tempfile::tempdir().unwrap();
    stdout(&["man", dir.path().to_str().unwrap()]);
    let pages: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    for page in ["dindcheck.1", "dindcheck-verify.1", "dindcheck-entrypoint.1", "dindcheck-wait.1"] {
        assert!(pages.iter().any(|known| known == page), "{page} in {pages:?}");
    }
    assert!(pages.iter().all(|page| !page.contains("__")), "{pages:?}");
    assert!(stdout(&["man"]).contains(".TH dindcheck 1"));
}

#[test]
fn a_wait_says_at_once_what_cannot_come() {
    let output =
        dindcheck(&["wait", "--attach", "unix:///no/such/socket", "--grace", "0s"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("unix:///no/such/socket") && stderr.contains("what to do"), "{stderr}");
    let late = ["wait", "--attach", "unix:///no", "--elsewhere", "--timeout", "30ms", "--format", "json"];
    let output = dindcheck(&late).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["serves"], &said["cause"]), (&false.into(), &"daemon-start-timeout".into()));
    refused(&["wait", "--timeout", "soon"], &["soon"]);
    refused(&["entrypoint", "--until", "mounts", "--", "true"], &["daemon-start"]);
}

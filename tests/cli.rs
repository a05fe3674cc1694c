//! The command line: what it accepts and what it prints.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests read files and run programs")]

use assert_cmd::Command;
use serde_json::Value;

mod readme;
mod snapshot;

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
fn steps_are_listed_in_order() {
    let rows = stdout(&["list"]);
    let ids: Vec<_> = rows.lines().map(|row| row.split_whitespace().nth(1).unwrap()).collect();
    let ladder: Vec<_> = dindcheck::steps::ALL.iter().map(|step| step.id).collect();
    assert_eq!(ids, ladder);
    let json: Value = serde_json::from_str(&stdout(&["list", "--format", "json"])).unwrap();
    let same: Vec<_> = json.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, same);
}

#[test]
fn plan_shows_skipped_steps_and_granted_repairs() {
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
fn profile_has_the_values_of_those_it_extends() {
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
fn explain_knows_steps_and_causes() {
    assert!(stdout(&["explain", "cgroup-mounts"]).contains("reach: container"));
    assert!(stdout(&["explain", "cgroup-v1-devices-not-mounted"]).contains("mount"));
    let all = stdout(&["explain", "--list"]);
    assert!(all.contains("step   teardown\n") && all.contains("cause  unknown\n"));
}

#[test]
fn log_on_standard_input_is_diagnosed() {
    let log = "time=\"2026-01-01T00:00:00Z\" level=info msg=\"Starting up\"\nfailed to start daemon: Devices cgroup isn't mounted\n";
    let output = dindcheck(&["diagnose", "--format", "json"]).write_stdin(log).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["cause"]["id"], "cgroup-v1-devices-not-mounted");
    assert_eq!(answer["first_error"]["line"], 2);
}

#[test]
fn readme_lists_every_profile() {
    let profiles = dindcheck::profile::built_in().into_iter();
    let lines = profiles.map(|(name, description)| format!("* `{name}`: {description}\n"));
    readme::check("profiles", &lines.collect::<String>());
}

#[test]
fn readme_has_every_exit_code() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for code in ["| 0 |", "| 1 |", "| 2 |", "| 64 |"] {
        assert!(readme.contains(code));
    }
}

#[test]
fn completions_and_manual_have_every_command_but_hidden_ones() {
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
fn wait_fails_at_once_without_a_daemon_process_and_in_time_elsewhere() {
    let output =
        dindcheck(&["wait", "--attach", "unix:///no/such/socket", "--grace", "0s"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("unix:///no/such/socket") && stderr.contains("what to do"), "{stderr}");
    let late = ["wait", "--attach", "unix:///no", "--elsewhere", "--timeout", "30ms", "--format", "json"];
    let output = dindcheck(&late).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["serves"], &answer["cause"]), (&false.into(), &"daemon-start-timeout".into()));
    refused(&["wait", "--timeout", "soon"], &["soon"]);
    refused(&["entrypoint", "--until", "mounts", "--", "true"], &["daemon-start"]);
}

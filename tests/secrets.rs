//! Secrets in dockerd's options, in daemon.json, in the environment and in the daemon's log: none reaches a report, stderr
//! or a recording.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests read files and run programs")]

use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;
use dindcheck::engine::docker::error::LogError;
use dindcheck::engine::fake::FakeEngine;
use dindcheck::engine::{Death, EngineError};
use dindcheck::host::fake::Fake;
use dindcheck::interrupt::Interrupt;
use dindcheck::options::PlanRequest;
use dindcheck::plan::Plan;
use dindcheck::report::formats;
use dindcheck::runner::{self, Doors};

/// Part of every secret here.
const CANARY: &str = "canary-7f3a";

/// A valid daemon.json with a secret in every place where there may be one.
const DAEMON_JSON: &str = r#"{
  "debug": true,
  "data-root": "/srv/docker",
  "log-driver": "splunk",
  "log-opts": {"splunk-token": "canary-7f3a-splunk", "splunk-url": "http://h:1", "splunk-verify-connection": "0", "env": "canary-7f3a-env", "labels": "canary-7f3a-labels",
    "awslogs-credentials-endpoint": "/canary-7f3a-aws", "gelf-address": "udp://me:canary-7f3a-gelf@h:1", "max-size": "10m"},
  "labels": ["team=canary-7f3a-label"],
  "proxies": {"http-proxy": "http://me:canary-7f3a-http@proxy:3128", "https-proxy": "http://canary-7f3a-https@proxy:3128",
    "no-proxy": "canary-7f3a-no"},
  "registry-mirrors": ["https://me:canary-7f3a-mirror@mirror.example/?token=canary-7f3a-query"],
  "insecure-registries": ["canary-7f3a-registry:5000"],
  "runtimes": {"own": {"path": "/bin/sh", "runtimeArgs": ["--key=canary-7f3a-runtime"]}},
  "default-network-opts": {"bridge": {"secret": "canary-7f3a-network"}},
  "node-generic-resources": ["key=canary-7f3a-resource"],
  "builder": {"gc": {"enabled": true, "policy": [{"filter": ["canary-7f3a-builder"]}]}}
}"#;

/// Arguments with secrets, that dockerd takes beside that file.
const ARGS: [&str; 2] = ["--host=unix:///run/x.sock", "--metrics-addr=me:canary-7f3a-metrics@127.0.0.1:1"];

/// Files and arguments that dockerd refuses, each with a secret.
const REFUSED: &[(&str, &[&str])] = &[
    (r#"{"log-opts": {"splunk-token": "canary-7f3a",}}"#, &[]),
    (r#"{"log-opts": {"splunk-token": canary-7f3a}}"#, &[]),
    (r#"{"http-proxy": "http://me:canary-7f3a@p"#, &[]),
    ("{'labels': ['canary-7f3a']}", &[]),
    ("labels: canary-7f3a", &[]),
    (r#"{"labels": ["canary-7f3a"]}"#, &[]),
    (r#"{"labels": "canary-7f3a"}"#, &[]),
    (r#"{"unknown": "canary-7f3a"}"#, &[]),
    (r#"{"log-opts": {"env": "canary-7f3a"}}"#, &["--log-opt", "env=canary-7f3a"]),
    (r#"{"storage-opts": ["canary-7f3a"], "exec-opts": ["canary-7f3a"]}"#, &[]),
    (r#"{"cluster-store-opts": {"a": "canary-7f3a"}}"#, &["--cluster-store-opt=a=canary-7f3a"]),
    ("{}", &["--http-proxy", "http://me:canary-7f3a@p:1", "--registry-mirror=https://me:canary-7f3a@r"]),
    ("{}", &["--label", "canary-7f3a"]),
    ("{}", &["--storage-opt", "canary-7f3a"]),
    ("{}", &["--mtu", "http://me:canary-7f3a@p"]),
    ("{}", &["-H", "tcp://me:canary-7f3a@h:1"]),
    ("{}", &["--new-flag=canary-7f3a"]),
    ("{}", &["canary-7f3a"]),
];

fn assert_no_canary(from: &str, text: &str) {
    assert!(!text.contains(CANARY), "{from}:\n{text}");
}

/// A directory with a dockerd that only prints its version, and a daemon.json.
fn world(json: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let dockerd = dir.path().join("dockerd");
    std::fs::write(&dockerd, "#!/bin/sh\n# canary-7f3a\necho Docker version 28.5.2, build 1\n").unwrap();
    std::fs::set_permissions(&dockerd, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(dir.path().join("daemon.json"), json).unwrap();
    dir
}

/// dindcheck with this dockerd first in PATH, and secrets in its environment.
fn dindcheck(world: &Path, args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("dindcheck").unwrap();
    let path = format!("{}:{}", world.display(), std::env::var("PATH").unwrap());
    command.args(args).env("PATH", path);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "NO_PROXY"] {
        command.env(name, "http://me:canary-7f3a-variable@proxy:3128");
    }
    command.env("REGISTRY_TOKEN", CANARY);
    command
}

/// Runs the step `daemon-config`; returns its findings as JSON. Nothing that is printed or written holds a secret, and a
/// replay finds the same.
fn check(json: &str, further: &[&str]) -> serde_json::Value {
    let dir = world(json);
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (config, record) = (format!("--config-file={}", path("daemon.json")), path("record"));
    let outputs: Vec<_> =
        ["human", "markdown", "junit", "github", "html"].map(|format| (format, path(format))).to_vec();
    let named: Vec<_> = outputs.iter().map(|(format, path)| format!("--output={format}={path}")).collect();
    let mut args = vec![
        "verify",
        "--only",
        "daemon-config",
        "--repair",
        "none",
        "--format",
        "json",
        "--record",
        &record,
    ];
    args.extend(named.iter().map(String::as_str));
    args.extend(["--", &config].iter().chain(further));
    let run = dindcheck(dir.path(), &args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_no_canary("stdout", &text(&run.stdout));
    assert_no_canary("stderr", &text(&run.stderr));
    for (format, file) in outputs {
        assert_no_canary(format, &std::fs::read_to_string(file).unwrap());
    }
    let recording = std::fs::read_to_string(&record).unwrap();
    assert_no_canary("recording", &recording);
    let findings = |stdout: &[u8]| {
        let report: serde_json::Value = serde_json::from_slice(stdout).unwrap();
        let steps = report["steps"].as_array().unwrap().clone();
        steps.into_iter().find(|step| step["id"] == "daemon-config").unwrap()["findings"].take()
    };
    let replay =
        dindcheck(dir.path(), &["verify", "--replay", &record, "--format", "json"]).output().unwrap();
    assert_no_canary("replay", &text(&replay.stdout));
    assert_eq!(findings(&run.stdout), findings(&replay.stdout), "{json} {further:?}");
    findings(&run.stdout)
}

#[test]
fn valid_options_are_checked_and_recorded_without_secrets() {
    let findings = check(DAEMON_JSON, &ARGS);
    assert!(findings[0]["what"].as_str().unwrap().contains("/srv/docker"), "{findings}");
}

#[test]
fn refused_options_are_reported_and_recorded_without_secrets() {
    for (json, args) in REFUSED {
        let findings = check(json, args);
        assert!(!findings.as_array().unwrap().is_empty(), "{json} {args:?}");
    }
}

#[test]
fn plan_profile_and_usage_errors_hold_no_secret() {
    let dir = world(DAEMON_JSON);
    let profile = dir.path().join("p.yaml");
    std::fs::write(&profile, "extends: default\ndaemon: {args: [--log-opt, env=canary-7f3a]}\n").unwrap();
    let profile = profile.display().to_string();
    for args in [
        &["plan", "--profile", &profile, "--format", "json", "--", "--label=a=canary-7f3a"][..],
        &["plan", "--profile", &profile, "--", "--http-proxy", "http://me:canary-7f3a@p"],
        &["profile", "show", &profile],
        &["verify", "--attach", "tcp://me:canary-7f3a@h:1"],
        &["verify", "--image", "https://me:canary-7f3a@r/x"],
        &["wait", "--attach", "http://me:canary-7f3a@h"],
        &["image", "--host", "tcp://me:canary-7f3a@h:1", "x"],
        &["image", "https://me:canary-7f3a@r/x"],
    ] {
        let run = dindcheck(dir.path(), args).output().unwrap();
        assert_no_canary(&format!("{args:?}"), &String::from_utf8_lossy(&run.stdout));
        assert_no_canary(&format!("{args:?}"), &String::from_utf8_lossy(&run.stderr));
        assert!(!run.stdout.is_empty() || !run.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn log_that_repeats_secrets_is_diagnosed_without_them() {
    let log = "time=\"2026-01-01T00:00:00Z\" level=error msg=\"failed to pull from http://me:canary-7f3a@proxy:3128\"\n\
        unable to configure the Docker daemon with file /etc/docker/daemon.json: the following directives are specified \
        both as a flag and in the configuration file: log-opts: (from flag: map[splunk-token:canary-7f3a], from file: \
        map[splunk-token:canary-7f3a])\n";
    for format in ["human", "json"] {
        let mut command = Command::cargo_bin("dindcheck").unwrap();
        let run = command.args(["diagnose", "--format", format, "-"]).write_stdin(log).output().unwrap();
        let stdout = String::from_utf8(run.stdout).unwrap();
        assert!(stdout.contains("daemon-json-flag-conflict"), "{stdout}");
        assert_no_canary(format, &stdout);
    }
}

/// A daemon that dies, and whose log repeats every secret that it was given.
fn dies_talking(secrets: &[&str]) -> FakeEngine {
    let line = secrets.join(" ");
    FakeEngine::new().fails(
        "start",
        move || {
            EngineError::Died(Box::new(Death {
                status: "exit code 1".into(),
                after: Duration::from_secs(1),
                code: Some(1),
                first_error: Some(LogError { line: 1, text: line.clone(), cause: None }),
                last_words: Some(line.clone()),
                log_dropped: 0,
                served: false,
            }))
        },
        None,
    )
}

#[test]
fn log_of_the_daemon_that_repeats_its_options_is_reported_without_them() {
    let json: serde_json::Value = serde_json::from_str(DAEMON_JSON).unwrap();
    let host = Fake::new()
        .file("/proc/self/mountinfo", "20 1 0:1 / / rw - ext4 x rw\n")
        .file("/etc/docker/daemon.json", DAEMON_JSON)
        .variable("HTTPS_PROXY", "http://me:canary-7f3a-variable@proxy:3128");
    let secrets: Vec<_> = DAEMON_JSON
        .split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'))
        .filter(|word| word.starts_with(CANARY) && !["canary-7f3a-registry", "canary-7f3a-no"].contains(word))
        .chain(["canary-7f3a-flag", "me:canary-7f3a-variable"])
        .collect();
    assert!(secrets.len() > 12 && json.is_object(), "{secrets:?}");
    let engine = dies_talking(&secrets);
    let request = PlanRequest {
        only: vec!["daemon-start".into()],
        daemon_args: vec!["--label".into(), "a=canary-7f3a-flag".into()],
        ..PlanRequest::default()
    };
    let plan = Plan::new(&host, &request).unwrap();
    let interrupt = Interrupt::default();
    let doors = Doors { host: &host, machine: &host, engine: &engine, interrupt: &interrupt };
    let report = runner::run(&plan, &doors, &mut |_| {});
    for format in formats::ALL {
        let text = format.text(&report).unwrap();
        assert!(text.contains("withheld") || !["human", "json", "html"].contains(&format.name), "{text}");
        assert_no_canary(format.name, &text);
    }
}

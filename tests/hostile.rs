//! Texts from outside in every field of a report: no format lets a terminal or a CI runner obey them.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests run programs and a daemon of their own"
)]

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::Duration;

use dindcheck::diagnosis::{CauseId, Diagnosis, LogLine, Noise, cause, causes};
use dindcheck::exit::Verdict;
use dindcheck::finding::{Change, Environment, Finding, Level, Outcome, Reach, RepairRecord, Undo};
use dindcheck::image_check::ImageResult;
use dindcheck::report::formats::{self, Format};
use dindcheck::report::{Report, StepReport};
use dindcheck::step::{Phase, Step};
use dindcheck::text::shown::is_hidden;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest};

const CAUSE: CauseId = causes::CGROUP_MOUNTED_READ_ONLY;
/// A text that nothing may obey.
const HOSTILE: &str = "a\n::error::b\r\n  ::stop-commands::c\u{1b}[31m\u{1b}]0;d\u{7}\u{9b}2J\u{202e}e\u{200b}\u{2028}f \
                       ##[add-mask]g ##vso[task.x]h ]]> <script>\u{e0041}\u{7f}\0";

static STEP: Step = Step {
    id: "a-step",
    title: "a step",
    why: "It is a test.",
    phase: Phase::Environment,
    worst: Level::Fail,
    needs: &[],
    rests_on: &[],
    check: |_| Ok(Vec::new()),
    repair: None,
};

fn step(outcome: Outcome, text: &str) -> StepReport {
    let finding = |level| Finding {
        level,
        what: text.to_owned(),
        evidence: vec![("path", text.to_owned())],
        cause: Some(CAUSE),
        hint: Some(text.to_owned()),
    };
    let change = Change { did: text.to_owned(), undo: Undo::RemoveFile(text.into()) };
    let repair = RepairRecord {
        title: "mend it",
        reach: Reach::Container,
        changes: vec![change],
        error: Some(text.to_owned()),
    };
    StepReport {
        mode: dindcheck::profile::Mode::Require,
        step: &STEP,
        outcome,
        findings: [Level::Pass, Level::Warn, Level::Fail].map(finding).into(),
        latest: 0,
        repair: Some(repair),
        duration: Duration::from_millis(1),
        started: Duration::ZERO,
    }
}

fn diagnosis(text: &str) -> Diagnosis {
    let line = LogLine { line: 1, text: text.to_owned() };
    Diagnosis {
        cause: cause(CAUSE),
        first_error: Some(line.clone()),
        last_error: Some(line.clone()),
        consequences: vec![line],
        ignored_noise: vec![Noise { line: 2, text: text.to_owned(), kind: "noise" }],
        hint: Some(text.to_owned()),
    }
}

/// A report with this text in every field.
fn report(text: &str) -> Report {
    let field = || Some(text.to_owned());
    let outcomes = [
        Outcome::Passed,
        Outcome::Warned,
        Outcome::Repaired,
        Outcome::Failed,
        Outcome::Skipped(text.to_owned()),
        Outcome::Errored(anyhow::Error::msg(text.to_owned()).context(text.to_owned())),
    ];
    Report {
        run: text.to_owned(),
        profile: text.to_owned(),
        environment: Environment {
            kernel: field(),
            cgroup: field(),
            engine: field(),
            api: field(),
            storage_driver: field(),
        },
        steps: outcomes.into_iter().map(|outcome| step(outcome, text)).collect(),
        leftovers: vec![text.to_owned()],
        diagnosis: Some(diagnosis(text)),
        complete: true,
        duration: Duration::from_millis(5),
    }
}

fn image(text: &str) -> ImageResult {
    let inside =
        serde_json::json!({"steps": [{"id": text, "outcome": text, "reason": text, "findings": []}]});
    ImageResult {
        report_about: None,
        image: text.to_owned(),
        verdict: Verdict::Broken,
        first_failure: Some(serde_json::json!({"step": text, "cause": text, "what": text, "remedy": text})),
        log: Some(diagnosis(text)),
        notes: vec![text.to_owned()],
        report: Some(inside),
        text: text.to_owned(),
        duration_ms: 1,
    }
}

/// Expects text that a terminal shows as it is, and in which a CI runner finds no command.
fn harmless(format: &str, text: &str) {
    let plain = anstream::adapter::strip_str(text).to_string();
    assert!(!plain.contains(|c| is_hidden(c) && c != '\n'), "{format}: {plain:?}");
    for line in plain.lines() {
        let is_command = line.trim_start().starts_with("::");
        if format == "github" {
            let command = line.strip_prefix("::").and_then(|line| line.split(' ').next());
            assert!(["error", "warning", "notice"].contains(&command.unwrap()), "{line:?}");
        } else {
            assert!(!is_command && !line.contains("##[") && !line.contains("##vso["), "{format}: {line:?}");
        }
    }
}

fn every_format_is_harmless(text: &str) {
    let (report, image) = (report(text), image(text));
    for format in formats::ALL {
        harmless(format.name, &format.text(&report).unwrap());
        if let Some(images) = format.text_of_images(std::slice::from_ref(&image)).unwrap() {
            harmless(format.name, &images);
        }
    }
    // Programs read what was there.
    let json = json(&formats::json::FORMAT, &report);
    assert_eq!(json["steps"][3]["findings"][0]["what"], text);
    assert_eq!(json["steps"][3]["findings"][0]["evidence"]["path"], text);
    assert_eq!(json["diagnosis"]["first_error"]["text"], text);
}

fn json(format: &Format, report: &Report) -> serde_json::Value {
    serde_json::from_str(&format.text(report).unwrap()).unwrap()
}

/// Texts of what is obeyed, and of anything.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        "[:#\\[\\]\n\r\t \u{1b}\u{9b}\u{202e}m;1a]{1,12}",
        (0..HOSTILE.len()).prop_map(|at| HOSTILE.chars().skip(at).collect()),
    ];
    proptest::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

#[test]
fn hostile_text_is_obeyed_in_no_format() {
    every_format_is_harmless(HOSTILE);
    // Folded, so that a row of the text would begin with a command.
    for length in (0..80).step_by(3) {
        every_format_is_harmless(&format!("{} ::error::x", "w".repeat(length)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn no_text_is_obeyed_in_any_format(text in texts()) {
        every_format_is_harmless(&text);
    }
}

/// A daemon that answers every request with a hostile error.
fn hostile_daemon() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("docker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let body = serde_json::json!({ "message": HOSTILE }).to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let head =
                "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nConnection: close";
            let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    let url = format!("unix://{}", path.display());
    (dir, url)
}

#[test]
fn answers_of_a_hostile_daemon_are_not_obeyed() {
    let (_dir, url) = hostile_daemon();
    for args in [
        vec!["wait", "--elsewhere", "--timeout", "300ms", "--attach", &url],
        vec!["wait", "--elsewhere", "--timeout", "300ms", "--format", "json", "--attach", &url],
        vec!["image", "--host", &url, "x:1"],
        vec!["image", "--host", &url, "--format", "json", "x:1"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_dindcheck")).args(&args).output().unwrap();
        for text in [output.stdout, output.stderr] {
            harmless("talk", &String::from_utf8(text).unwrap());
        }
        assert!([Some(1), Some(2)].contains(&output.status.code()), "{args:?}");
    }
}

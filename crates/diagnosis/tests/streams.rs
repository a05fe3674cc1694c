//! Streams of any shape: pieces, hostile bytes, logs that still grow; and the JSON of a diagnosis.
#![expect(clippy::unwrap_used, reason = "tests panic on what cannot be")]

use std::time::{Duration, Instant};

use dindcheck_diagnosis::{Diagnoser, Diagnosis, causes};
use proptest::prelude::{ProptestConfig, any, proptest};

fn diagnose(text: impl AsRef<[u8]>) -> Diagnosis {
    dindcheck_diagnosis::diagnose(text.as_ref()).unwrap()
}

#[test]
fn growing_log_is_diagnosed_after_each_piece() {
    let mut diagnoser = Diagnoser::new();
    diagnoser.push(b"level=info msg=x\nfailed to find run");
    assert_eq!(diagnoser.finish().cause.id, causes::UNKNOWN);
    diagnoser.push(b"c binary");
    assert_eq!(diagnoser.finish().cause.id.as_str(), "runc-program-missing");
    diagnoser.push(b"\nmore\n");
    assert_eq!(diagnoser.finish().first_error.unwrap().line, 2);
}

#[test]
fn json_has_the_fields_of_schema_1() {
    let value = serde_json::to_value(diagnose("iptables: not found\n")).unwrap();
    let keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["schema_version", "cause", "first_error", "last_error", "consequences", "ignored_noise", "hint"]
    );
    let cause: Vec<&str> = value["cause"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(cause, ["id", "stage", "meaning", "remedy"]);
    assert_eq!((&value["schema_version"], &value["first_error"]["line"]), (&1.into(), &1.into()));
}

/// The bound is far above the time of a debug build on a busy machine, and far below that of quadratic time.
#[test]
fn hostile_streams_take_linear_time() {
    let hostile = [
        "error ".repeat(100),
        "iptables failed: iptables ".repeat(20),
        "\\\\\\\\\\\"".repeat(100),
        "{\"log\":\"{\\\"log\\\":\\\"error\\\"}\"}".to_owned(),
        "level=error msg=\"".repeat(30),
        format!("{} failed", "| ".repeat(200)),
        "overlay mount cgroup /sys/fs/cgroup bridge x509 containerd ".repeat(10),
    ];
    for line in hostile {
        let text = (line + "\n").repeat(400);
        let start = Instant::now();
        diagnose(&text);
        assert!(start.elapsed() < Duration::from_secs(20), "{:?} for {}", start.elapsed(), &text[..60]);
    }
}

const SCRAPS: &[&str] = &[
    "time=\"x\" level=error msg=\"",
    "level=info ",
    "failed",
    "error",
    "\\\"",
    "\"",
    "\n",
    "\r\n",
    "{\"log\":\"",
    "}",
    " | ",
    "overlay",
    "mount",
    "cgroup",
    ": invalid argument",
    "permission denied",
    "\u{1b}[31m",
    "iptables failed: ",
    "\0",
    "é",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_are_accepted(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
        diagnose(bytes);
    }

    #[test]
    fn pieces_do_not_change_the_answer(
        scraps in proptest::collection::vec(0..SCRAPS.len(), 0..80),
        piece in 1..200_usize,
    ) {
        let text: String = scraps.into_iter().map(|index| SCRAPS[index]).collect();
        let whole = diagnose(&text);
        let mut diagnoser = Diagnoser::new();
        text.as_bytes().chunks(piece).for_each(|bytes| diagnoser.push(bytes));
        let pieces = diagnoser.finish();
        assert_eq!(serde_json::to_string(&whole).unwrap(), serde_json::to_string(&pieces).unwrap());
    }
}

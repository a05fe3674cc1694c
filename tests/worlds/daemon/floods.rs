//! dockerd that writes into its log without end: the start keeps its deadline, the first error is found, and the log stays
//! below a size.

use serde_json::Value;

use crate::harness::{Forky, Outer, Suite, Trixie, report};

use super::TOOLS;

/// Lines that read like errors, and lines that do not, as fast as the machine writes them.
const ERRORS: &str = r#"yes 'time="2026-01-01T00:00:00Z" level=error msg="cannot do it"'"#;
const CHATTER: &str = r#"yes 'time="2026-01-01T00:00:00Z" level=info msg="nothing of interest"'"#;

const FIRST: &str = r#"echo "failed to start daemon: Devices cgroup isn't mounted""#;

/// Far above the 8 MiB that are kept, since the scheduler says how soon a log is cut. A flood is that large after a second.
pub(crate) const LARGEST: u64 = 512 << 20;

/// `watched` runs a command; the largest size that the log had meanwhile is the last line on stderr.
const WATCHED: &str = r#"
watched() {
    ( while :; do for log in /run/dindcheck/*/dockerd.log; do wc -c <$log; done; sleep 0.02; done ) >/root/sizes 2>&- & watch=$!
    "$@"; code=$?
    { kill $watch; wait $watch; } 2>&-
    while pgrep -x sleep >/dev/null; do :; done # its last one
    sort -n /root/sizes | tail -n 1 >&2
    return $code
}
"#;

/// Four seconds for the start.
const QUICK: &str = "--profile /root/quick.yaml";

/// Runs the steps with these options and this dockerd, a script; dindcheck must end with this code and leave nothing. The
/// report.
#[track_caller]
fn flooded(suite: Suite, options: &str, dockerd: &str, code: i32) -> Value {
    let script = format!(
        "{TOOLS}\n{WATCHED}\nfake <<'END'\n#!/bin/bash\nexec 2>&1\n{dockerd}\nEND\nquick\n\
         before; watched check {options}; code=$?; cat /root/report; same && exit $code; exit 99"
    );
    let played = Outer::new(suite).play(&script);
    assert_eq!(played.code, code, "{dockerd}: {}", played.said());
    let largest: u64 = played.stderr.lines().last().unwrap_or_default().parse().unwrap_or(u64::MAX);
    println!("{dockerd}: the log had up to {} MiB", largest >> 20);
    assert!(largest < LARGEST, "{dockerd}: the log had {largest} bytes");
    played.json()
}

/// The evidence of that name in a step.
fn evidence<'r>(report: &'r Value, step: &str, name: &str) -> Option<&'r str> {
    report::findings(report::step(report, step)).find_map(|finding| finding["evidence"][name].as_str())
}

#[test]
#[ignore = "needs root and the test bed"]
fn daemon_that_floods_its_log_and_never_serves_is_given_up_in_time() {
    let report = flooded(Trixie, QUICK, &format!("exec {CHATTER}"), 1);
    assert_eq!(report::first_failure(&report), ("daemon-start", "daemon-start-timeout"), "{report:#}");
    let step = report::step(&report, "daemon-start");
    // Four seconds of it are the start_timeout; a log that is read to its end never ends.
    assert!(step["duration_ms"].as_f64().is_some_and(|took| took < 20_000.0), "{step:#}");
    assert!(evidence(&report, "daemon-start", "log_dropped").is_some(), "{step:#}");
}

#[test]
#[ignore = "needs root and the test bed"]
fn first_error_before_a_flood_is_the_cause() {
    for dockerd in [
        format!("{FIRST}; exec {ERRORS}"),
        // It ends, and what it left running floods on.
        format!("{FIRST}; {ERRORS} & sleep 1; exit 1"),
    ] {
        let report = flooded(Forky, QUICK, &dockerd, 1);
        let cause = "cgroup-v1-devices-not-mounted";
        assert_eq!(report::first_failure(&report), ("daemon-start", cause), "{report:#}");
        assert!(evidence(&report, "daemon-start", "log_dropped").is_some(), "{report:#}");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn daemon_that_serves_is_sound_although_its_log_is_flooded() {
    let dockerd = format!("{CHATTER} & exec /usr/sbin/dockerd --debug \"$@\"");
    let report = flooded(Trixie, "", &dockerd, 0);
    assert_eq!(report["verdict"], "sound", "{report:#}");
    assert!(evidence(&report, "teardown", "log_dropped").is_some(), "{report:#}");
}

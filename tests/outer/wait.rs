//! Does `wait` end when the daemon serves, and at once when it cannot come?

use crate::bed::{Outer, SUITES};

/// `now` in microseconds; `logged WORDS` the time at which the daemon's log says them.
const TOOLS: &str = r#"
now() { echo "${EPOCHREALTIME/./}"; }
logged() {
    local at; at=$(grep -m 1 "$1" /root/log | grep -o 'time="[^"]*"' | cut -d'"' -f2)
    echo "$(date -d "$at" +%s%6N)"
}
"#;

/// Milliseconds that a script printed last. How many there may be is for scripts/bench-wait.sh to say: what else the
/// machine does is no part of it.
fn milliseconds(stdout: &str) -> f64 {
    let last = stdout.lines().last().unwrap_or_default();
    last.trim().parse::<f64>().unwrap_or_else(|_| panic!("no number: {stdout}")) / 1000.0
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn it_ends_when_the_daemon_serves() {
    for (suite, _) in SUITES {
        let played = Outer::new(suite).args(&["-v", "/var/lib/docker"]).play(&format!(
            "{TOOLS} dockerd >/root/log 2>&1 & dindcheck wait; code=$?; at=$(now)
             docker version >/dev/null || exit 9
             echo $((at - $(logged 'API listen on'))); exit $code"
        ));
        assert_eq!(played.code, 0, "{suite}: {}", played.said());
        println!("{suite}: {} ms after `API listen on`", milliseconds(&played.stdout));
    }
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn it_ends_when_the_daemon_dies_with_the_reason_of_its_log() {
    for (suite, _) in SUITES {
        // The shell may hear of the death later than `wait` does.
        let played = Outer::new(suite).play(&format!(
            "{TOOLS} umount -R /sys/fs/cgroup
             (dockerd >/root/log 2>&1; now >/root/died) & daemon=$!
             dindcheck wait --timeout 60s; code=$?; at=$(now)
             wait $daemon; echo $((at - $(cat /root/died))); exit $code"
        ));
        assert_eq!(played.code, 1, "{suite}: {}", played.said());
        assert!(played.stderr.contains("cgroup-v1-devices-not-mounted"), "{suite}: {}", played.said());
        println!("{suite}: {} ms after its death", milliseconds(&played.stdout));
    }
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn what_cannot_come_is_told_at_once() {
    for (script, code, cause) in [
        ("dindcheck wait", 1, "daemon-not-reachable"),
        // Killed: its socket and its pid file stay.
        (
            "dockerd >/root/log 2>&1 & dindcheck wait && kill -KILL $(pidof dockerd) && sleep 0.3 && \
             pkill -KILL containerd; time dindcheck wait",
            1,
            "stale-socket",
        ),
        // A script that still has something to do before it starts the daemon is a hope.
        (
            "cp /bin/bash /root/dockerd-wrapper; /root/dockerd-wrapper -c 'sleep 1; dockerd >/root/log 2>&1' & dindcheck wait; dindcheck wait --elsewhere --timeout 100ms --attach unix:///none",
            2,
            "daemon-start-timeout",
        ),
        // One that ends and whose log goes nowhere.
        ("dockerd --config-file=/none >/dev/null 2>&1 & dindcheck wait", 1, "daemon-exited"),
    ] {
        let played = Outer::new("trixie").args(&["-v", "/var/lib/docker"]).play(script);
        assert_eq!(played.code, code, "{script}: {}", played.said());
        assert!(played.stderr.contains(cause), "{script}: {}", played.said());
    }
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn a_container_can_be_waited_for_too() {
    let played = Outer::new("trixie").args(&["-v", "/var/lib/docker"]).play(
        "dockerd >/root/log 2>&1 & dindcheck wait --for container --format json >/root/report; code=$?
         cat /root/report; docker ps -aq >&2; docker images -q >&2; exit $code",
    );
    assert_eq!(played.code, 0, "{}", played.said());
    assert_eq!(played.json()["verdict"], "sound");
    assert_eq!(played.stderr.lines().filter(|line| !line.starts_with(' ')).count(), 0, "{}", played.stderr);
}

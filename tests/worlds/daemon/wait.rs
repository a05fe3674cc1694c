//! `wait` ends when the daemon serves, and as soon as it cannot come.

use crate::harness::{Bookworm, Forky, Outer, SUITES, Suite, Trixie, each_engine};

each_engine! {
    wait_ends_when_the_daemon_serves: Bookworm, of SUITES;
    wait_ends_with_the_cause_when_the_daemon_dies: Forky, of SUITES;
}

/// Milliseconds that a script printed last. How many there may be is for scripts/bench-wait.sh to say: they depend on what
/// else the machine does.
fn milliseconds(stdout: &str) -> f64 {
    let last = stdout.lines().last().unwrap_or_default();
    last.trim().parse::<f64>().unwrap_or_else(|_| panic!("no number: {stdout}")) / 1000.0
}

fn wait_ends_when_the_daemon_serves(suite: Suite) {
    let played = Outer::new(suite).play(
        "dockerd >/root/dockerd.log 2>&1 & dindcheck wait; code=$?; at=$(now)
         docker version >/dev/null || exit 9
         echo $((at - $(logged 'API listen on'))); exit $code",
    );
    assert_eq!(played.code, 0, "{}: {}", suite.name(), played.said());
    println!("{}: {} ms after `API listen on`", suite.name(), milliseconds(&played.stdout));
}

fn wait_ends_with_the_cause_when_the_daemon_dies(suite: Suite) {
    // The shell may hear of the death later than `wait` does.
    let played = Outer::new(suite).play(
        "umount -R /sys/fs/cgroup
         (dockerd >/root/dockerd.log 2>&1; now >/root/died) & daemon=$!
         dindcheck wait --timeout 60s; code=$?; at=$(now)
         wait $daemon; echo $((at - $(cat /root/died))); exit $code",
    );
    assert_eq!(played.code, 1, "{}: {}", suite.name(), played.said());
    assert!(played.stderr.contains("cgroup-v1-devices-not-mounted"), "{}: {}", suite.name(), played.said());
    println!("{}: {} ms after its death", suite.name(), milliseconds(&played.stdout));
}

#[test]
#[ignore = "needs root and the test bed"]
fn wait_ends_at_once_where_no_daemon_can_come() {
    for (script, code, cause) in [
        ("dindcheck wait", 1, "daemon-not-reachable"),
        // Killed: its socket and its pid file stay.
        (
            "dockerd >/root/log 2>&1 & dindcheck wait && kill -KILL $(pidof dockerd) && sleep 0.3 && \
             pkill -KILL containerd; time dindcheck wait",
            1,
            "stale-socket",
        ),
        // A script that still has something to do before it starts the daemon is waited for.
        (
            "cp /bin/bash /root/dockerd-wrapper; /root/dockerd-wrapper -c 'sleep 1; dockerd >/root/log 2>&1' & dindcheck wait; dindcheck wait --elsewhere --timeout 100ms --attach unix:///none",
            2,
            "daemon-start-timeout",
        ),
        // One that ends and whose log goes nowhere.
        // It is stopped as soon as it is dockerd, and goes on once it was seen.
        (
            "dockerd --config-file=/none >/dev/null 2>&1 & until grep -q dockerd /proc/$!/cmdline; do :; done; kill -STOP $!; \
             (sleep 1; kill -CONT $!) & dindcheck wait",
            1,
            "daemon-exited",
        ),
    ] {
        let played = Outer::new(Trixie).play(script);
        assert_eq!(played.code, code, "{script}: {}", played.said());
        assert!(played.stderr.contains(cause), "{script}: {}", played.said());
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn wait_for_a_container_runs_one_and_leaves_nothing() {
    let played = Outer::new(Trixie).play(
        "dockerd >/root/log 2>&1 & dindcheck wait --for container --format json >/root/report; code=$?
         cat /root/report; docker ps -aq >&2; docker images -q >&2; exit $code",
    );
    assert_eq!(played.code, 0, "{}", played.said());
    assert_eq!(played.json()["verdict"], "sound");
    assert_eq!(played.stderr.lines().filter(|line| !line.starts_with(' ')).count(), 0, "{}", played.stderr);
}

#[test]
#[ignore = "needs root and the test bed"]
fn address_that_never_answers_is_named_with_what_is_wrong_with_it() {
    let script = "ip route del default
        for at in nosuch.invalid:2375 127.0.0.1:1 192.0.2.1:2375; do
            dindcheck wait --timeout 1s --attach tcp://$at; echo \"wait $at $?\" >&2
            dindcheck verify --only daemon-start --format brief --attach tcp://$at >&2; echo \"verify $at $?\" >&2
        done";
    let played = Outer::new(Trixie).play(script);
    let mut rest = played.stderr.as_str();
    for (address, cause, reason, remedy) in [
        (
            "nosuch.invalid:2375",
            "docker-host-name-unresolved",
            "`nosuch.invalid`",
            "a name server that answers",
        ),
        ("127.0.0.1:1", "daemon-not-reachable", "(ECONNREFUSED)", "dockerd -H tcp://0.0.0.0:1"),
        ("192.0.2.1:2375", "daemon-not-reachable", "(ENETUNREACH)", "docker network connect"),
    ] {
        let (waited, after) =
            rest.split_once(&format!("wait {address} 2\n")).unwrap_or_else(|| panic!("{rest}"));
        let (verified, after) =
            after.split_once(&format!("verify {address} 1\n")).unwrap_or_else(|| panic!("{rest}"));
        for said in [waited, verified] {
            assert!(said.contains(cause) && said.contains(reason), "{address}: {said}");
            assert!(said.contains(remedy) && !said.contains("more time"), "{address}: {said}");
        }
        // At once, and not only when the time is over.
        assert!(waited.starts_with(&format!("dindcheck: tcp://{address} does not answer yet: ")), "{waited}");
        rest = after;
    }
}

//! dockerd as dindcheck starts, watches and stops it: the cause of each way to fail, and that a run leaves nothing, however
//! it ends.
//!
//! The steps of the environment are left out: these worlds are about dockerd and what runs under it.

pub(crate) mod floods;
mod interrupted;
mod wait;

use serde_json::{Value, json};

use crate::harness::{Bookworm, Forky, Outer, Played, SUITES, Suite, Trixie, each_engine, report};
use crate::shared::matrix::{self, Matrix};

/// `check` runs the steps from the daemon to a container, `whole` all of them; both keep the report in /root/report. `fake`
/// makes its input the first dockerd in PATH. `quick` makes a profile that is impatient.
const TOOLS: &str = r#"
check() {
    dindcheck verify --only daemon-start,daemon-info,image,container-run,teardown --format json \
        "$@" >/root/report 2>/root/err
}
whole() { dindcheck verify --format json "$@" >/root/report 2>/root/err; }
fake() { mkdir -p /root/fake; cat >/root/fake/dockerd; chmod +x /root/fake/dockerd; }
PATH=/root/fake:$PATH
quick() { printf 'daemon: {start_timeout: 4s, stop_timeout: 1s}\n' >/root/quick.yaml; }
"#;

/// What `make test` samples of this topic.
pub(crate) fn matrices() -> Vec<Matrix> {
    [engine_matrices(), interrupted::matrices(), wait::engine_matrices()].into_iter().flatten().collect()
}

each_engine! {
    successful_run_leaves_nothing: Bookworm, of SUITES;
    daemon_that_dies_later_is_reported_and_cleaned_up: Forky, of SUITES;
    kept_daemon_serves_on_and_foreign_objects_stay: Trixie, of SUITES;
}

/// Plays a script with the tools.
fn play(suite: Suite, script: &str) -> Played {
    Outer::new(suite).play(&format!("{TOOLS}\n{script}"))
}

/// Plays one in which dindcheck must end with this code and leave everything as it was; its report.
fn report(suite: Suite, code: i32, script: &str) -> Value {
    let script = format!("before; {script}; code=$?; cat /root/report; same && exit $code; exit 99");
    let played = play(suite, &script);
    assert_eq!(played.code, code, "{}, {script}: {}", suite.name(), played.said());
    played.json()
}

fn successful_run_leaves_nothing(suite: Suite) {
    let report = report(suite, 0, "check");
    assert_eq!(report["leftovers"], json!([]), "{}", suite.name());
}

#[test]
#[ignore = "needs root and the test bed"]
fn inner_cgroup_lies_below_the_outer_one() {
    let report = report(Trixie, 0, "check");
    let mut findings = report::findings(report::step(&report, "container-run"));
    let place = findings.find(|finding| finding["evidence"]["cgroup"].is_string()).unwrap();
    let (inner, outer) = (&place["evidence"]["cgroup"], &place["evidence"]["outer_cgroup"]);
    let (inner, outer) = (inner.as_str().unwrap(), outer.as_str().unwrap());
    assert!(outer.len() > 1 && inner.starts_with(&format!("{outer}/docker/")), "{inner} and {outer}");
}

#[test]
#[ignore = "needs root and the test bed"]
fn daemon_that_does_not_start_has_its_cause_and_leaves_nothing() {
    let cases = [
        (
            "PATH=/nonexistent /usr/local/bin/dindcheck --only daemon-start --format json >/root/report",
            "docker-program-missing",
        ),
        ("umount -l /sys/fs/cgroup/devices; before; check", "cgroup-v1-devices-not-mounted"),
        ("printf '#!/bin/sh\\necho junk; exit 3\\n' | fake; check", "daemon-exited"),
        (
            "printf '#!/bin/sh\\nsleep 1000\\n' | fake; quick; check --profile /root/quick.yaml",
            "daemon-start-timeout",
        ),
    ];
    for (script, cause) in cases {
        let report = report(Forky, 1, script);
        assert_eq!(report::first_failure(&report), ("daemon-start", cause), "{script}");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn daemon_that_is_killed_for_memory_is_reported_with_the_limit() {
    let eats = "printf '#!/bin/sh\\nexec perl -e \"\\$x = chr(97) x 400_000_000\"\\n' | fake; check; code=$?; cat /root/report; exit $code";
    let outer = Outer::new(Forky).args(&["--memory=100m", "--memory-swap=100m"]);
    let played = outer.play(&format!("{TOOLS}\n{eats}"));
    let report = played.json();
    assert_eq!(report::first_failure(&report), ("daemon-start", "oom-killed"), "{report:#}");
    let what = report["first_failure"]["what"].as_str().unwrap_or_default();
    assert!(what.contains("100 MiB") || what.contains("100.0 MiB"), "{what}");
}

#[test]
#[ignore = "needs root and the test bed"]
fn system_call_that_a_filter_refuses_is_named() {
    // An array of struct sock_filter (linux/filter.h): setns answers EPERM.
    let filter = r#"perl -e 'print pack("SCCL", 0x20, 0, 0, 0), pack("SCCL", 0x15, 0, 1, 308), pack("SCCL", 6, 0, 0, 0x50001), pack("SCCL", 6, 0, 0, 0x7fff0000)' >/root/filter
        export -f check; setpriv --seccomp-filter /root/filter bash -c check"#;
    let report = report(Forky, 1, filter);
    assert_eq!(report::first_failure(&report), ("container-run", "seccomp-blocks-system-call"), "{report:#}");
    let remedy = report["first_failure"]["remedy"].as_str().unwrap_or_default();
    assert!(remedy.contains("refuses setns") && remedy.contains("--security-opt seccomp="), "{remedy}");
}

#[test]
#[ignore = "needs root and the test bed"]
fn daemon_that_accepts_and_never_answers_hangs() {
    // Its socket listens before dindcheck starts it, so that nothing of this depends on how fast it starts.
    let deaf = r#"printf '%s\n' '#!/bin/sh' 'trap "" TERM' 'while :; do sleep 1000; done' | fake
        export -f check; quick
        perl -MIO::Socket::INET -e '$^F = 99; my $socket = IO::Socket::INET->new(
            Listen => 5, LocalAddr => "127.0.0.1", LocalPort => 2399) or die $@; exec @ARGV' \
            bash -c 'check --profile /root/quick.yaml -- -H tcp://127.0.0.1:2399'"#;
    let report = report(Forky, 1, deaf);
    assert_eq!(report::first_failure(&report), ("daemon-start", "daemon-hangs"), "{report:#}");
}

fn daemon_that_dies_later_is_reported_and_cleaned_up(suite: Suite) {
    // The wrapper's first dockerd dies as soon as it has taken the image; a later one lives.
    let dying = r#"fake <<'END'
#!/bin/bash
if mkdir /root/once 2>/dev/null; then
    ( until [[ $(grep -c '/v1[^ ]*/images/load' /run/dindcheck/*/dockerd.log) != 0 ]]; do sleep 0.01; done; sleep 0.05
      kill -KILL $$ ) </dev/null >/dev/null 2>&1 &
fi
exec /usr/sbin/dockerd "$@"
END
check"#;
    let report = report(suite, 1, dying);
    let (step, cause) = report::first_failure(&report);
    assert!(["image", "container-run"].contains(&step), "{}: {step}", suite.name());
    assert_eq!(cause, "daemon-died-later", "{}", suite.name());
    assert_eq!(report["leftovers"], json!([]), "{}", suite.name());
}

#[test]
#[ignore = "needs root and the test bed"]
fn full_data_root_is_a_full_disk() {
    let full = "mount -t tmpfs -o size=2m tmpfs /var/lib/docker; before; check";
    assert_eq!(report::first_failure(&report(Forky, 1, full)), ("image", "disk-full"));
}

fn kept_daemon_serves_on_and_foreign_objects_stay(suite: Suite) {
    let script = r"
set -e
check --keep-daemon
docker version >/dev/null
[[ -z $(docker images -aq --filter label=dindcheck.run) ]]
tar -C / -c usr/bin/busybox | docker import - theirs >/dev/null
for n in $(seq $COUNT); do docker run -d --name theirs-$n theirs /usr/bin/busybox sleep 1000 >/dev/null; docker volume create theirs-$n >/dev/null; docker tag theirs theirs:$n; docker network create theirs-$n >/dev/null; done
list() { docker ps -a --no-trunc --format '{{.ID}} {{.State}}'; docker images --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}}'; docker volume ls -q; docker network ls -q --no-trunc; }
list >/root/a
whole --attach
list >/root/b
diff /root/a /root/b
docker version >/dev/null";
    // Many of them, where every engine plays.
    let count = if suite == Trixie && matrix::full() { 20 } else { 3 };
    let played = play(suite, &format!("COUNT={count}\n{script}"));
    assert_eq!(played.code, 0, "{}: {}", suite.name(), played.said());
}

#[test]
#[ignore = "needs root and the test bed"]
fn image_by_name_is_run_or_its_absence_explained() {
    let present = r#"
set -e
serve
tar -C / -c usr/bin/busybox | docker import - mine:1 >/dev/null
cat >/root/p.yaml <<'END'
container: { command: [/usr/bin/busybox, sh, -c, "echo well done; exit 3"], exit_code: 3, output: well done }
END
check --attach --image mine:1 --profile /root/p.yaml
docker image inspect mine:1 >/dev/null"#;
    let played = play(Trixie, present);
    assert_eq!(played.code, 0, "{}", played.said());
    let absent = report(Trixie, 1, "check --image 127.0.0.1:5999/none:1");
    assert_eq!(report::first_failure(&absent), ("image", "registry-unreachable"));
}

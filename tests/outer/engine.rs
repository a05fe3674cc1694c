//! Does the engine door leave nothing behind, whatever happens, and does each fault of the daemon have its words?
//!
//! The steps of the environment are left out here: these worlds are about dockerd and what runs under it.

use serde_json::Value;

use crate::bed::{Outer, Played, SUITES};

/// `snap` prints the world: processes, mounts, files, cgroups, interfaces, rules, routes, switches. `same` tells
/// whether it is as it was at `before`. `check` runs dindcheck, and keeps its report in /root/report.
const TOOLS: &str = r#"
snap() {
    ps -eo comm --no-headers | grep -vE '^(bash|ps|sort|grep|find|sed|awk|cat|ip)$' | sort
    awk '{print $3, $4, $5, $6, $9}' /proc/self/mountinfo | sort
    find /run /etc/docker /opt -xdev 2>/dev/null | sort
    find /sys/fs/cgroup -type d | sort
    ip -o link | sed 's/^[0-9]*: //' | sort
    iptables-save | grep -v '^#'; ip6tables-save | grep -v '^#'; nft list ruleset 2>/dev/null
    ip route; ip -6 route
    cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/{all,default}/forwarding
}
before() { snap >/root/before 2>&1; }
same() { snap >/root/after 2>&1; diff /root/before /root/after >&2; }
check() {
    dindcheck verify --only daemon-start,daemon-info,image,container-run,teardown --format json \
        "$@" >/root/report 2>/root/err
}
whole() { dindcheck verify --format json "$@" >/root/report 2>/root/err; }
fake() { mkdir -p /root/fake; cat >/root/fake/dockerd; chmod +x /root/fake/dockerd; }
PATH=/root/fake:$PATH
quick() { printf 'daemon: {start_timeout: 1s, stop_timeout: 1s}\n' >/root/quick.yaml; }
serve() { dockerd >/root/dockerd.log 2>&1 & until docker version >/dev/null 2>&1; do sleep 0.05; done; }
"#;

/// Plays a script with the tools.
fn play(suite: &str, script: &str) -> Played {
    Outer::new(suite).play(&format!("{TOOLS}\n{script}"))
}

/// Plays one where dindcheck must end with this code and leave the world as it was; its report.
fn report(suite: &str, code: i32, script: &str) -> Value {
    let played =
        play(suite, &format!("before; {script}; code=$?; cat /root/report; same && exit $code; exit 99"));
    assert_eq!(played.code, code, "{suite}, {script}: {}", played.said());
    played.json()
}

/// Step and cause of the first failure.
fn first(report: &Value) -> (&str, &str) {
    let first = &report["first_failure"];
    (first["step"].as_str().unwrap_or_default(), first["cause"].as_str().unwrap_or_default())
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn success_leaves_the_world_as_it_was() {
    for (suite, _) in SUITES {
        let report = report(suite, 0, "check");
        assert_eq!(report["leftovers"], serde_json::json!([]), "{suite}");
    }
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn the_inner_cgroup_lies_below_the_outer_one() {
    let report = report("trixie", 0, "check");
    let steps = report["steps"].as_array().unwrap();
    let findings =
        steps.iter().find(|step| step["id"] == "container-run").unwrap()["findings"].as_array().unwrap();
    let place = findings.iter().find(|finding| finding["evidence"]["cgroup"].is_string()).unwrap();
    let (inner, outer) = (&place["evidence"]["cgroup"], &place["evidence"]["outer_cgroup"]);
    let (inner, outer) = (inner.as_str().unwrap(), outer.as_str().unwrap());
    assert!(outer.len() > 1 && inner.starts_with(&format!("{outer}/docker/")), "{inner} and {outer}");
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn a_daemon_that_does_not_come_up_has_its_cause_and_leaves_nothing() {
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
        assert_eq!(first(&report("forky", 1, script)), ("daemon-start", cause), "{script}");
    }
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn a_daemon_that_accepts_and_never_answers_hangs() {
    let deaf = r#"printf '%s\n' '#!/usr/bin/perl' '$SIG{TERM} = "IGNORE"; use IO::Socket::INET;' \
        'my $s = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1", LocalPort => 2399); sleep 1000;' | fake
        quick; check --profile /root/quick.yaml -- -H tcp://127.0.0.1:2399"#;
    assert_eq!(first(&report("forky", 1, deaf)), ("daemon-start", "daemon-hangs"));
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn a_daemon_that_dies_later_is_told_at_once_and_its_things_are_removed() {
    // The wrapper's first dockerd dies as soon as it has taken the image; a later one lives.
    let dying = r#"fake <<'END'
#!/bin/bash
if mkdir /tmp/once 2>/dev/null; then
    ( until [[ $(grep -c '/v1[^ ]*/images/load' /run/dindcheck/*/dockerd.log) != 0 ]]; do sleep 0.01; done; sleep 0.05
      kill -KILL $$ ) </dev/null >/dev/null 2>&1 &
fi
exec /usr/sbin/dockerd "$@"
END
check"#;
    for (suite, _) in SUITES {
        let report = report(suite, 1, dying);
        let (step, cause) = first(&report);
        assert!(["image", "container-run"].contains(&step), "{suite}: {step}");
        assert_eq!(cause, "daemon-died-later", "{suite}");
        assert_eq!(report["leftovers"], serde_json::json!([]), "{suite}");
    }
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn a_full_data_root_is_a_full_disk() {
    let full = "mount -t tmpfs -o size=2m tmpfs /var/lib/docker; before; check";
    assert_eq!(first(&report("forky", 1, full)), ("image", "disk-full"));
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn a_signal_at_any_time_leaves_nothing() {
    let script = r#"
before
for signal in INT TERM; do
    for after in 0.02 0.15 0.4 0.7 1.0 1.3 1.6 2.0 2.5 3.0; do
        timeout --preserve-status -s $signal $after dindcheck verify $OPTIONS >/root/out 2>&1
        code=$?
        # 130 and 143: before it could listen to signals, and so before it did anything
        [[ $code == 0 || $code == 2 || $code == 130 || $code == 143 ]] || { echo "SIG$signal after $after: code $code"; cat /root/out; exit 1; }
        same || { echo "SIG$signal after $after leaves something"; exit 1; }
    done
done"#;
    // What networks are to 20.10, see below.
    for (suite, options) in [("bookworm", "--until container-run"), ("forky", "")] {
        let played = play(suite, &format!("OPTIONS='{options}'\n{script}"));
        assert_eq!(played.code, 0, "{suite}: {}", played.said());
    }
}

/// Kills runs with these options with SIGKILL at each of these moments, and makes a whole one after each.
fn killed_at(suite: &str, options: &str, moments: &str) {
    let script = format!(
        r#"
before
for after in {moments}; do
    timeout -s KILL $after dindcheck verify {options} >/dev/null 2>&1
    whole || {{ echo "the run after one that was killed after $after s"; cat /root/report; exit 1; }}
    same || {{ echo "killed after $after s: something is left"; exit 1; }}
done
serve
[[ -z $(docker ps -aq; docker images -aq; docker volume ls -q; docker network ls -q --filter type=custom) ]] || {{ docker ps -a; docker images -a; docker volume ls; docker network ls; docker network inspect $(docker network ls -q --filter type=custom); docker volume inspect $(docker volume ls -q); exit 1; }}"#
    );
    let played = play(suite, &script);
    assert_eq!(played.code, 0, "{suite}: {}", played.said());
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn what_a_killed_run_leaves_is_removed_by_the_next() {
    // Without networks of its own: a dockerd 20.10 that is told to stop while it removes one panics at its next start.
    killed_at(
        "bookworm",
        "--until container-run",
        "0.03 0.2 0.5 0.8 1.0 1.2 1.4 1.6 1.8 2.0 2.2 2.4 2.7 3.0 3.4 3.8",
    );
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn and_so_it_is_with_26_1() {
    killed_at("trixie", "", "0.06 0.3 0.9 1.3 1.6 1.7 1.8 1.9 2.0 2.1 2.2 2.4 2.6 2.8 3.1 3.4 3.8");
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn and_with_28_5() {
    killed_at("forky", "", "0.1 0.4 0.6 0.7 0.8 0.9 1.0 1.1 1.2 1.3 1.4 1.6 1.8 2.0 2.3 2.6 3.0");
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn a_kept_daemon_serves_on_and_what_is_not_ours_is_not_touched() {
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
    for (suite, count) in [("bookworm", 3), ("trixie", 20), ("forky", 3)] {
        let played = play(suite, &format!("COUNT={count}\n{script}"));
        assert_eq!(played.code, 0, "{suite}: {}", played.said());
    }
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn an_image_by_name_is_run_or_its_absence_is_explained() {
    let present = r#"
set -e
serve
tar -C / -c usr/bin/busybox | docker import - mine:1 >/dev/null
cat >/root/p.yaml <<'END'
container: { command: [/usr/bin/busybox, sh, -c, "echo well done; exit 3"], exit_code: 3, output: well done }
END
check --attach --image mine:1 --profile /root/p.yaml
docker image inspect mine:1 >/dev/null"#;
    let played = play("trixie", present);
    assert_eq!(played.code, 0, "{}", played.said());
    let absent = report("trixie", 1, "check --image 127.0.0.1:5999/none:1");
    assert_eq!(first(&absent), ("image", "registry-unreachable"));
}

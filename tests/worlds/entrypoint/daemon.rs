//! The daemon beside the command: its death, itself as the command, its options, TLS, and the legacy iptables.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::harness::{Background, Forky, Outer, Played, SUITES, Suite, Trixie, docker, each_engine};

use super::{QUICK, play, quick};

each_engine! {
    dockerd_may_be_the_command: Forky, of SUITES;
}

/// An entrypoint whose daemon is killed while its command runs, which then does this.
fn daemon_dies(policy: &str, then: &str) -> Played {
    let script = format!(
        "dindcheck entrypoint {QUICK} --on-daemon-death {policy} -- bash -c '
         trap \"exit 0\" TERM; kill -KILL $(pidof dockerd); {then}
         docker version -f {{{{.Server.Version}}}}'"
    );
    play(Trixie, &script)
}

/// Long enough for the death to be noticed; in short pieces, between which bash takes signals.
const WAITS: &str = "for i in $(seq 100); do sleep 0.05; done";

#[test]
#[ignore = "needs root and the test bed"]
fn daemon_death_is_reported_or_restarts_it_or_stops_the_command() {
    let reported = daemon_dies("report", WAITS);
    assert!(
        reported.code != 0 && reported.stderr.contains("ended before the command did, with signal 9"),
        "{}",
        reported.said()
    );
    let restarted = daemon_dies("restart", "until docker version >/dev/null 2>&1; do sleep 0.05; done");
    assert_eq!(restarted.code, 0, "{}", restarted.said());
    assert!(restarted.stdout.starts_with(Trixie.engine()), "{}", restarted.said());
    assert!(restarted.stderr.contains("dockerd serves again"), "{}", restarted.said());
    let stopped = daemon_dies("stop", WAITS);
    assert_eq!((stopped.code, stopped.stdout.as_str()), (1, ""), "{}", stopped.said());
}

fn dockerd_may_be_the_command(suite: Suite) {
    let outer: Background = quick(suite, &[], &["dockerd", "--label=a=b"]);
    outer.prints("API listen on");
    outer.exec(&["dindcheck", "wait"]);
    assert_eq!(outer.exec(&["docker", "info", "-f", "{{.Labels}}"]), "[a=b]");
    println!("{}: docker stop took {:?}", suite.name(), outer.stop());
    assert_eq!(outer.code(), "0", "{}: {}", suite.name(), outer.logs());
}

/// Makes the command line's TLS certificates; a tar archive of them.
fn certificates() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new("sh").arg("src/entrypoint/tls.sh").arg(dir.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Command::new("tar").arg("-C").arg(dir.path()).args(["-c", "."]).output().unwrap().stdout
}

#[test]
#[ignore = "needs root, the test bed, and openssl on this machine"]
fn options_alone_are_dockerds_with_tls_where_certificates_are() {
    let script = "mkdir /certs; tar -x -C /certs; (until grep -qx dindcheck /proc/1/comm; do sleep 0.05; done; dindcheck wait && cd /certs/client && \
        docker --tlsverify --tlscacert ca.pem --tlscert cert.pem --tlskey key.pem -H tcp://localhost:2376 info -f {{.Driver}} >&2
        # Before the end of the check it would be the check that is ended.
        while [ $(grep -lx dindcheck /proc/[0-9]*/comm 2>/dev/null | wc -l) -gt 1 ]; do sleep 0.1; done
        kill -TERM 1) & exec dindcheck entrypoint --until daemon-info -- --storage-driver=vfs";
    let tls =
        ["-e", "DOCKER_TLS_CERTDIR=/certs", "--entrypoint", "bash", "dindcheck-outer:trixie", "-c", script];
    let run = [&["run", "--rm", "-i", "--privileged"], &tls[..]].concat();
    let mut outer = docker(&run).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    outer.stdin.take().unwrap().write_all(&certificates()).unwrap();
    let done = outer.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.lines().any(|line| line == "vfs"), "{said}");
    assert_eq!(done.status.code(), Some(0), "{said}");
}

/// Whether the chains of Docker are in the legacy tables, and in those of nf_tables.
fn backends(played: &Played) -> (bool, bool) {
    assert_eq!(played.code, 0, "{}", played.said());
    let fields: Vec<_> = played.stdout.split_whitespace().collect();
    (fields[1] != "0", fields[3] != "0")
}

#[test]
#[ignore = "needs root, the test bed, and a kernel with the legacy iptables"]
fn legacy_iptables_is_used_where_asked_for_or_in_use() {
    let count = "echo legacy $(iptables-legacy -t nat -S | grep -c DOCKER) nft $(iptables-nft -t nat -S 2>/dev/null | grep -c DOCKER)";
    let run = format!("dindcheck entrypoint {QUICK} -- sh -c '{count}'");
    let asked =
        format!("export DOCKER_IPTABLES_LEGACY=1; {run}; code=$?; ls -d /usr/local/sbin/.d* >&2; exit $code");
    let asked = play(Trixie, &asked);
    assert_eq!(backends(&asked), (true, false), "{}", asked.said());
    assert!(asked.stderr.contains("DOCKER_IPTABLES_LEGACY is set"), "{}", asked.said());
    assert!(asked.stderr.contains("cannot access"), "the links are gone: {}", asked.said());
    let in_use = Outer::new(Trixie).play(&format!("iptables-legacy -t nat -N MINE; {run}"));
    assert_eq!(backends(&in_use), (true, false), "{}", in_use.said());
    assert_eq!(backends(&play(Trixie, &run)), (false, true));
}

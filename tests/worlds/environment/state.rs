//! What `daemon-state` finds of other daemons and stale state, and what its repair removes.

use crate::harness::{Bookworm, Forky, SUITES, Suite, Trixie, World, each_engine, report};

/// The steps about the engine itself.
const ENGINE: &str = "binaries,daemon-config,storage,daemon-state";

each_engine! {
    healthy_container_has_no_problem: Bookworm, of SUITES;
    stale_pid_files_are_removed_and_the_daemon_starts: Forky, of SUITES;
}

fn healthy_container_has_no_problem(suite: Suite) {
    let seen = World::of_steps(suite, ENGINE).play();
    assert_eq!(seen.problems(), Vec::<String>::new(), "{}", suite.name());
    assert_eq!(seen.report["verdict"], "sound");
    let environment = &seen.report["environment"];
    assert!(report::text(&environment["engine"]).starts_with(suite.engine()), "{environment}");
    assert_eq!(environment["storage_driver"], "overlay2");
}

/// dockerd in the outer container, as an ordinary script starts it.
const START: &str = "dockerd >/dev/null 2>&1 & until docker version >/dev/null 2>&1; do sleep 0.05; done";

/// A process that is no daemon, for `$!` in a pid file.
const SLEEPER: &str = "sleep 999 & sleep 0.1";

/// What is done, further arguments of `docker run`, and what is found.
fn cases() -> Vec<(String, &'static [&'static str], Option<&'static str>)> {
    let old = "touch -d '1 hour ago' /run/docker.pid";
    let lock = "/var/lib/docker/volumes/metadata.db";
    let nothing: &[&str] = &[];
    let socket: &[&str] = &["-v", "/run/bed/docker.sock:/var/run/docker.sock"];
    vec![
        (format!("echo 99999 >/run/docker.pid; {SLEEPER}"), nothing, None),
        (format!("{SLEEPER}; echo $! >/run/docker.pid; {old}"), nothing, Some("fail stale-docker-pid-file")),
        (
            format!(
                "mkdir -p /run/docker/containerd; {SLEEPER}; echo $! >/run/docker/containerd/containerd.pid"
            ),
            nothing,
            Some("fail stale-containerd-pid-file"),
        ),
        ("mkdir /run/docker.sock".into(), nothing, Some("fail docker-socket-is-a-directory")),
        ("true".into(), socket, Some("fail docker-socket-is-the-outer-daemons")),
        (
            "mkdir -p /run/containerd; touch /run/containerd/containerd.sock".into(),
            nothing,
            Some("fail containerd-socket-not-answering"),
        ),
        (START.into(), nothing, Some("fail daemon-already-running")),
        (format!("{START}; kill -9 $!; wait $!"), nothing, None),
        (
            format!(
                "mkdir -p /var/lib/docker/volumes; touch {lock}; flock {lock} sleep 99 & \
                 until ! flock -n {lock} true; do sleep 0.05; done"
            ),
            nothing,
            Some("fail data-root-shared-by-two-daemons"),
        ),
        ("mkdir -p /var/lib/docker/.dindcheck-0001".into(), nothing, Some("warn leftovers-remain")),
    ]
}

#[test]
#[ignore = "needs root and the test bed"]
fn other_daemon_or_stale_state_is_named() {
    for (broken, docker, expected) in cases() {
        let seen = World::of_steps(Trixie, "daemon-state").docker(docker).broken(&broken).play();
        let expected: Vec<_> = expected.into_iter().map(|what| format!("daemon-state {what}")).collect();
        assert_eq!(seen.problems(), expected, "{broken} {docker:?}");
    }
}

fn stale_pid_files_are_removed_and_the_daemon_starts(suite: Suite) {
    let broken = "sleep 999 & mkdir -p /run/docker/containerd; \
         for file in /run/docker.pid /run/docker/containerd/containerd.pid; do echo $! >$file; touch -d '1 hour ago' $file; done";
    let seen = World::of_steps(suite, "daemon-state,daemon-start").broken(broken).repaired().play();
    let state = seen.step("daemon-state");
    assert_eq!(state["outcome"], "repaired", "{}: {state:#}", suite.name());
    let changes = &state["repair"]["changes"];
    assert_eq!(changes[0]["did"], "removed /var/run/docker.pid");
    assert_eq!(changes.as_array().map(Vec::len), Some(2), "{changes}");
    seen.passes("daemon-start");
}

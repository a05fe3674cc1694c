//! dindcheck as the first process of an outer container: the command's exit code, signals, orphans, the daemon's end, and
//! the terminal.

mod daemon;
mod floods;
mod terminal;

use std::time::Duration;

use crate::harness::{Background, Bookworm, Forky, Outer, Played, SUITES, Suite, Trixie, each_engine};
use crate::shared::matrix::Matrix;

/// What `make test` samples of this topic.
pub(crate) fn matrices() -> Vec<Matrix> {
    [engine_matrices(), daemon::engine_matrices()].into_iter().flatten().collect()
}

each_engine! {
    command_has_the_daemon_and_gives_its_exit_code: Forky, of SUITES;
    signal_reaches_the_command: Bookworm, of SUITES;
    orphans_are_reaped_by_the_first_process: Trixie, of SUITES;
    docker_stop_ends_the_daemon_cleanly: Forky, of SUITES;
    ended_command_leaves_nothing: Bookworm, of SUITES;
}

/// The daemon alone is enough here.
const QUICK: &str = "--until daemon-info";

/// A quick entrypoint with this command, as the first process.
fn quick(suite: Suite, run: &[&str], command: &[&str]) -> Background {
    let words = ["entrypoint", "--until", "daemon-info", "--"];
    let dindcheck = ["--entrypoint", "dindcheck"];
    Outer::new(suite).args(&dindcheck).args(run).start(&[&words, command].concat())
}

/// The same below a shell, to its end.
fn play(suite: Suite, script: &str) -> Played {
    Outer::new(suite).play(script)
}

fn command_has_the_daemon_and_gives_its_exit_code(suite: Suite) {
    for (script, code) in
        [("docker version -f {{.Server.Version}}", "0"), ("exit 3", "3"), ("kill -KILL $$", "137")]
    {
        let outer = quick(suite, &[], &["sh", "-c", script]);
        assert_eq!(outer.code(), code, "{}, {script}: {}", suite.name(), outer.logs());
        let version = outer.logs().lines().any(|line| line.starts_with(suite.engine()));
        assert!(code != "0" || version, "{}: {}", suite.name(), outer.logs());
        assert!(outer.logs().contains("dockerd stopped within"), "{}: {}", suite.name(), outer.logs());
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn command_that_cannot_run_gives_127_or_126() {
    assert_eq!(quick(Trixie, &[], &["/no/such/program"]).code(), "127");
    assert_eq!(quick(Trixie, &[], &["/etc/passwd"]).code(), "126");
}

fn signal_reaches_the_command(suite: Suite) {
    let signals = ["TERM", "INT", "HUP", "USR1", "WINCH", "QUIT", "CONT", "RTMIN+3"];
    let traps: String = signals.iter().map(|signal| format!("trap 'echo got {signal}' {signal};")).collect();
    let script = format!("{traps} trap 'exit 9' USR2; echo ready; while :; do sleep 0.05; done");
    let outer = quick(suite, &[], &["bash", "-c", &script]);
    outer.prints("ready\n");
    for signal in signals {
        outer.kill(signal);
        outer.prints(&format!("got {signal}\n"));
    }
    outer.kill("USR2");
    assert_eq!(outer.code(), "9", "{}: {}", suite.name(), outer.logs());
}

/// A thousand processes whose parents end before they do.
const ORPHANS: &str = "ulimit -u 20000; for i in $(seq 1000); do (sleep 0.2 & ) ; done; \
    for i in $(seq 600); do ps -eo ppid,stat,comm >/tmp/ps; grep -q sleep /tmp/ps || break; sleep 0.1; done; \
    echo zombies $(grep -c [[:space:]]Z /tmp/ps) of $(grep -c sleep /tmp/ps)";

fn orphans_are_reaped_by_the_first_process(suite: Suite) {
    let outer = quick(suite, &[], &["bash", "-c", ORPHANS]);
    assert_eq!(outer.code(), "0");
    assert!(outer.logs().contains("zombies 0 of 0\n"), "{}: {}", suite.name(), outer.logs());
}

#[test]
#[ignore = "needs root and the test bed"]
fn orphans_are_reaped_below_a_shell_and_below_docker_init() {
    let script = format!("dindcheck entrypoint {QUICK} -- bash -c '{ORPHANS}'; ps -eo stat | grep -c Z >&2");
    let below = play(Trixie, &script);
    assert!(below.stdout.contains("zombies 0 of 0\n") && below.stderr.ends_with("0\n"), "{}", below.said());
    let init = quick(Trixie, &["--init"], &["bash", "-c", ORPHANS]);
    assert_eq!(init.code(), "0");
    assert!(init.logs().contains("zombies 0 of 0\n"), "{}", init.logs());
}

fn docker_stop_ends_the_daemon_cleanly(suite: Suite) {
    let outer = quick(suite, &[], &["sh", "-c", "echo ready; exec sleep 1000"]);
    outer.prints("ready\n");
    let took = outer.stop();
    println!("{}: docker stop took {took:?}", suite.name());
    // Not 137: docker did not have to kill it.
    assert_eq!(outer.code(), "143", "{}", suite.name());
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert!(outer.logs().contains("dockerd stopped within"), "{}: {}", suite.name(), outer.logs());
    assert!(!outer.logs().contains("left over"), "{}: {}", suite.name(), outer.logs());
}

fn ended_command_leaves_nothing(suite: Suite) {
    // With a container that still runs when it ends.
    let played = play(
        suite,
        r"
mkdir /var/empty-image; cp /bin/busybox /var/empty-image
before
dindcheck entrypoint --until daemon-info -- sh -c '
    tar -C /var/empty-image -c . | docker import - empty >/dev/null
    docker run -d --network host empty /busybox sleep 1000 >/dev/null && docker ps -q | wc -l'
code=$?
# 20.10 makes a key below /etc, where an entrypoint removes nothing.
rm -f /etc/docker/key.json
same && exit $code",
    );
    assert_eq!((played.code, played.stdout.trim()), (0, "1"), "{}: {}", suite.name(), played.said());
}

/// An outer container whose cgroups are gone, which may not be repaired.
fn broken(options: &str) -> Played {
    let entrypoint = format!("exec dindcheck entrypoint --repair none {QUICK} {options}");
    play(Trixie, &format!("umount -R /sys/fs/cgroup; {entrypoint}"))
}

#[test]
#[ignore = "needs root and the test bed"]
fn failed_check_runs_the_command_only_where_on_failure_says_so() {
    let stopped = broken("-- echo ran");
    assert_eq!((stopped.code, stopped.stdout.as_str()), (1, ""), "{}", stopped.said());
    assert!(stopped.stderr.contains("dindcheck: broken at cgroup-mounts"), "{}", stopped.said());
    let ran = broken("--on-failure continue -- sh -c 'echo ran; exit 4'");
    assert_eq!((ran.code, ran.stdout.as_str()), (4, "ran\n"), "{}", ran.said());
    let shell = broken("--on-failure shell -- echo ran");
    assert_eq!((shell.code, shell.stdout.as_str()), (1, ""), "{}", shell.said());
    assert!(shell.stderr.contains("/bin/sh runs instead"), "{}", shell.said());
    let typo = play(Trixie, "dindcheck entrypoint --until mounts -- true");
    assert_eq!(typo.code, 64, "{}", typo.said());
}

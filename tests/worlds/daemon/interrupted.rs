//! Runs that end by a signal, at many moments: SIGINT and SIGTERM leave nothing, and what SIGKILL leaves is removed by the
//! next run.

use crate::harness::{Bookworm, Forky, Suite, Trixie};
use crate::shared::matrix::{self, Matrix};

use super::play;

/// Seconds after which a run is ended: every moment of its life, and those of `make test`.
struct Moments {
    kind: &'static str,
    suite: Suite,
    options: &'static str,
    all: &'static str,
    sample: &'static str,
}

/// Ended by SIGINT and SIGTERM.
const SIGNALS: &[Moments] = &[
    Moments {
        kind: "signal_leaves_nothing",
        suite: Bookworm,
        options: NO_NETWORKS,
        all: "0.02 0.15 0.4 0.7 1.0 1.3 1.6 2.0 2.5 3.0",
        sample: "0.15 0.7 1.6",
    },
    Moments {
        kind: "signal_leaves_nothing",
        suite: Forky,
        options: "",
        all: "0.02 0.15 0.4 0.7 1.0 1.3 1.6 2.0 2.5 3.0",
        sample: "0.02 0.4 1.0 2.0",
    },
];

/// Ended by SIGKILL.
const KILLS: &[Moments] = &[
    Moments {
        kind: "next_run_removes_what_a_killed_one_left",
        suite: Bookworm,
        options: NO_NETWORKS,
        all: "0.03 0.2 0.5 0.8 1.0 1.2 1.4 1.6 1.8 2.0 2.2 2.4 2.7 3.0 3.4 3.8",
        sample: "0.5 1.0 1.8",
    },
    Moments {
        kind: "next_run_removes_what_a_killed_one_left",
        suite: Trixie,
        options: "",
        all: "0.06 0.3 0.9 1.3 1.6 1.7 1.8 1.9 2.0 2.1 2.2 2.4 2.6 2.8 3.1 3.4 3.8",
        sample: "0.3 1.6 2.0",
    },
    Moments {
        kind: "next_run_removes_what_a_killed_one_left",
        suite: Forky,
        options: "",
        all: "0.1 0.4 0.6 0.7 0.8 0.9 1.0 1.1 1.2 1.3 1.4 1.6 1.8 2.0 2.3 2.6 3.0",
        sample: "0.1 0.7 1.2 2.3",
    },
];

/// A dockerd 20.10 that is stopped while it removes a network panics at its next start.
const NO_NETWORKS: &str = "--until container-run";

impl Moments {
    fn played(&self) -> &'static str {
        if matrix::full() { self.all } else { self.sample }
    }

    fn matrix(&self) -> Matrix {
        let seconds =
            |moments: &str| moments.split(' ').map(|moment| format!("{moment} s")).collect::<Vec<_>>();
        let (sample, all) = (seconds(self.sample), seconds(self.all));
        let rest = all.into_iter().filter(|moment| !sample.contains(moment)).collect();
        Matrix { kind: format!("{} ({})", self.kind, self.suite.engine()), sample, rest }
    }
}

/// What `make test` samples of them.
pub(super) fn matrices() -> Vec<Matrix> {
    SIGNALS.iter().chain(KILLS).map(Moments::matrix).collect()
}

#[test]
#[ignore = "needs root and the test bed"]
fn signal_leaves_nothing() {
    for moments in SIGNALS {
        let script = format!(
            r#"
before
for signal in INT TERM; do
    for after in {moments}; do
        timeout --preserve-status -s $signal $after dindcheck verify {options} >/root/out 2>&1
        code=$?
        # 130 and 143: before it could listen to signals, and so before it did anything
        [[ $code == 0 || $code == 2 || $code == 130 || $code == 143 ]] || {{ echo "SIG$signal after $after: code $code"; cat /root/out; exit 1; }}
        same || {{ echo "SIG$signal after $after leaves something"; exit 1; }}
    done
done"#,
            moments = moments.played(),
            options = moments.options
        );
        let played = play(moments.suite, &script);
        assert_eq!(played.code, 0, "{}: {}", moments.suite.name(), played.said());
    }
}

/// Kills runs at each of these moments, and makes a whole one after each.
fn next_run_removes_what_a_killed_one_left(moments: &Moments) {
    let script = format!(
        r#"
before
for after in {}; do
    timeout -s KILL $after dindcheck verify {} >/dev/null 2>&1
    whole || {{ echo "the run after one that was killed after $after s"; cat /root/report; exit 1; }}
    same || {{ echo "killed after $after s: something is left"; exit 1; }}
done
serve
[[ -z $(docker ps -aq; docker images -aq; docker volume ls -q; docker network ls -q --filter type=custom) ]] || {{ docker ps -a; docker images -a; docker volume ls; docker network ls; docker network inspect $(docker network ls -q --filter type=custom); docker volume inspect $(docker volume ls -q); exit 1; }}"#,
        moments.played(),
        moments.options
    );
    let played = play(moments.suite, &script);
    assert_eq!(played.code, 0, "{}: {}", moments.suite.name(), played.said());
}

#[test]
#[ignore = "needs root and the test bed"]
fn next_run_removes_what_a_killed_one_left_with_20_10() {
    next_run_removes_what_a_killed_one_left(&KILLS[0]);
}

#[test]
#[ignore = "needs root and the test bed"]
fn next_run_removes_what_a_killed_one_left_with_26_1() {
    next_run_removes_what_a_killed_one_left(&KILLS[1]);
}

#[test]
#[ignore = "needs root and the test bed"]
fn next_run_removes_what_a_killed_one_left_with_28_5() {
    next_run_removes_what_a_killed_one_left(&KILLS[2]);
}

//! Two dindchecks at once: in one container, in two that share /run, and one attached to the daemon of the other.

use std::thread;

use super::census::{Answer, Thing};
use super::{TOOLS, answer};
use crate::harness::outer::unique;
use crate::harness::{Forky, Outer, Played, Trixie, docker, docker_output};
use crate::shared::matrix::{self, Matrix};

/// Seconds between the starts of two runs.
const OFFSETS: &[&str] = &["0", "0.05", "0.2", "0.5", "0.8", "1.2", "1.6", "2", "2.5", "3"];
const OFFSETS_SAMPLE: &[&str] = &["0.2", "1.2"];

/// What `make test` samples of them.
pub(super) fn matrices() -> Vec<Matrix> {
    let matrix = |kind: &str| {
        let seconds = |offset: &&str| format!("{offset} s");
        let rest = OFFSETS.iter().filter(|offset| !OFFSETS_SAMPLE.contains(offset));
        let sample = OFFSETS_SAMPLE.iter().map(seconds).collect();
        Matrix { kind: kind.into(), sample, rest: rest.map(seconds).collect() }
    };
    ["two_runs_in_one_container", "two_attached_runs_in_one_container", "two_runs_that_share_run"]
        .map(matrix)
        .into()
}

fn offsets() -> Vec<&'static str> {
    matrix::chosen(OFFSETS_SAMPLE, OFFSETS)
}

/// A run that is not sound says that there is another one.
#[track_caller]
fn sound_or_sees_the_other(code: &str, said: &str, what: &str) {
    assert!(code == "0" || said.contains("another dindcheck"), "{what}: code {code}\n{said}");
}

/// Whether it is the daemon's, which keeps its data root.
fn is_of_a_data_root(thing: &Thing) -> bool {
    thing.name.starts_with("/var/lib/docker") && !thing.name.contains("dindcheck")
}

/// Two runs with these options, the second so much later.
fn two(options: &str, offset: &str) -> String {
    format!(
        "dindcheck verify {options} >/root/first 2>&1 & first=$!
         sleep {offset}
         dindcheck verify {options} >/root/second 2>&1 & second=$!
         wait $first; section 'first: code' echo $?
         wait $second; section 'second: code' echo $?
         section 'first: said' cat /root/first
         section 'second: said' cat /root/second
         section after census"
    )
}

#[test]
#[ignore = "needs root and the test bed"]
fn two_runs_in_one_container() {
    for offset in offsets() {
        let script = format!("section before census\n{}", two("", offset));
        let answer = answer(Forky, &script);
        let codes = ["first", "second"].map(|run| answer.code(run));
        let what = format!("{offset} s: codes {codes:?}");
        assert!(codes.contains(&0), "{what}\n{}\n{}", answer.said("first"), answer.said("second"));
        // Without any time between them, either may be the first.
        assert!(offset == "0" || codes[0] == 0, "{what}\n{}", answer.said("first"));
        for run in ["first", "second"] {
            sound_or_sees_the_other(&answer.code(run).to_string(), answer.said(run), &what);
        }
        let left = answer.census("after").without(&answer.census("before"));
        let left = left.only(|thing| !is_of_a_data_root(thing)).listed("left:");
        assert!(left.is_empty(), "{what}\n{}", left.join("\n"));
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn two_attached_runs_in_one_container() {
    for offset in offsets() {
        let script = format!(
            "their_dockerd; section objects objects\n{}\nsection 'objects after' objects",
            two("--attach", offset)
        );
        let answer = answer(Trixie, &script);
        for run in ["first", "second"] {
            assert_eq!(answer.code(run), 0, "{run}, {offset} s: {}", answer.said(run));
        }
        let (before, after) = (answer.census("objects"), answer.census("objects after"));
        let wrong = [before.without(&after).listed("gone:"), after.without(&before).listed("left:")].concat();
        assert!(wrong.is_empty(), "{offset} s:\n{}", wrong.join("\n"));
    }
}

/// A volume that is /run of several outer containers, removed when it goes out of scope.
struct Run(String);

impl Run {
    fn new() -> Self {
        Self(docker_output(&["volume", "create", &unique("run")]))
    }

    /// An outer container with it.
    fn outer(&self) -> Outer {
        Outer::new(Trixie).args(&["-v", &format!("{}:/run", self.0)])
    }

    /// Plays a script in each of two containers, at once.
    fn two(&self, scripts: [&str; 2]) -> [Played; 2] {
        let play = |script: &str| self.outer().play(&format!("{TOOLS}\n{script}"));
        thread::scope(|scope| {
            scripts
                .map(|script| scope.spawn(move || play(script)))
                .map(|played| played.join().expect("a world"))
        })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = docker(&["volume", "rm", "-f", &self.0]).output();
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn two_runs_that_share_run() {
    for offset in offsets() {
        let second =
            format!("until [[ -e /run/starts ]]; do sleep 0.01; done; sleep {offset}; dindcheck verify 2>&1");
        let run = Run::new();
        let [first, second] = run.two(["touch /run/starts; dindcheck verify 2>&1", &second]);
        let what = format!("{offset} s: codes {} and {}", first.code, second.code);
        assert!(first.code == 0 || offset == "0" && second.code == 0, "{what}\n{}", first.said());
        for played in [first, second] {
            sound_or_sees_the_other(&played.code.to_string(), &played.said(), &what);
        }
    }
}

/// The daemon, as its container sees it.
const SERVES: &str = "docker version -f {{.Server.Version}}; pidof dockerd; cat /run/docker.pid; \
    stat -c %i /run/docker.sock /run/docker.pid; docker ps -q | wc -l";

#[test]
#[ignore = "needs root and the test bed"]
fn run_beside_a_live_entrypoint_that_shares_run_leaves_its_daemon() {
    let run = Run::new();
    let words = ["entrypoint", "--until", "daemon-info", "--", "sh", "-c", "echo ready; exec sleep 1000"];
    let first = run.outer().args(&["--entrypoint", "dindcheck"]).start(&words);
    first.prints("ready\n");
    let before = first.exec(&["bash", "-c", SERVES]);
    for options in ["", "--attach unix:///run/docker.sock", "--attach unix:///run/docker.sock --repair none"]
    {
        let second = run.outer().play(&format!("dindcheck verify {options} 2>&1"));
        assert_eq!(before, first.exec(&["bash", "-c", SERVES]), "`verify {options}`: {}", second.said());
    }
    let labelled = first.exec(&["bash", "-c", &format!("{TOOLS}\nobjects | grep -v ' $'; true")]);
    assert_eq!(labelled, "", "objects of the attached run are left");
    first.stop();
    assert_eq!(first.code(), "143", "{}", first.logs());
}

#[test]
#[ignore = "needs root and the test bed"]
fn run_whose_daemon_another_attaches_to_ends_as_ever() {
    let run = Run::new();
    let [first, second] = run.two([
        "section before census
         reports verify verify",
        "for i in {1..2000}; do docker version >/dev/null 2>&1 && break; sleep 0.01; done
         dindcheck verify --attach unix:///run/docker.sock 2>&1",
    ]);
    let answer = Answer::of(&first);
    assert_eq!(answer.code("verify"), 0, "{}\nbeside {}", answer.said("verify"), second.said());
    let left = answer.after("verify").without(&answer.census("before"));
    // The other one may still be there.
    let left =
        left.only(|thing| !is_of_a_data_root(thing) && !thing.name.contains("/dindcheck")).listed("left:");
    assert!(left.is_empty(), "{}\nbeside {}", left.join("\n"), second.said());
}

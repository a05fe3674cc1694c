//! The matrix of foreign daemons: a run is killed at many moments, somebody else's dockerd is started on the same paths,
//! and then each command of dindcheck leaves everything of theirs as it is.

use std::sync::OnceLock;

use super::answer;
use super::census::{Answer, Thing};
use super::judge::Judge;
use crate::harness::{Bookworm, Forky, Suite};
use crate::shared::matrix::{self, Matrix};

/// What is killed.
#[derive(Clone, Copy)]
enum Killed {
    /// dindcheck alone.
    Alone,
    /// dindcheck with its dockerd, containerd and shims, all at once.
    Daemons,
}

/// Moments at which a command is killed.
struct Row {
    suite: Suite,
    killed: Killed,
    command: &'static str,
    /// The moments, evenly over the life of the command.
    points: u32,
    /// Those of `make test`, counted from 1.
    sample: &'static [u32],
}

/// A dockerd 20.10 that is stopped while it removes a network panics at its next start, whoever starts it.
const VERIFY_20_10: &str = "verify --until container-run";
const ENTRYPOINT: &str = "entrypoint --until container-run -- sleep 1";

const ROWS: &[Row] = &[
    Row { suite: Forky, killed: Killed::Alone, command: "verify", points: 50, sample: &[24] },
    Row { suite: Forky, killed: Killed::Daemons, command: "verify", points: 50, sample: &[35] },
    Row { suite: Forky, killed: Killed::Alone, command: ENTRYPOINT, points: 20, sample: &[8] },
    Row { suite: Forky, killed: Killed::Daemons, command: ENTRYPOINT, points: 20, sample: &[16] },
    Row { suite: Bookworm, killed: Killed::Alone, command: VERIFY_20_10, points: 50, sample: &[20] },
    Row { suite: Bookworm, killed: Killed::Daemons, command: VERIFY_20_10, points: 50, sample: &[40] },
    Row { suite: Bookworm, killed: Killed::Alone, command: ENTRYPOINT, points: 20, sample: &[17] },
    Row { suite: Bookworm, killed: Killed::Daemons, command: ENTRYPOINT, points: 20, sample: &[11] },
];

impl Row {
    fn name(&self) -> String {
        let with = match self.killed {
            Killed::Alone => "alone",
            Killed::Daemons => "with its daemons",
        };
        let command = self.command.split(' ').next().unwrap_or_default();
        format!("foreign_daemon_is_untouched: {command} killed {with} ({})", self.suite.engine())
    }

    fn chosen(&self) -> Vec<u32> {
        matrix::chosen(self.sample, &(1..=self.points).collect::<Vec<_>>())
    }

    fn matrix(&self) -> Matrix {
        let part = |point: &u32| format!("{point}/{}", self.points);
        let rest = (1..=self.points).filter(|point| !self.sample.contains(point));
        Matrix {
            kind: self.name(),
            sample: self.sample.iter().map(part).collect(),
            rest: vec![format!("{} others", rest.count())],
        }
    }
}

/// What `make test` samples of them.
pub(super) fn matrices() -> Vec<Matrix> {
    ROWS.iter().map(Row::matrix).collect()
}

/// The commands that recover nothing: they are played first.
const LOOKS: &[&str] = &["plan", "wait", "none", "image"];
/// Those that recover. Each is the first of them in its turn.
const RECOVERS: &[&str] = &["verify", "attach", "entrypoint"];

/// The commands in the order in which they are played at this moment.
fn order(point: u32) -> Vec<&'static str> {
    let (later, first) = RECOVERS.split_at(point as usize % RECOVERS.len());
    [LOOKS, first, later].concat()
}

/// The foreign daemon ends, and the next run finds what it left.
const NEXT: &str = "their_dockerd_ends; section stopped census; reports next verify --until daemon-info";

/// Whether that is played at this moment: it takes seconds.
fn has_next(point: u32) -> bool {
    point.is_multiple_of(4)
}

/// The script of a moment.
fn script(row: &Row, point: u32) -> String {
    let killed = match row.killed {
        Killed::Alone => "alone",
        Killed::Daemons => "daemons",
    };
    // The whole way through somebody else's daemon takes seconds: some of the moments are enough.
    let until = if point.is_multiple_of(5) { "teardown" } else { "daemon-info" };
    format!(
        r"
attached='verify --attach unix:///var/run/docker.sock --until {until}'
section before census
dindcheck {command} >/root/killed.log 2>&1 &
slay {killed} $! {after}
section killed census
their_files; their_dockerd; their_rules; their_mount; their_containerd
section foreign census
section objects objects
for command in {commands}; do
    case $command in
        plan) play plan plan ;;
        wait) play wait wait --timeout 10s ;;
        none) reports none $attached --repair none ;;
        image) play image image theirs ;;
        verify) reports verify verify ;;
        attach) reports attach $attached ;;
        entrypoint) reports entrypoint entrypoint -- true ;;
    esac
done
section 'objects after' objects
{next}",
        next = if has_next(point) { NEXT } else { "" },
        command = row.command,
        after = moment(row, point),
        commands = order(point).join(" "),
    )
}

/// Seconds from the start of the command to its end by SIGKILL.
fn moment(row: &Row, point: u32) -> String {
    format!("{:.3}", life(row.suite, row.command) * f64::from(point) / f64::from(row.points + 1))
}

/// Seconds that the command takes here, measured once.
fn life(suite: Suite, command: &str) -> f64 {
    static LIVES: [OnceLock<f64>; 4] = [const { OnceLock::new() }; 4];
    let slot = usize::from(suite == Forky) * 2 + usize::from(command.starts_with("verify"));
    *LIVES[slot].get_or_init(|| {
        let timed = "began=$(now); dindcheck";
        let script = format!("{timed} {command} >/dev/null 2>&1; section took echo $(($(now) - began))");
        answer(suite, &script).text("took").trim().parse::<f64>().expect("microseconds") / 1e6
    })
}

/// What is wrong at a moment.
fn wrong(row: &Row, point: u32) -> Vec<String> {
    let answer = answer(row.suite, &script(row, point));
    let judge = Judge::new(&answer.census("before"), &answer.census("killed"), &answer.census("foreign"));
    let recorded = matches!(row.killed, Killed::Alone);
    let mut wrong = Vec::new();
    let mut before = answer.census("foreign");
    // What one run named, the next does not know any more.
    let mut leftovers = Vec::new();
    for command in order(point) {
        let after = answer.after(command);
        leftovers.extend(answer.leftovers(command));
        let mut found = judge.harm(&before, &after);
        found.extend(Judge::added(&before, &after, &leftovers));
        match command {
            "plan" | "wait" | "none" => found.extend(judge.recovered(&before, &after)),
            "verify" | "entrypoint" => found.extend(judge.unnamed(&after, &leftovers, recorded)),
            _ => {}
        }
        wrong.extend(found.into_iter().map(|what| format!("`{command}` {what}")));
        before = after;
    }
    wrong.extend(objects(&answer, &leftovers));
    if has_next(point) {
        wrong.extend(after_the_foreign_daemon(&judge, &answer));
    }
    if !wrong.is_empty() {
        wrong.extend(leftovers.into_iter().map(|one| format!("(named: {one})")));
    }
    wrong
}

/// What is wrong with the objects of the foreign daemon after all commands.
fn objects(answer: &Answer, leftovers: &[String]) -> Vec<String> {
    let (before, after) = (answer.census("objects"), answer.census("objects after"));
    let is_ours = |thing: &Thing| !thing.identity.ends_with(' ');
    let gone = before.without(&after).only(|thing| !is_ours(thing)).listed("the commands take away");
    let is_named = |thing: &Thing| {
        let label = thing.identity.rsplit(' ').next().map(|run| format!("dindcheck.run={run}"));
        label.is_some_and(|label| leftovers.iter().any(|one| one.contains(&label)))
    };
    let left =
        after.only(|thing| is_ours(thing) && !is_named(thing)).listed("the commands leave and do not name");
    [gone, left].concat()
}

/// What is wrong with the first run after the foreign daemon ended.
fn after_the_foreign_daemon(judge: &Judge, answer: &Answer) -> Vec<String> {
    let (stopped, after) = (answer.census("stopped"), answer.after("next"));
    let mut wrong = judge.made_by_hand(&stopped).without(&after).listed("the next run takes away");
    if answer.code("next") != 0 {
        wrong.push(format!("the next run is not sound: {}", answer.said("next")));
    }
    wrong
}

/// Plays the moments of a row.
fn foreign_daemon_is_untouched(row: &Row) {
    let mut all = Vec::new();
    for point in row.chosen() {
        let at = format!("moment {point} ({} s)", moment(row, point));
        let wrong = wrong(row, point);
        println!("{}, {at}: {} wrong", row.name(), wrong.len());
        all.extend(wrong.into_iter().map(|what| format!("{at}: {what}")).inspect(|what| println!("{what}")));
    }
    assert!(all.is_empty(), "{}:\n{}", row.name(), all.join("\n"));
}

macro_rules! rows {
    ($($name:ident: $row:expr;)*) => {
        $(
            #[test]
            #[ignore = "needs root and the test bed"]
            fn $name() {
                foreign_daemon_is_untouched(&ROWS[$row]);
            }
        )*
    };
}

rows! {
    verify_alone_killed_before_a_foreign_28_5: 0;
    verify_with_its_daemons_killed_before_a_foreign_28_5: 1;
    entrypoint_alone_killed_before_a_foreign_28_5: 2;
    entrypoint_with_its_daemons_killed_before_a_foreign_28_5: 3;
    verify_alone_killed_before_a_foreign_20_10: 4;
    verify_with_its_daemons_killed_before_a_foreign_20_10: 5;
    entrypoint_alone_killed_before_a_foreign_20_10: 6;
    entrypoint_with_its_daemons_killed_before_a_foreign_20_10: 7;
}

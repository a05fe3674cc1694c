//! Plays the rows and prints the table: what was expected, what was seen, and how long it took.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::Value;

use crate::fault::{Fault, Level, Real, Repair};
use crate::shared::report;
use crate::snapshot::Snapshot;
use crate::world::{Line, Played, Suite, World};
use crate::{logs, replay};

/// The last step of the environment phase.
pub(crate) const LAST: &str = dindcheck::steps::LAST_OF_ENVIRONMENT;

/// So many rows run at a time: a row waits for daemons more than it works.
const AT_ONCE: usize = 3;

/// What the looks of a row are recorded in.
pub(crate) const RECORDING: &str = "/opt/row.recording";
const SECOND_RECORDING: &str = "/opt/row-repaired.recording";

/// What one row came to.
struct Seen {
    name: String,
    expected: String,
    came: String,
    /// The environment phase by the report's own clock.
    milliseconds: f64,
    /// From the world's making to its end.
    seconds: f64,
    complaints: Vec<String>,
}

/// Runs rows, some at a time, and prints the table. Panics if one does not hold.
///
/// A row that did not hold beside others is played once more with nothing beside it: engines that share two
/// processors miss deadlines that are no part of the fault. What it said the first time is printed all the same.
pub(crate) fn run(rows: &[(&Fault, Suite)]) {
    let begin = Instant::now();
    let table = together(rows);
    println!("{}", summary(&table, rows, begin.elapsed().as_secs_f64()));
    let complaining = rows.iter().zip(&table).filter(|(_, seen)| !seen.complaints.is_empty());
    let alone = complaining.filter_map(|((fault, suite), seen)| {
        println!("again, alone: {}: {}", seen.name, seen.complaints.join("; "));
        let again = row(fault, *suite);
        print(&again);
        (!again.complaints.is_empty()).then(|| format!("{}: {}", again.name, again.complaints.join("; ")))
    });
    let bad: Vec<_> = alone.collect();
    println!("{} of {} rows hold", table.len() - bad.len(), table.len());
    assert!(bad.is_empty(), "{} rows do not hold: {}", bad.len(), bad.join(" | "));
}

/// Plays rows, and prints each as it ends. In the order of the rows.
fn together(rows: &[(&Fault, Suite)]) -> Vec<Seen> {
    let ended = AtomicUsize::new(0);
    at_once(rows, |(fault, suite)| {
        let seen = row(fault, *suite);
        print!("{:>3}/{} ", ended.fetch_add(1, Ordering::Relaxed) + 1, rows.len());
        print(&seen);
        seen
    })
}

/// Does something with each, some at a time; the results in the order of the rows.
pub(crate) fn at_once<R: Sync, T: Send>(rows: &[R], does: impl Fn(&R) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    let Some(row) = rows.get(turn) else { break };
                    let result = does(row);
                    results.lock().unwrap().push((turn, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(turn, _)| *turn);
    results.into_iter().map(|(_, result)| result).collect()
}

/// How many there were, and how long a fault is looked for.
fn summary(table: &[Seen], rows: &[(&Fault, Suite)], seconds: f64) -> String {
    let faults: std::collections::BTreeSet<_> = rows.iter().map(|(fault, _)| fault.name).collect();
    let mut times: Vec<f64> = table.iter().map(|row| row.milliseconds).collect();
    times.sort_by(f64::total_cmp);
    let last = times.len().saturating_sub(1);
    let at = |tenths: usize| times.get((times.len() * tenths / 10).min(last)).copied().unwrap_or_default();
    format!(
        "{} faults, {} rows in {seconds:.0} s; the environment phase took {:.1} ms in half of them, {:.1} ms in nine of ten, {:.1} ms at most",
        faults.len(),
        table.len(),
        at(5),
        at(9),
        at(10)
    )
}

/// Looks at each without repairs, and at nothing else.
pub(crate) fn look_only(faults: &[Fault]) {
    let seen = at_once(faults, |fault| {
        let complaint = look_at(fault);
        println!("{:<100} {:<20} {}", fault.name, fault.step, complaint.as_deref().unwrap_or("holds"));
        complaint.map(|complaint| format!("{}: {complaint}", fault.name))
    });
    // As with single faults: not what a deadline was missed for beside others.
    let alone =
        faults.iter().zip(seen).filter_map(|(fault, complaint)| complaint.and_then(|_| look_at(fault)));
    let bad: Vec<_> = alone.collect();
    assert!(bad.is_empty(), "{} of {} pairs do not hold: {bad:?}", bad.len(), faults.len());
}

/// What is wrong with a look without repairs, if anything is.
fn look_at(fault: &Fault) -> Option<String> {
    let world = fault.world(Suite::Forky).expect("a world");
    let played = world.run(fault.line(&["verify", "--repair", "none", "--until", LAST]));
    json(&played).map_or_else(|| Some(played.said()), |report| judge(fault, &report, played.code))
}

fn print(row: &Seen) {
    let Seen { name, expected, came, milliseconds, seconds, complaints } = row;
    println!("{name:<52} {expected:<70} {came:<40} {milliseconds:>6.1} ms {seconds:>5.1} s");
    for complaint in complaints {
        println!("    {complaint}");
    }
}

/// One row in one engine's world.
fn row(fault: &Fault, suite: Suite) -> Seen {
    let begin = Instant::now();
    let mut complaints = Vec::new();
    let looked = std::panic::catch_unwind(|| look(fault, suite))
        .unwrap_or_else(|panic| Looked::failed(&panicked(&*panic)));
    complaints.extend(looked.complaints);
    let real =
        std::panic::catch_unwind(|| reality(fault, suite)).unwrap_or_else(|panic| Err(panicked(&*panic)));
    let real = real.unwrap_or_else(|complaint| {
        complaints.push(complaint);
        "?".into()
    });
    let only = if fault.suites.len() > 1 { format!(" ({})", suite.name()) } else { String::new() };
    Seen {
        name: format!("{}{only}", fault.name),
        expected: format!("{} {} {:?}", fault.step, fault.cause, fault.level).to_lowercase(),
        came: format!("{}, {real}", looked.repair),
        milliseconds: looked.milliseconds,
        seconds: begin.elapsed().as_secs_f64(),
        complaints,
    }
}

/// A panic's words.
fn panicked(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without words"))
}

/// What the environment phase came to.
struct Looked {
    repair: String,
    milliseconds: f64,
    complaints: Vec<String>,
}

impl Looked {
    fn failed(why: &str) -> Self {
        Self { repair: "?".into(), milliseconds: 0.0, complaints: vec![why.into()] }
    }
}

/// `plan`, a look without repairs, and then with those of the default profile.
fn look(fault: &Fault, suite: Suite) -> Looked {
    let world = fault.world(suite).expect("a world");
    let before = Snapshot::of(&world);
    let planned = world.run(fault.line(&["plan"]));
    let mut complaints = Vec::new();
    if planned.code != 0 {
        complaints.push(format!("plan: {}", planned.said()));
    }
    let words = ["verify", "--repair", "none", "--until", LAST, "--record", RECORDING];
    let played = world.run(fault.line(&words));
    let changed = before.differences(&Snapshot::of(&world));
    complaints.extend(changed.iter().map(|line| format!("changed by looking: {line}")));
    let Some(report) = json(&played) else {
        return Looked::failed(&format!("no report: {}", played.said()));
    };
    complaints.extend(judge(fault, &report, played.code));
    complaints.extend(replay::complaint(&world, RECORDING, &report));
    let (repair, complaint) = repaired(fault, &world);
    complaints.extend(complaint);
    Looked {
        repair: format!("{repair:?}").to_lowercase(),
        milliseconds: report["duration_ms"].as_f64().unwrap_or_default(),
        complaints,
    }
}

/// Whether the first step that says something is the expected one, for the expected cause.
fn judge(fault: &Fault, report: &Value, code: i32) -> Option<String> {
    let (first, warnings) = (&report["first_failure"], report::warnings(report));
    let holds = match fault.level {
        Level::Fail => code == 1 && first["step"] == fault.step && first["cause"] == fault.cause,
        Level::Warn => code == 0 && first.is_null() && warnings.contains(&(fault.step, fault.cause)),
    };
    (!holds).then(|| format!("seen: exit code {code}, first failure {first}, warnings {warnings:?}"))
}

/// What the default repairs do; where they help, the whole ladder must hold.
fn repaired(fault: &Fault, world: &World) -> (Repair, Option<String>) {
    let whole = fault.repair == Repair::Repaired;
    let until: &[&str] = if whole { &[] } else { &["--until", LAST] };
    let played = world.run(fault.line(&[&["verify", "--record", SECOND_RECORDING], until].concat()));
    let Some(report) = json(&played) else {
        return (Repair::None, Some(format!("no report with repairs: {}", played.said())));
    };
    if let Some(complaint) = replay::complaint(world, SECOND_RECORDING, &report) {
        return (Repair::None, Some(complaint));
    }
    let step = report::step(&report, fault.step);
    let seen = match (step["outcome"].as_str(), &step["repair"]) {
        (Some("repaired"), _) => Repair::Repaired,
        (_, Value::Null) => Repair::None,
        _ => Repair::Helpless,
    };
    let complaint = if seen != fault.repair {
        Some(format!("repair: {seen:?} instead of {:?}: {}", fault.repair, step["repair"]))
    } else if whole && played.code != 0 {
        Some(format!("repaired, but not sound: {} {}", report["first_failure"], report["diagnosis"]))
    } else {
        None
    };
    (seen, complaint)
}

/// The engine alone, with nothing of the environment checked, and what its log says.
fn reality(fault: &Fault, suite: Suite) -> Result<String, String> {
    if let Real::NotTried(why) = fault.real {
        return Ok(format!("not tried: {why}"));
    }
    let world = fault.world(suite).expect("a world");
    let played = world.run(fault.line_without_environment(&["verify", "--repair", "none"]));
    let report =
        json(&played).ok_or_else(|| format!("no report without the environment phase: {}", played.said()))?;
    let first = &report["first_failure"];
    let said = format!(
        "{} {}",
        first["step"].as_str().unwrap_or("sound"),
        first["cause"].as_str().unwrap_or_default()
    );
    match (fault.real, played.code) {
        (Real::Breaks, 1) => match logs::complaint(fault, &report) {
            None => Ok(format!("{said}, log {}", logs::cause_of_log(&report))),
            Some(complaint) => Err(format!("{said}, {complaint}")),
        },
        (Real::Survives, 0) => Ok(said.trim().to_owned()),
        // Some faults keep even dindcheck from starting a daemon.
        (Real::Breaks, 2) if first["step"] == "daemon-start" => Ok("daemon-start cannot begin".to_owned()),
        (expected, code) => {
            Err(format!("reality: {expected:?} was expected, seen: exit code {code}, {first}"))
        }
    }
}

/// The report on stdout.
pub(crate) fn json(played: &Played) -> Option<Value> {
    serde_json::from_str(&played.stdout).ok()
}

/// A healthy world to the end of the ladder.
pub(crate) fn healthy(suite: Suite) -> (Played, Value) {
    let world = World::new(suite).expect("a world");
    let played = world.run(Line::new(["dindcheck", "verify", "--format", "json"]));
    let report = json(&played).unwrap_or_else(|| panic!("no report: {}", played.said()));
    (played, report)
}

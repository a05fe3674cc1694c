//! Kernels and cgroups that this machine does not have, in virtual machines.
//!
//! scripts/vm-test.sh makes the bed and runs this; README.md tells how it works.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests look at the machine and speak for themselves"
)]

mod boot;
mod judge;
#[path = "../harness/mod.rs"]
mod shared;
mod worlds;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use boot::Played;
use worlds::{Row, World};

/// A line of the summary.
struct Line {
    columns: [String; 8],
    holds: bool,
}

#[test]
fn what_make_test_samples_is_documented() {
    shared::matrix::documented("vm", &worlds::matrices());
}

#[test]
#[ignore = "boots virtual machines with real kernels; scripts/vm-test.sh runs it"]
fn row_is_as_expected() {
    let out =
        PathBuf::from(std::env::var_os("DINDCHECK_VM_OUT").expect("DINDCHECK_VM_OUT names a directory"));
    let only = std::env::var("DINDCHECK_VM_ONLY").unwrap_or_default();
    let began = Instant::now();
    let mut worlds = worlds::played();
    worlds.retain(|world| format!("{}/{}", world.kernel.name(), world.cgroup).contains(&only));
    assert!(!worlds.is_empty(), "no world has {only} in its name");
    let lines = play_all(&worlds, &shared::program(), &out);
    print(&lines, began.elapsed(), worlds.len());
    assert!(lines.iter().all(|line| line.holds), "not every row is as expected");
}

/// Plays worlds, two at a time: each machine has one CPU.
fn play_all(worlds: &[World], binary: &Path, out: &Path) -> Vec<Line> {
    let at_once = std::env::var("DINDCHECK_VM_AT_ONCE").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let queue = Mutex::new(worlds.iter());
    let (lines, ended) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(world) = { queue.lock().unwrap().next() } {
                    let played = boot::play(
                        world,
                        binary,
                        &out.join(format!("{}-{}", world.kernel.name(), world.cgroup)),
                    );
                    eprintln!(
                        "machine {} of {}: {} {}: {} s",
                        ended.fetch_add(1, Ordering::Relaxed) + 1,
                        worlds.len(),
                        world.kernel.kernel(),
                        world.cgroup,
                        played.took.as_secs()
                    );
                    if let Some(error) = &played.error {
                        eprintln!("{error}");
                    }
                    lines.lock().unwrap().extend(world.rows.iter().map(|row| line(world, row, &played)));
                }
            });
        }
    });
    lines.into_inner().unwrap()
}

/// What a row came to.
fn line(world: &World, row: &Row, played: &Played) -> Line {
    let dir = played.results.join(boot::id(row));
    let seconds = std::fs::read_to_string(dir.join("end")).ok().and_then(|end| {
        let millis: f64 = end.split_whitespace().nth(1)?.parse().ok()?;
        Some(format!("{:.0}", millis / 1000.0))
    });
    let words = |of: &dyn Fn(&(&'static str, &'static str)) -> String| {
        row.expected.iter().map(of).collect::<Vec<_>>().join(", ")
    };
    let expected = words(&|(_, word)| (*word).to_owned());
    let seen = words(&|(file, _)| judge::word(&dir.join(row.part), file));
    let name = if row.part.is_empty() { row.scenario } else { row.part };
    Line {
        holds: played.error.is_none() && expected == seen,
        columns: [
            world.kernel.kernel().into(),
            row.cgroup(world).into(),
            row.outer.engine().into(),
            row.inner.engine().into(),
            name.into(),
            expected,
            seen,
            seconds.unwrap_or_else(|| "-".into()),
        ],
    }
}

/// The summary.
fn print(lines: &[Line], took: Duration, worlds: usize) {
    let head =
        ["kernel", "cgroup", "outer", "inner", "scenario", "expected", "seen", "seconds"].map(String::from);
    let width = |column: usize| {
        lines
            .iter()
            .map(|line| &line.columns)
            .chain([&head])
            .map(|columns| columns[column].len())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; 8] = std::array::from_fn(width);
    let show = |columns: &[String; 8], mark: &str| {
        let cells: Vec<_> =
            columns.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("{mark} {}", cells.join("  ").trim_end());
    };
    show(&head, "  ");
    for line in lines {
        show(&line.columns, if line.holds { "  " } else { "! " });
    }
    let bad = lines.iter().filter(|line| !line.holds).count();
    println!("{} rows in {worlds} machines, {bad} not as expected, {} s", lines.len(), took.as_secs());
}

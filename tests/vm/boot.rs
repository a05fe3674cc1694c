//! Plays a world: boot.sh, in a process of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::worlds::{Row, World};

/// What a machine gave back.
pub(crate) struct Played {
    /// Its directory of results.
    pub(crate) results: PathBuf,
    /// From qemu's start to its end.
    pub(crate) took: Duration,
    /// Why it did not get to its end.
    pub(crate) error: Option<String>,
}

/// A path of tests/vm.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm").join(name)
}

/// Where a row's results are, and the id of its scenario in the plan: rows that are parts share one.
pub(crate) fn id(row: &Row) -> String {
    let Row { scenario, argument, outer, inner, .. } = row;
    let hybrid = if row.hybrid { "-hybrid" } else { "" };
    format!("{scenario}{argument}{hybrid}-{}-{}", outer.name(), inner.name())
}

/// Boots a world and plays its rows.
pub(crate) fn play(world: &World, binary: &Path, dir: &Path) -> Played {
    let plan = dir.with_extension("plan");
    std::fs::write(&plan, plan_of(world)).expect("write the plan");
    let began = Instant::now();
    let output = Command::new(script("boot.sh"))
        .args([world.kernel.name(), world.cgroup])
        .args([&plan, binary, dir])
        .arg(deadline(world).as_secs().to_string())
        .stdin(Stdio::null())
        .output()
        .expect("start boot.sh");
    let error = (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned());
    Played { results: dir.join("results"), took: began.elapsed(), error }
}

/// The plan: scenarios by outer engine, in the order of their first row; those with hybrid cgroups last.
fn plan_of(world: &World) -> String {
    let mut rows: Vec<&Row> = world.rows.iter().collect();
    rows.sort_by_key(|row| (row.hybrid, row.outer));
    rows.dedup_by_key(|row| id(row));
    let mut plan = String::new();
    let mut hybrid = false;
    for row in rows {
        if row.hybrid && !hybrid {
            plan.push_str("- hybrid\n");
            hybrid = true;
        }
        let Row { outer, inner, scenario, argument, .. } = row;
        let _ = writeln!(plan, "{} {} {} {scenario} {argument}", id(row), outer.name(), inner.name());
    }
    plan
}

/// Several times what a machine takes when it has a CPU to itself.
fn deadline(world: &World) -> Duration {
    let scenarios = plan_of(world).lines().count();
    Duration::from_secs(900 + 600 * u64::try_from(scenarios).unwrap_or(0))
}

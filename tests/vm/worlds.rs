//! The machines, what is played in each, and what must come of it.

use crate::shared::bed::{Bookworm as B, Forky as F, Suite, Trixie as T};
use crate::shared::matrix::{self, Matrix};

/// What each file of a scenario's results must come to, in the words of `judge`.
pub(crate) type Expected = &'static [(&'static str, &'static str)];

/// A machine: a kernel, and how its cgroups are set up (guest/stage2.sh).
pub(crate) struct World {
    pub(crate) kernel: Suite,
    pub(crate) cgroup: &'static str,
    pub(crate) rows: Vec<Row>,
}

/// One row of the table.
pub(crate) struct Row {
    /// The suite of the outer engine.
    pub(crate) outer: Suite,
    /// The suite of the inner engine.
    pub(crate) inner: Suite,
    /// The script in guest/scenarios.
    pub(crate) scenario: &'static str,
    /// What it is played with, for a scenario that asks for it.
    pub(crate) argument: &'static str,
    /// Whether the v2 tree is mounted beside the machine's v1 hierarchies first, which makes them hybrid.
    pub(crate) hybrid: bool,
    /// The directory of its results that this row is about, where a scenario has several.
    pub(crate) part: &'static str,
    pub(crate) expected: Expected,
    /// Whether `make test` plays it; `make test-all` plays every row.
    pub(crate) sample: bool,
}

/// A healthy world of cgroup v2: the outer container's shell sits in its root, which the default repair clears.
const V2: Expected = &[("first.json", "sound after cgroup-delegation with memory pids cpu")];
/// And once more, in the world that the repair left.
const V2_TWICE: Expected =
    &[("first.json", "sound after cgroup-delegation with memory pids cpu"), ("second.json", "sound")];
/// A kernel that was booted without its memory controller.
const V2_NO_MEMORY: Expected = &[(
    "first.json",
    "sound after cgroup-delegation with pids cpu warned by cgroup-mounts daemon-info container-limits",
)];
/// A healthy world of cgroup v1.
const V1: Expected = &[("first.json", "sound with memory pids cpu")];
const V1_TWICE: Expected = &[("first.json", "sound with memory pids cpu"), ("second.json", "sound")];
/// The same without a memory hierarchy.
const V1_NO_MEMORY: Expected =
    &[("first.json", "sound with pids cpu warned by cgroup-mounts daemon-info container-limits")];
/// What is said agrees with what is true, before and after the repair of a root that an engine has spoiled.
const OCCUPIED: Expected = &[
    ("refused.json", "cgroup-delegation: cgroup-v2-root-has-processes"),
    ("limited.truth", "does not run"),
    ("repaired.json", "sound after cgroup-delegation"),
    ("again.truth", "runs: 67108864"),
];

/// What the first process of a container owes its command.
const ENTRYPOINT: Expected =
    &[("entrypoint.said", "reaped TERM INT HUP USR1 WINCH code 3 stopped with 143 cleanly")];

/// The faults of cgroup v2, each a row; the scenario `faults` plays them all.
const FAULTS: &[(&str, Expected)] = &[
    (
        "entangled",
        &[
            ("entangled.json", "cgroup-delegation: cgroup-root-threaded"),
            ("free.json", "sound after cgroup-delegation"),
        ],
    ),
    (
        "read-only",
        &[
            ("refused.json", "cgroup-mounts: cgroup-mounted-read-only"),
            ("repaired.json", "sound after cgroup-mounts cgroup-delegation"),
            ("limited.truth", "runs"),
        ],
    ),
    ("read-only-host", &[("refused.json", "cgroup-mounts: cgroup-mounted-read-only")]),
    (
        "systemd-driver",
        &[
            ("all.json", "daemon-config: systemd-cgroup-driver-without-systemd"),
            ("plain.truth", "does not run"),
        ],
    ),
    (
        "user-namespace",
        &[
            ("all.json", "privileges: image-uid-outside-mapped-range"),
            ("delegation.json", "cgroup-delegation: cgroup-v2-not-delegated"),
        ],
    ),
    (
        "withheld",
        &[
            ("refused.json", "cgroup-delegation: cgroup-v2-root-has-processes"),
            ("repaired.json", "sound after cgroup-delegation warned by cgroup-mounts"),
            (
                "limited.truth",
                "runs: WARNING: Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
            ),
        ],
    ),
    (
        "host-namespace",
        &[
            ("all.json", "sound with memory pids cpu warned by cgroup-delegation container-run"),
            ("host.json", "sound warned by cgroup-delegation"),
            ("everyone", "nothing moved"),
        ],
    ),
    (
        "foreign",
        &[
            ("stuck.json", "cgroup-delegation: cgroup-v2-root-has-processes"),
            ("free.json", "sound after cgroup-delegation"),
        ],
    ),
];

/// A row of every run.
fn row(scenario: &'static str, outer: Suite, inner: Suite, expected: Expected) -> Row {
    Row { outer, inner, scenario, argument: "", hybrid: false, part: "", expected, sample: true }
}

/// A row of `make test-all` alone.
fn rest(scenario: &'static str, outer: Suite, inner: Suite, expected: Expected) -> Row {
    Row { sample: false, ..row(scenario, outer, inner, expected) }
}

impl Row {
    /// The set-up of cgroups that it is played with.
    pub(crate) fn cgroup(&self, world: &World) -> &'static str {
        if self.hybrid { "hybrid" } else { world.cgroup }
    }

    fn hybrid(self) -> Self {
        Self { hybrid: true, ..self }
    }

    fn with(self, argument: &'static str) -> Self {
        Self { argument, ..self }
    }
}

/// The rows that are played, in their machines.
pub(crate) fn played() -> Vec<World> {
    let mut worlds = all();
    for world in &mut worlds {
        world.rows.retain(|row| row.sample || matrix::full());
    }
    worlds.retain(|world| !world.rows.is_empty());
    worlds
}

/// What `make test` samples: of each scenario, or part of one, with each set-up of cgroups. A second look is of one kind
/// whatever the cgroups, and the first process is the same on this machine's own kernel.
pub(crate) fn matrices() -> Vec<Matrix> {
    let mut matrices = vec![Matrix {
        kind: "entrypoint".into(),
        sample: vec!["all of worlds/entrypoint, on this machine's kernel".into()],
        rest: Vec::new(),
    }];
    for (world, row) in all().iter().flat_map(|world| world.rows.iter().map(move |row| (world, row))) {
        let cgroup = row.cgroup(world);
        let kind = match row.scenario {
            "entrypoint" | "twice" => row.scenario.to_owned(),
            scenario => format!("{scenario} {} on {cgroup}", row.part).replace("  ", " "),
        };
        let index = matrices.iter().position(|matrix| matrix.kind == kind).unwrap_or_else(|| {
            matrices.push(Matrix { kind, sample: Vec::new(), rest: Vec::new() });
            matrices.len() - 1
        });
        let matrix = &mut matrices[index];
        if row.sample { &mut matrix.sample } else { &mut matrix.rest }.push(case(world, row));
    }
    matrices
}

/// A row in words.
fn case(world: &World, row: &Row) -> String {
    let (inner, outer, kernel) = (row.inner.engine(), row.outer.engine(), world.kernel.kernel());
    let times = if row.argument.is_empty() { String::new() } else { format!("{} times ", row.argument) };
    format!("{times}{inner} in {outer} on {kernel} {}", row.cgroup(world))
}

/// All of them. The long ones first, so that two at once end together; rows of one outer engine share its start.
///
/// Only 6.1 has a memory hierarchy of v1 that can be turned off.
fn all() -> Vec<World> {
    let world = |kernel, cgroup, rows| World { kernel, cgroup, rows };
    let mut fault_rows = vec![
        row("twice", T, T, V2_TWICE),
        rest("sound", T, B, V2),
        rest("sound", T, F, V2),
        rest("sound", F, T, V2),
        rest("occupied", T, T, OCCUPIED),
        row("race", T, T, &[("runs", "25 of 25 sound or named")]).with("25"),
        rest("race", T, T, &[("runs", "100 of 100 sound or named")]).with("100"),
    ];
    fault_rows.extend(FAULTS.iter().map(|(part, expected)| Row { part, ..row("faults", T, T, expected) }));
    vec![
        world(T, "v2", fault_rows),
        world(
            B,
            "v2",
            vec![
                row("occupied", B, B, OCCUPIED),
                rest("entrypoint", B, B, ENTRYPOINT),
                rest("sound", B, F, V2),
                rest("sound", B, T, V2),
                rest("twice", B, B, V2_TWICE),
            ],
        ),
        world(
            B,
            "v1",
            vec![
                row("sound", B, F, V1),
                rest("twice", B, B, V1_TWICE),
                row("sound", B, T, V1).hybrid(),
                rest("sound", T, B, V1).hybrid(),
                rest("sound", T, F, V1).hybrid(),
            ],
        ),
        world(
            F,
            "v2",
            vec![
                row("sound", F, T, V2),
                rest("sound", F, B, V2),
                rest("sound", B, B, V2),
                rest("twice", F, F, V2_TWICE),
            ],
        ),
        world(T, "v2-nomem", vec![row("sound", T, T, V2_NO_MEMORY)]),
        world(B, "v1-nomem", vec![row("sound", B, B, V1_NO_MEMORY), rest("sound", B, T, V1_NO_MEMORY)]),
        world(
            T,
            "v1",
            vec![
                rest("sound", T, T, V1_NO_MEMORY),
                rest("sound", T, B, V1_NO_MEMORY),
                rest("sound", F, F, V1_NO_MEMORY).hybrid(),
                rest("sound", F, T, V1_NO_MEMORY).hybrid(),
            ],
        ),
        world(F, "v1", vec![rest("sound", F, F, V1_NO_MEMORY), rest("sound", B, T, V1_NO_MEMORY).hybrid()]),
    ]
}

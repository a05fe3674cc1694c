//! Which machines are there, what is played in each, and what must come of it?

/// A machine: a kernel, and how its cgroups are set up (guest/stage2.sh).
pub(crate) struct World {
    pub(crate) kernel: &'static str,
    pub(crate) cgroup: &'static str,
    pub(crate) rows: Vec<Row>,
}

/// One row of the table.
pub(crate) struct Row {
    /// The suite of the outer engine.
    pub(crate) outer: &'static str,
    /// The suite of the inner engine.
    pub(crate) inner: &'static str,
    /// The script in guest/scenarios.
    pub(crate) scenario: &'static str,
    /// The directory of its results that this row is about, where a scenario has several.
    pub(crate) part: &'static str,
    /// What each file of the results must come to, in the words of `judge`.
    pub(crate) expected: &'static [(&'static str, &'static str)],
}

/// The engine of a suite of Debian.
pub(crate) fn engine(suite: &str) -> &'static str {
    match suite {
        "bookworm" => "20.10.24",
        "trixie" => "26.1.5",
        "forky" => "28.5.2",
        _ => "?",
    }
}

/// The version of a suite's kernel.
pub(crate) fn kernel(suite: &str) -> &'static str {
    match suite {
        "bookworm" => "6.1",
        "trixie" => "6.12",
        "forky" => "7.2",
        _ => "?",
    }
}

/// A healthy world of cgroup v2: the outer container's shell sits in its root, which the default repair clears.
const V2: &[(&str, &str)] = &[
    ("first.json", "sound after cgroup-delegation with memory pids cpu"),
    ("second.json", "sound with memory pids cpu"),
];
/// The same where the kernel was told to have no memory controller.
const V2_NO_MEMORY: &[(&str, &str)] =
    &[("first.json", "sound after cgroup-delegation with pids cpu"), ("second.json", "sound with pids cpu")];
/// A healthy world of cgroup v1.
const V1: &[(&str, &str)] =
    &[("first.json", "sound with memory pids cpu"), ("second.json", "sound with memory pids cpu")];
/// The same without a memory hierarchy.
const V1_NO_MEMORY: &[(&str, &str)] =
    &[("first.json", "sound with pids cpu"), ("second.json", "sound with pids cpu")];
/// What is said agrees with what is true, before and after the repair of a root that an engine has spoiled.
const OCCUPIED: &[(&str, &str)] = &[
    ("refused.json", "cgroup-delegation: cgroup-v2-root-has-processes"),
    ("limited.truth", "does not run"),
    ("repaired.json", "sound after cgroup-delegation"),
    ("again.truth", "runs: 67108864"),
];

/// The faults of cgroup v2, each a row; the scenario `faults` plays them all.
const FAULTS: &[(&str, &[(&str, &str)])] = &[
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
        &[("all.json", "container-run: cgroup-driver-systemd-missing"), ("plain.truth", "does not run")],
    ),
    (
        "user-namespace",
        &[("all.json", "privileges: ?"), ("delegation.json", "cgroup-delegation: cgroup-v2-not-delegated")],
    ),
    (
        "withheld",
        &[
            ("refused.json", "cgroup-delegation: cgroup-v2-root-has-processes"),
            ("repaired.json", "sound after cgroup-delegation"),
            ("limited.truth", "runs"),
        ],
    ),
    ("host-namespace", &[("all.json", "sound"), ("host.json", "sound"), ("everyone", "nothing moved")]),
    (
        "foreign",
        &[
            ("stuck.json", "cgroup-delegation: cgroup-v2-root-has-processes"),
            ("free.json", "sound after cgroup-delegation"),
        ],
    ),
];

/// One row.
fn row(
    scenario: &'static str,
    outer: &'static str,
    inner: &'static str,
    expected: &'static [(&'static str, &'static str)],
) -> Row {
    Row { outer, inner, scenario, part: "", expected }
}

/// Rows of one scenario with several pairs of engines.
fn pairs(
    scenario: &'static str,
    expected: &'static [(&'static str, &'static str)],
    pairs: &[(&'static str, &'static str)],
) -> Vec<Row> {
    pairs.iter().map(|(outer, inner)| row(scenario, outer, inner, expected)).collect()
}

const B: &str = "bookworm";
const T: &str = "trixie";
const F: &str = "forky";

/// All of them. The long ones first, so that two at once end together.
pub(crate) fn all() -> Vec<World> {
    let world = |kernel, cgroup, rows: Vec<Vec<Row>>| World {
        kernel,
        cgroup,
        rows: rows.into_iter().flatten().collect(),
    };
    let occupied = |outer, inner| pairs("occupied", OCCUPIED, &[(outer, inner)]);
    let faults = |engine: &'static str| {
        FAULTS
            .iter()
            .map(|(part, expected)| Row { part, ..row("faults", engine, engine, expected) })
            .collect()
    };
    let race = |engine| pairs("race", &[("runs", "100 of 100 sound or named")], &[(engine, engine)]);
    vec![
        world(
            T,
            "v2",
            vec![
                pairs("sound", V2, &[(T, T), (T, B), (F, T), (B, T), (T, F)]),
                occupied(T, T),
                occupied(T, B),
                faults(T),
                race(T),
            ],
        ),
        world(
            F,
            "v2",
            vec![
                pairs("sound", V2, &[(F, F), (F, B), (T, F), (B, F), (B, B)]),
                occupied(F, F),
                occupied(F, T),
                race(F),
            ],
        ),
        world(
            B,
            "v2",
            vec![pairs("sound", V2, &[(B, B), (T, B), (F, F)]), occupied(B, B), occupied(B, F), race(B)],
        ),
        world(B, "v1", vec![pairs("sound", V1, &[(B, B), (T, T), (T, F)])]),
        world(B, "hybrid", vec![pairs("sound", V1, &[(B, B), (F, T)])]),
        world(B, "v1-nomem", vec![pairs("sound", V1_NO_MEMORY, &[(B, B), (T, F)])]),
        world(B, "v2-nomem", vec![pairs("sound", V2_NO_MEMORY, &[(B, B), (F, T)]), occupied(B, B)]),
        world(T, "v1", vec![pairs("sound", V1_NO_MEMORY, &[(T, T), (T, B)])]),
        world(T, "hybrid", vec![pairs("sound", V1_NO_MEMORY, &[(T, T), (F, B)])]),
        world(T, "v1-nomem", vec![pairs("sound", V1_NO_MEMORY, &[(T, T)])]),
        world(T, "v2-nomem", vec![pairs("sound", V2_NO_MEMORY, &[(T, T), (F, F)]), occupied(T, T)]),
        world(F, "v1", vec![pairs("sound", V1_NO_MEMORY, &[(F, F), (T, T)])]),
        world(F, "hybrid", vec![pairs("sound", V1_NO_MEMORY, &[(F, F), (B, T)])]),
        world(F, "v1-nomem", vec![pairs("sound", V1_NO_MEMORY, &[(F, F)])]),
        world(F, "v2-nomem", vec![pairs("sound", V2_NO_MEMORY, &[(F, F), (B, B)])]),
    ]
}

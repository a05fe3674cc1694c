//! Which machines are there, what is played in each, and what must come of it?

/// What each file of a scenario's results must come to, in the words of `judge`.
pub(crate) type Expected = &'static [(&'static str, &'static str)];

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
    pub(crate) expected: Expected,
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
const V2: Expected = &[("first.json", "sound after cgroup-delegation with memory pids cpu")];
/// And once more, in the world that the repair left.
const V2_TWICE: Expected =
    &[("first.json", "sound after cgroup-delegation with memory pids cpu"), ("second.json", "sound")];
/// A kernel that was told to have no memory controller.
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

/// One row.
fn row(scenario: &'static str, outer: &'static str, inner: &'static str, expected: Expected) -> Row {
    Row { outer, inner, scenario, part: "", expected }
}

/// Rows of one scenario with several pairs of engines.
fn pairs(scenario: &'static str, expected: Expected, pairs: &[(&'static str, &'static str)]) -> Vec<Row> {
    pairs.iter().map(|(outer, inner)| row(scenario, outer, inner, expected)).collect()
}

const B: &str = "bookworm";
const T: &str = "trixie";
const F: &str = "forky";

/// All of them. The long ones first, so that two at once end together; rows of one outer engine share its start.
///
/// Only 6.1 has a memory hierarchy of v1 that can be turned off.
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
                pairs("twice", V2_TWICE, &[(T, T)]),
                pairs("sound", V2, &[(T, B), (T, F), (F, T)]),
                occupied(T, T),
                faults(T),
                race(T),
            ],
        ),
        world(
            F,
            "v2",
            vec![pairs("twice", V2_TWICE, &[(F, F)]), pairs("sound", V2, &[(F, T), (F, B), (B, B)])],
        ),
        world(
            B,
            "v2",
            vec![
                pairs("twice", V2_TWICE, &[(B, B)]),
                pairs("sound", V2, &[(B, T), (B, F)]),
                occupied(B, B),
                pairs("entrypoint", ENTRYPOINT, &[(B, B)]),
            ],
        ),
        world(B, "v1", vec![pairs("twice", V1_TWICE, &[(B, B)]), pairs("sound", V1, &[(B, F)])]),
        world(B, "hybrid", vec![pairs("sound", V1, &[(T, B), (T, F)])]),
        world(B, "v1-nomem", vec![pairs("sound", V1_NO_MEMORY, &[(B, B), (B, T)])]),
        world(T, "v1", vec![pairs("sound", V1_NO_MEMORY, &[(T, T), (T, B)])]),
        world(T, "hybrid", vec![pairs("sound", V1_NO_MEMORY, &[(F, F), (F, T)])]),
        world(T, "v2-nomem", vec![pairs("sound", V2_NO_MEMORY, &[(T, T)])]),
        world(F, "v1", vec![pairs("sound", V1_NO_MEMORY, &[(F, F)])]),
        world(F, "hybrid", vec![pairs("sound", V1_NO_MEMORY, &[(B, T)])]),
    ]
}

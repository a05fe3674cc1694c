//! Each step and each cause of the environment has a fault that shows it, or a reason why it has none.

use std::collections::BTreeSet;

use dindcheck::step::{Phase, Step};
use dindcheck::{diagnosis, finding, steps};

use crate::fault::{Level, Real};
use crate::shared::own_step::{Later, agrees};
use crate::{faults, rootless};

/// The stages of the vocabulary that the environment phase covers.
const STAGES: &[&str] =
    &["privileges", "kernel", "mounts", "cgroup", "storage", "network", "binaries", "daemon"];

/// Why this machine shows no world for these.
struct Reason {
    why: &'static str,
    steps: &'static [&'static str],
    causes: &'static [&'static str],
}

/// Why steps and causes have no row: a step of which every cause has a reason needs none of its own.
const REASONS: &[Reason] = &[
    Reason {
        why: "`dindcheck image` finds it, of which tests/worlds/image has a world",
        steps: &[],
        causes: &["image-starts-no-daemon"],
    },
    Reason {
        why: "the clock is the machine's own, and no world may set it: the runner's unit tests have its readings",
        steps: &[],
        causes: &["system-clock-jumps"],
    },
    Reason {
        why: "only a rootless daemon has it: rootless.rs has worlds for one, these are root's",
        steps: &[],
        causes: &[
            "newuidmap-not-permitted",
            "overlay-in-user-namespace-unsupported",
            "subuid-range-overlapping",
            "sysfs-mount-denied-in-user-namespace",
            "user-namespaces-disabled",
            "cgroup-v1-not-delegated",
            "cgroup-v2-not-delegated",
        ],
    },
    Reason {
        why: "this kernel has neither AppArmor nor SELinux",
        steps: &[],
        causes: &[
            "apparmor-confined",
            "apparmor-denies-nested-profile",
            "apparmor-parser-missing",
            "runc-sysctl-denied-by-lxc-apparmor",
            "selinux-confined",
            "securityfs-not-mounted",
        ],
    },
    Reason {
        why: "it is built into this kernel, and no seccomp filter can hide it",
        steps: &[],
        causes: &[
            "kernel-lacks-bridge",
            "kernel-lacks-iptables-raw",
            "kernel-lacks-filesystem",
            "kernel-lacks-overlayfs",
            "kernel-lacks-seccomp",
            "kernel-lacks-veth",
        ],
    },
    Reason {
        why: "it belongs to the whole machine: limits that a test must not use up, and the host's network",
        steps: &[],
        causes: &["keyring-quota-exceeded", "network-namespace-is-host", "memory-cgroup-ids-exhausted"],
    },
    Reason {
        why: "it takes another machine: WSL, Sysbox, Linux 2.6.32, FUSE below /proc/sys, systemd as the host's init",
        steps: &[],
        causes: &[
            "kernel-too-old-no-sys-fs-cgroup",
            "proc-sys-emulation-io-error",
            "sysbox-daemons-not-running",
            "systemd-scope-creation-failed",
            "cgroup-parent-not-a-slice",
            "umask-not-settable",
            "wsl1-kernel-unsupported",
        ],
    },
    Reason {
        why: "cgroup v2 has no controllers on this machine; the worlds of tests/vm show it",
        steps: &[],
        causes: &[
            "cgroup-v2-evacuation-race",
            "cgroup-v2-root-has-processes",
            "device-cgroup-bpf-not-permitted",
        ],
    },
    Reason {
        why: "the hierarchies of this machine are mounted already, and their grouping and options cannot change; no process can enter an empty cpuset",
        steps: &[],
        causes: &["cpuset-mounted-noprefix", "cpuset-not-initialized", "cgroup-not-mounted"],
    },
    Reason {
        why: "the engines of the bed, and the kernel, are newer",
        steps: &[],
        causes: &["cgroup-v2-unsupported-by-docker", "devicemapper-pool-creation-failed"],
    },
    Reason {
        why: "only Docker 29 has it, which Debian does not package",
        steps: &[],
        causes: &["erofs-snapshotter-mkfs-missing", "ip-forward-disabled", "nft-tool-missing"],
    },
    Reason {
        why: "it shows in a log only, while the environment is sound",
        steps: &[],
        causes: &[
            "capability-missing-for-container",
            "seccomp-blocks-system-call",
            "containerd-crashed",
            "containerd-start-timeout",
            "data-root-in-image-layer",
            "dns-resolver-not-answering",
            "docker-iptables-chains-flushed",
            "init-script-ulimit-not-permitted",
            "iptables-chain-already-exists",
            "modprobe-program-missing",
            "no-error-found",
            "unknown",
        ],
    },
    Reason {
        why: "a step of a later phase finds it",
        steps: &[],
        causes: &[
            "daemon-died-later",
            "daemon-exited",
            "daemon-hangs",
            "daemon-info-disagrees",
            "daemon-start-timeout",
            "daemon-stop-timeout",
            "leftovers-remain",
        ],
    },
    Reason {
        why: "it takes a file system that this machine cannot make: NFS, 9p, a desktop share",
        steps: &[],
        causes: &["data-root-refuses-metadata-changes"],
    },
    Reason {
        why: "dockerd replaces it: the step reports it and passes",
        steps: &[],
        causes: &["stale-socket"],
    },
];

/// The causes that a row shows.
fn shown() -> BTreeSet<&'static str> {
    faults::all().iter().map(|fault| fault.cause).chain(rootless::causes()).collect()
}

/// The causes that have a reason instead.
fn excused() -> BTreeSet<&'static str> {
    REASONS.iter().flat_map(|reason| reason.causes.iter().copied()).collect()
}

/// Whether a step has a reason, or each of the causes that only it finds.
fn is_excused(step: &Step) -> bool {
    let excused = excused();
    let mut own = diagnosis::all().iter().filter(|cause| cause.live == Some(step.id)).peekable();
    REASONS.iter().any(|reason| reason.steps.contains(&step.id))
        || own.peek().is_some() && own.all(|cause| excused.contains(cause.id.as_str()))
}

/// How a step gets a row.
fn wanted(step: &Step) -> String {
    let (base, line) = if step.worst == finding::Level::Warn {
        ("WARNING", "and nothing may fail there")
    } else {
        ("FAULT", "and the world must break dockerd or a container")
    };
    format!(
        "step `{id}` has no fault that it reports first. Add a row to a table in tests/sandbox/faults:\n\
         \n    Fault {{ name: \"...\", breaks: \"SHELL SCRIPT\", step: \"{id}\", cause: \"...\", ..{base} }},\n\n\
         {line}; `DINDCHECK_FAULT={id} make sandbox-test` plays it, as root. Where this machine cannot show it, add a row \
         to REASONS in tests/sandbox/registry.rs:\n\
         \n    Reason {{ why: \"...\", steps: &[\"{id}\"], causes: &[] }},\n",
        id = step.id
    )
}

#[test]
fn every_environment_step_has_a_fault_that_it_reports_first() {
    for step in steps::ALL.iter().filter(|step| step.phase == Phase::Environment) {
        let worst = if step.worst == finding::Level::Warn { Level::Warn } else { Level::Fail };
        let has_row = faults::all().iter().any(|fault| fault.step == step.id && fault.level == worst);
        assert!(has_row || is_excused(step), "{}", wanted(step));
    }
}

#[test]
fn every_cause_of_the_environment_has_a_row_or_a_reason() {
    let (shown, excused) = (shown(), excused());
    let causes = diagnosis::all().iter().filter(|cause| STAGES.contains(&cause.stage));
    let lacking: Vec<_> = causes
        .map(|cause| cause.id.as_str())
        .filter(|id| !shown.contains(id) && !excused.contains(id))
        .collect();
    assert!(
        lacking.is_empty(),
        "causes without a row in tests/sandbox/faults, and without a reason in REASONS of \
         tests/sandbox/registry.rs: {lacking:?}"
    );
}

#[test]
fn no_reason_is_stale_or_misspelt() {
    let shown = shown();
    for id in excused() {
        assert!(!shown.contains(id), "{id} has a row: its reason is stale");
        assert!(diagnosis::find(id).is_some(), "{id} is not a cause");
    }
    assert!(REASONS.iter().all(|reason| reason.why.len() > 20));
    for id in REASONS.iter().flat_map(|reason| reason.steps) {
        assert!(steps::find(id).is_ok(), "{id} is not a step");
        assert!(!faults::all().iter().any(|fault| fault.step == *id), "{id} has a row: its reason is stale");
    }
}

#[test]
fn rows_are_complete() {
    let mut names = BTreeSet::new();
    for fault in faults::all() {
        assert!(names.insert(fault.name), "two rows are called {}", fault.name);
        let step = steps::find(fault.step).unwrap();
        assert_eq!(step.phase, Phase::Environment, "{}", fault.name);
        assert!(diagnosis::find(fault.cause).is_some(), "{}: {} is not a cause", fault.name, fault.cause);
        let only_warns = step.worst == finding::Level::Warn;
        assert!(!only_warns || fault.level == Level::Warn, "{}: {} never fails", fault.name, step.id);
        // What an engine survives is a warning, and what breaks it is not.
        match fault.real {
            Real::Breaks => assert_eq!(fault.level, Level::Fail, "{}", fault.name),
            Real::Survives => assert_eq!(fault.level, Level::Warn, "{}", fault.name),
            Real::NotTried(why) => assert!(why.len() > 20, "{}", fault.name),
        }
    }
    assert!(names.len() >= 90, "only {} faults", names.len());
}

#[test]
fn step_that_reports_a_fault_is_that_of_its_cause() {
    let rows: Vec<_> = faults::all().iter().map(|fault| (fault.name, fault.step, fault.cause)).collect();
    let others = [
        Later {
            cause: "net-admin-capability-missing",
            step: "network",
            why: "the capability is there, and only what it does in this network namespace shows that it has no effect",
        },
        Later {
            cause: "disk-full",
            step: "mounts",
            why: "it is the file system of /tmp that is full, and not that of the data root",
        },
    ];
    agrees(&rows, &others);
}

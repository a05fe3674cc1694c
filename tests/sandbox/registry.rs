//! Is every step and every cause of the environment shown by a fault, or is it written here why not?

use std::collections::BTreeSet;

use dindcheck::step::Phase;
use dindcheck::{diagnosis, steps};

use crate::fault::{Level, Real};
use crate::{faults, rootless};

/// The stages of the vocabulary that the environment phase answers for.
const STAGES: &[&str] =
    &["privileges", "kernel", "mounts", "cgroup", "storage", "network", "binaries", "daemon"];

/// Causes without a row, by the reason.
const REASONS: &[(&str, &[&str])] = &[
    (
        "it is a rootless daemon's; rootless.rs has worlds for one, and these are root's",
        &[
            "newuidmap-not-permitted",
            "overlay-in-user-namespace-unsupported",
            "subuid-range-overlapping",
            "sysfs-mount-denied-in-user-namespace",
            "user-namespaces-disabled",
            "cgroup-v1-not-delegated",
            "cgroup-v2-not-delegated",
        ],
    ),
    (
        "this kernel has neither AppArmor nor SELinux",
        &[
            "apparmor-confined",
            "apparmor-denies-nested-profile",
            "apparmor-parser-missing",
            "runc-sysctl-denied-by-lxc-apparmor",
            "selinux-confined",
            "securityfs-not-mounted",
        ],
    ),
    (
        "it is built into this kernel, and no filter of system calls can take it away",
        &[
            "kernel-lacks-bridge",
            "kernel-lacks-iptables-raw",
            "kernel-lacks-filesystem",
            "kernel-lacks-overlayfs",
            "kernel-lacks-seccomp",
            "kernel-lacks-veth",
        ],
    ),
    (
        "it is the machine's own: its limits, which a test must not use up, and its network",
        &["keyring-quota-exceeded", "network-namespace-is-host", "memory-cgroup-ids-exhausted"],
    ),
    (
        "this machine is not of that kind: WSL, Sysbox, a kernel of 2.6.32, a FUSE below /proc/sys, systemd as the host's init",
        &[
            "kernel-too-old-no-sys-fs-cgroup",
            "proc-sys-emulation-io-error",
            "sysbox-daemons-not-running",
            "systemd-scope-creation-failed",
            "cgroup-parent-not-a-slice",
            "umask-not-settable",
            "wsl1-kernel-unsupported",
        ],
    ),
    (
        "this machine's v2 tree has no controllers to give; the worlds of tests/vm show it",
        &["cgroup-v2-evacuation-race", "cgroup-v2-root-has-processes", "device-cgroup-bpf-not-permitted"],
    ),
    (
        "every hierarchy is mounted on this machine already, in its only grouping and with its options; no process may enter an empty cpuset",
        &["cpuset-mounted-noprefix", "cpuset-not-initialized", "cgroup-not-mounted"],
    ),
    (
        "the engines of the bed, and the kernel, are newer",
        &["cgroup-v2-unsupported-by-docker", "devicemapper-pool-creation-failed"],
    ),
    (
        "only Docker 29 has it, which Debian does not",
        &["erofs-snapshotter-mkfs-missing", "ip-forward-disabled", "nft-tool-missing"],
    ),
    (
        "it shows in a log only, while the environment is as it should be",
        &[
            "capability-missing-for-container",
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
    ),
    (
        "it is a finding of the daemon phase or later, not of the environment",
        &[
            "daemon-died-later",
            "daemon-exited",
            "daemon-hangs",
            "daemon-info-disagrees",
            "daemon-start-timeout",
            "daemon-stop-timeout",
            "leftovers-remain",
        ],
    ),
    (
        "it takes a file system that this machine cannot make: NFS, 9p, a desktop share",
        &["data-root-refuses-metadata-changes"],
    ),
    ("dockerd does without, or replaces it: the step says so and passes", &["stale-socket"]),
];

/// Whether a cause is shown by a row.
fn shown() -> BTreeSet<&'static str> {
    faults::all().iter().map(|fault| fault.cause).chain(rootless::causes()).collect()
}

#[test]
fn every_environment_step_has_a_fault_that_it_sees_first() {
    let seen: BTreeSet<_> =
        faults::all().iter().filter(|fault| fault.level == Level::Fail).map(|fault| fault.step).collect();
    for step in steps::ALL.iter().filter(|step| step.phase == Phase::Environment) {
        assert!(seen.contains(step.id), "no fault fails first at {}", step.id);
    }
}

#[test]
fn every_cause_of_the_environment_has_a_row_or_a_reason() {
    let shown = shown();
    let excused: BTreeSet<_> = REASONS.iter().flat_map(|(_, causes)| causes.iter().copied()).collect();
    let wanted = diagnosis::all().iter().filter(|cause| STAGES.contains(&cause.stage));
    let lacking: Vec<_> = wanted
        .map(|cause| cause.id.as_str())
        .filter(|id| !shown.contains(id) && !excused.contains(id))
        .collect();
    assert!(lacking.is_empty(), "no row and no reason: {lacking:?}");
}

#[test]
fn no_reason_is_given_for_what_has_a_row_or_is_no_cause() {
    let shown = shown();
    for id in REASONS.iter().flat_map(|(_, causes)| causes.iter()) {
        assert!(!shown.contains(id), "{id} has a row: its reason is stale");
        assert!(diagnosis::find(id).is_some(), "{id} is no cause");
    }
}

#[test]
fn rows_are_whole() {
    let mut names = BTreeSet::new();
    for fault in faults::all() {
        assert!(names.insert(fault.name), "two rows are called {}", fault.name);
        let step = steps::find(fault.step).unwrap();
        assert_eq!(step.phase, Phase::Environment, "{}", fault.name);
        assert!(diagnosis::find(fault.cause).is_some(), "{}: {} is no cause", fault.name, fault.cause);
        // What an engine survives is a warning, and what breaks it is not.
        match fault.real {
            Real::Breaks => assert_eq!(fault.level, Level::Fail, "{}", fault.name),
            Real::Survives => assert_eq!(fault.level, Level::Warn, "{}", fault.name),
            Real::NotTried(why) => assert!(why.len() > 20, "{}", fault.name),
        }
    }
    assert!(names.len() >= 90, "only {} faults", names.len());
}

//! Logs of real engines in broken worlds: each means what was broken there, in any wrapper.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read fixtures and panic on what cannot be"
)]

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use dindcheck_diagnosis::{Diagnosis, all, find};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    log: String,
    cause: String,
    line: Option<u64>,
}

fn logs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs")
}

fn expected() -> Vec<Expected> {
    let text = std::fs::read_to_string(logs().join("expected.yaml")).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

fn diagnose(text: impl AsRef<[u8]>) -> Diagnosis {
    dindcheck_diagnosis::diagnose(text.as_ref()).unwrap()
}

#[test]
fn recorded_log_yields_its_listed_cause_and_line() {
    for expected in expected() {
        let found = diagnose(std::fs::read(logs().join(&expected.log)).unwrap());
        let line = found.first_error.as_ref().map(|first| first.line);
        assert_eq!(
            (found.cause.id.as_str(), line),
            (expected.cause.as_str(), expected.line),
            "{}",
            expected.log
        );
    }
}

#[test]
fn every_fixture_is_listed() {
    let listed: HashSet<PathBuf> = expected().iter().map(|expected| logs().join(&expected.log)).collect();
    for version in
        std::fs::read_dir(logs()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        for log in std::fs::read_dir(version).unwrap().map(|entry| entry.unwrap().path()) {
            assert!(listed.contains(&log), "{}", log.display());
        }
    }
}

#[test]
fn wrapped_log_yields_the_same_cause_and_line() {
    let wrappers: [fn(&str) -> String; 9] = [
        |line| format!("dind-1  | {line}"),
        |line| format!("2024-05-01T10:00:00.123456789Z {line}"),
        |line| format!("2024-05-01T10:00:00.123456789Z stderr F {line}"),
        |line| format!("Jun 22 19:23:34 host dockerd[180]: {line}"),
        |line| format!("2024-05-01T10:00:00+0200 host dockerd[12]: {line}"),
        |line| format!("#8 2.452 {line}"),
        |line| format!("\u{1b}[33m{line}\u{1b}[0m"),
        |line| format!("{line}\r"),
        |line| serde_json::json!({"log": format!("{line}\n"), "stream": "stderr", "time": "x"}).to_string(),
    ];
    for expected in expected() {
        let text = std::fs::read_to_string(logs().join(&expected.log)).unwrap();
        for wrap in wrappers {
            let wrapped: Vec<String> = text.lines().map(wrap).collect();
            let found = diagnose(wrapped.join("\n"));
            let line = found.first_error.as_ref().map(|first| first.line);
            let about = || format!("{}: {}", expected.log, wrap("x"));
            assert_eq!(
                (found.cause.id.as_str(), line),
                (expected.cause.as_str(), expected.line),
                "{}",
                about()
            );
        }
    }
}

/// Causes that logs show and no fixture does, by what it would take to record one.
const WITHOUT_A_LOG: &[(&str, &[&str])] = &[
    (
        "needs a user namespace or another user",
        &[
            "no-new-privileges",
            "not-root",
            "subuid-range-overlapping",
            "newuidmap-not-permitted",
            "subuid-range-missing",
            "user-namespaces-disabled",
            "sysfs-mount-denied-in-user-namespace",
            "masked-proc-blocks-proc-mount",
            "overlay-in-user-namespace-unsupported",
            "image-device-node-not-creatable",
            "image-uid-outside-mapped-range",
            "runc-child-namespace-refused",
            "docker-socket-permission-denied",
            "cgroup-v1-not-delegated",
        ],
    ),
    (
        "needs LXC, Sysbox, WSL 1 or another sandbox around",
        &[
            "runc-sysctl-denied-by-lxc-apparmor",
            "sysbox-mount-interception-mismatch",
            "sysbox-daemons-not-running",
            "wsl1-kernel-unsupported",
            "proc-sys-emulation-io-error",
            "outer-device-cgroup-denies-device",
            "netlink-handle-unavailable",
            "umask-not-settable",
            "init-script-ulimit-not-permitted",
        ],
    ),
    (
        "needs another kernel or other limits of the host's kernel",
        &[
            "kernel-lacks-ip6tables-nat",
            "kernel-lacks-iptables-raw",
            "kernel-lacks-nf-tables",
            "kernel-lacks-overlayfs",
            "kernel-lacks-legacy-iptables-nat",
            "kernel-lacks-veth",
            "kernel-lacks-bridge",
            "br-netfilter-unavailable",
            "keyring-quota-exceeded",
            "kernel-too-old-no-sys-fs-cgroup",
            "memory-cgroup-ids-exhausted",
            "data-root-filesystem-unsupported",
            "xfs-without-d-type",
            "loop-devices-unavailable",
            "devicemapper-pool-creation-failed",
            "iptables-backends-mixed",
            "modprobe-program-missing",
        ],
    ),
    (
        "needs AppArmor, SELinux or a seccomp profile of the host",
        &[
            "apparmor-parser-missing",
            "apparmor-denies-nested-profile",
            "seccomp-blocks-keyctl",
            "seccomp-blocks-clone3",
        ],
    ),
    (
        "needs cgroup v2, or cgroup v1 mounted in a way that would change the host's",
        &[
            "cgroup-v2-evacuation-race",
            "cgroup-v2-root-has-processes",
            "cgroup-v2-unsupported-by-docker",
            "cgroup-v2-not-delegated",
            "cgroup-host-namespace",
            "device-cgroup-bpf-not-permitted",
            "cgroup-limit-controller-unavailable",
            "cpuset-mounted-noprefix",
            "cgroup-root-miscomputed",
            "systemd-scope-creation-failed",
            "cgroup-parent-not-a-slice",
            "cgroup-v1-systemd-hierarchy-not-mounted",
        ],
    ),
    (
        "needs a registry or a network outside",
        &[
            "registry-rate-limit",
            "registry-certificate-untrusted",
            "registry-insecure-http",
            "registry-unreachable",
            "system-clock-wrong",
            "embedded-dns-unreachable",
            "container-outbound-network-unreachable",
            "mtu-mismatch",
            "docker-host-name-unresolved",
            "client-tls-certificate-mismatch",
            "client-tls-port-mismatch",
            "image-for-other-architecture",
        ],
    ),
    (
        "needs another version of Docker or containerd than those at hand",
        &[
            "nft-tool-missing",
            "ip-forward-disabled",
            "erofs-snapshotter-mkfs-missing",
            "containerd-snapshotter-not-available",
            "ipv6-subnet-not-configured",
            "data-root-in-image-layer",
            "data-root-refuses-metadata-changes",
        ],
    ),
    (
        "the fault matrix and the worlds read it from the engine itself",
        &[
            "open-files-limit-reached",
            "storage-quota-unsupported",
            "tmp-not-writable",
            "daemon-path-unusable",
            "unix-socket-path-too-long",
            "log-driver-unusable",
            "authorization-plugin-unavailable",
            "oci-runtime-program-missing",
        ],
    ),
    (
        "needs a race or a crash",
        &[
            "iptables-resource-busy",
            "iptables-chain-already-exists",
            "containerd-crashed",
            "containerd-start-timeout",
            "oom-killed",
            "client-plugin-crash",
            "net-admin-capability-missing",
            "docker-program-missing",
            "fuse-overlayfs-program-missing",
        ],
    ),
];

#[test]
fn every_cause_with_a_signature_has_a_log_or_a_reason() {
    let shown: HashSet<String> = expected().into_iter().map(|expected| expected.cause).collect();
    let excused: HashSet<&str> = WITHOUT_A_LOG.iter().flat_map(|(_, ids)| ids.iter().copied()).collect();
    for cause in all().iter().filter(|cause| !cause.signatures.is_empty()) {
        let id = cause.id.as_str();
        assert!(
            shown.contains(id) != excused.contains(id),
            "{id}: logs {}, excused {}",
            shown.contains(id),
            excused.contains(id)
        );
    }
    assert!(excused.iter().all(|id| find(id).is_some()));
}

//! Faults of `daemon-config`: daemon.json, flags and variables.

use crate::fault::{EVERY_ENGINE, FAULT, Fault, IMPATIENT, Real, WARNING};
use crate::world::Suite;

const CONFIG: Fault = Fault { step: "daemon-config", ..FAULT };
const WARNED: Fault = Fault { step: "daemon-config", ..WARNING };
const INVALID: Fault = Fault { cause: "daemon-json-invalid", ..CONFIG };
const CONFLICT: Fault = Fault { cause: "daemon-json-flag-conflict", ..CONFIG };
const UNUSABLE_PATH: Fault = Fault { cause: "daemon-path-unusable", ..CONFIG };
const LOGGING: Fault = Fault { cause: "log-driver-unusable", ..CONFIG };
const CONTRADICTORY: Fault = Fault { cause: "contradictory-daemon-flags", ..CONFIG };

/// A script that writes daemon.json.
macro_rules! json {
    ($text:literal) => {
        concat!("mkdir -p /etc/docker; cat >/etc/docker/daemon.json <<'END'\n", $text, "\nEND")
    };
}

pub(crate) const FAULTS: &[Fault] = &[
    Fault { name: "json-with-a-trailing-comma", breaks: json!("{\n  \"debug\": true,\n}"), ..INVALID },
    Fault { name: "json-is-no-object", breaks: json!("[]"), ..INVALID },
    Fault { name: "json-cut-short", breaks: json!("{\"debug\": tr"), ..INVALID },
    Fault {
        name: "json-with-an-unknown-key",
        breaks: json!("{\"storage-drivers\": \"overlay2\"}"),
        suites: EVERY_ENGINE,
        ..INVALID
    },
    Fault {
        name: "json-with-a-key-of-a-later-version",
        breaks: json!("{\"firewall-backend\": \"iptables\"}"),
        suites: &[Suite::Bookworm, Suite::Trixie],
        ..INVALID
    },
    Fault { name: "json-with-a-wrong-type", breaks: json!("{\"debug\": \"yes\"}"), ..INVALID },
    Fault {
        name: "json-with-a-wrong-list",
        breaks: json!("{\"hosts\": \"unix:///var/run/docker.sock\"}"),
        ..INVALID
    },
    Fault { name: "json-is-a-directory", breaks: "mkdir -p /etc/docker/daemon.json", ..INVALID },
    Fault { name: "json-with-a-wrong-address", breaks: json!("{\"bip\": \"172.30.0.1\"}"), ..INVALID },
    Fault {
        name: "storage-driver-in-both",
        breaks: json!("{\"storage-driver\": \"overlay2\"}"),
        dockerd: &["--storage-driver=overlay2"],
        ..CONFLICT
    },
    Fault {
        name: "hosts-in-both",
        breaks: json!("{\"hosts\": [\"unix:///run/x.sock\"]}"),
        dockerd: &["--host=unix:///run/y.sock"],
        ..CONFLICT
    },
    Fault {
        name: "data-root-in-both",
        breaks: json!("{\"data-root\": \"/var/lib/docker\"}"),
        profile: "daemon: {data_root: /opt/data}",
        ..CONFLICT
    },
    Fault {
        name: "log-level-in-both",
        breaks: json!("{\"log-level\": \"info\"}"),
        dockerd: &["--log-level=info"],
        ..CONFLICT
    },
    Fault {
        name: "icc-off-without-iptables",
        dockerd: &["--icc=false", "--iptables=false"],
        ..CONTRADICTORY
    },
    Fault { name: "bridge-and-bip", dockerd: &["--bridge=br9", "--bip=172.30.0.1/16"], ..CONTRADICTORY },
    Fault { name: "an-unknown-flag", dockerd: &["--no-such-flag"], cause: "daemon-option-invalid", ..CONFIG },
    Fault {
        name: "tls-without-its-files",
        dockerd: &["--host=tcp://127.0.0.1:2376", "--tlsverify"],
        cause: "daemon-tls-config-invalid",
        ..CONFIG
    },
    Fault {
        name: "systemd-cgroup-driver-without-systemd",
        breaks: json!("{\"exec-opts\": [\"native.cgroupdriver=systemd\"]}"),
        cause: "systemd-cgroup-driver-without-systemd",
        suites: EVERY_ENGINE,
        ..CONFIG
    },
    Fault {
        name: "an-unknown-default-runtime",
        breaks: json!("{\"default-runtime\": \"kata\"}"),
        cause: "oci-runtime-not-registered",
        ..CONFIG
    },
    Fault {
        name: "userns-remap-to-a-user-without-ids",
        dockerd: &["--userns-remap=games"],
        cause: "subuid-range-missing",
        suites: EVERY_ENGINE,
        ..CONFIG
    },
    Fault {
        name: "docker-ramdisk",
        env: &[("DOCKER_RAMDISK", "1")],
        cause: "environment-variable-misleads-daemon",
        ..WARNED
    },
    Fault {
        name: "the-nftables-experiment-of-28",
        env: &[("DOCKER_FIREWALL_BACKEND", "nftables")],
        cause: "environment-variable-misleads-daemon",
        ..WARNED
    },
    Fault {
        name: "tcp-without-tls",
        dockerd: &["--host=tcp://0.0.0.0:2375", "--host=unix:///var/run/docker.sock", "--tls=false"],
        cause: "open-tcp-listener-without-tls",
        ..WARNED
    },
    Fault {
        name: "tcp-without-tls-where-that-fails",
        dockerd: &["--host=tcp://0.0.0.0:2375", "--tls=false"],
        profile: "causes: {open-tcp-listener-without-tls: fail}",
        cause: "open-tcp-listener-without-tls",
        real: Real::NotTried("it works; the profile forbids it"),
        ..CONFIG
    },
    Fault {
        name: "storage-option-of-another-driver",
        dockerd: &["--storage-opt=dm.basesize=20G"],
        cause: "storage-option-unknown-to-driver",
        suites: EVERY_ENGINE,
        ..CONFIG
    },
    Fault {
        name: "var-run-is-a-dangling-link",
        breaks: "rm -rf /var/run; ln -s /nowhere /var/run",
        cause: "daemon-path-unusable",
        suites: EVERY_ENGINE,
        ..CONFIG
    },
    Fault {
        name: "exec-root-relative",
        dockerd: &["--exec-root=opt/exec"],
        profile: IMPATIENT,
        ..UNUSABLE_PATH
    },
    Fault {
        name: "exec-root-is-a-file",
        breaks: ": >/opt/e",
        dockerd: &["--exec-root=/opt/e"],
        ..UNUSABLE_PATH
    },
    Fault { name: "pid-file-is-a-directory", dockerd: &["--pidfile=/opt"], ..UNUSABLE_PATH },
    Fault {
        name: "directory-of-the-socket-missing",
        dockerd: &["--host=unix:///opt/nowhere/docker.sock"],
        ..UNUSABLE_PATH
    },
    Fault {
        name: "containerds-directory-is-a-dangling-link",
        breaks: "rm -rf /run/containerd; ln -s /nowhere /run/containerd",
        profile: IMPATIENT,
        ..UNUSABLE_PATH
    },
    Fault {
        name: "socket-of-108-bytes",
        dockerd: &[
            "--host=unix:///run/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012",
        ],
        cause: "unix-socket-path-too-long",
        suites: EVERY_ENGINE,
        ..CONFIG
    },
    Fault {
        name: "exec-root-of-72-bytes",
        dockerd: &["--exec-root=/run/0123456789012345678901234567890123456789012345678901234567890123456"],
        profile: IMPATIENT,
        cause: "unix-socket-path-too-long",
        ..CONFIG
    },
    Fault { name: "log-driver-unknown", dockerd: &["--log-driver=nosuch"], profile: IMPATIENT, ..LOGGING },
    Fault {
        name: "log-driver-journald-without-a-journal",
        dockerd: &["--log-driver=journald"],
        suites: EVERY_ENGINE,
        ..LOGGING
    },
    Fault { name: "log-driver-syslog-without-a-syslog", dockerd: &["--log-driver=syslog"], ..LOGGING },
    Fault {
        name: "log-driver-fluentd-without-a-server",
        breaks: json!("{\"log-driver\": \"fluentd\"}"),
        suites: EVERY_ENGINE,
        ..LOGGING
    },
    Fault {
        name: "log-driver-gelf-without-an-address",
        breaks: json!("{\"log-driver\": \"gelf\"}"),
        ..LOGGING
    },
    Fault {
        name: "log-option-unknown",
        breaks: json!("{\"log-opts\": {\"nosuch\": \"1\"}}"),
        suites: EVERY_ENGINE,
        ..LOGGING
    },
    Fault {
        name: "log-option-with-an-invalid-size",
        breaks: json!("{\"log-opts\": {\"max-size\": \"tenmegs\"}}"),
        suites: EVERY_ENGINE,
        ..LOGGING
    },
    Fault { name: "log-mode-unknown", dockerd: &["--log-opt=mode=bogus"], ..LOGGING },
    Fault {
        name: "default-runtime-without-its-program",
        breaks: json!("{\"default-runtime\": \"x\", \"runtimes\": {\"x\": {\"path\": \"/nowhere/x\"}}}"),
        cause: "oci-runtime-program-missing",
        suites: EVERY_ENGINE,
        ..CONFIG
    },
    Fault {
        name: "another-runtime-without-its-program",
        breaks: json!("{\"runtimes\": {\"x\": {\"path\": \"/nowhere/x\"}}}"),
        cause: "oci-runtime-program-missing",
        ..WARNED
    },
    Fault {
        name: "default-runtime-without-its-shim",
        breaks: json!("{\"default-runtime\": \"io.containerd.nosuch.v1\"}"),
        cause: "oci-runtime-program-missing",
        suites: &[Suite::Trixie, Suite::Forky],
        ..CONFIG
    },
    Fault {
        name: "runtime-of-no-kind",
        breaks: json!("{\"runtimes\": {\"x\": {}}}"),
        suites: &[Suite::Trixie, Suite::Forky],
        ..INVALID
    },
    Fault {
        name: "authorization-plugin-that-does-not-run",
        dockerd: &["--authorization-plugin=nosuch"],
        profile: IMPATIENT,
        cause: "authorization-plugin-unavailable",
        suites: EVERY_ENGINE,
        ..CONFIG
    },
    Fault {
        name: "address-pool-smaller-than-its-networks",
        breaks: json!("{\"default-address-pools\": [{\"base\": \"10.9.0.0/24\", \"size\": 16}]}"),
        suites: EVERY_ENGINE,
        ..INVALID
    },
    Fault { name: "bip-is-a-network", breaks: json!("{\"bip\": \"172.30.0.0/16\"}"), ..INVALID },
    Fault {
        name: "fixed-cidr-outside-of-bip",
        breaks: json!("{\"bip\": \"172.30.0.1/16\", \"fixed-cidr\": \"172.31.0.0/24\"}"),
        ..INVALID
    },
    Fault {
        name: "default-gateway-outside-of-bip",
        breaks: json!("{\"bip\": \"172.30.0.1/16\", \"default-gateway\": \"10.0.0.1\"}"),
        ..INVALID
    },
    Fault {
        name: "seccomp-profile-missing",
        breaks: json!("{\"seccomp-profile\": \"/nowhere.json\"}"),
        ..INVALID
    },
    Fault {
        name: "ulimit-without-a-name",
        breaks: json!("{\"default-ulimits\": {\"nofile\": {\"Soft\": 100, \"Hard\": 500}}}"),
        ..INVALID
    },
    Fault {
        name: "storage-option-with-an-invalid-size",
        dockerd: &["--storage-driver=overlay2", "--storage-opt=overlay2.size=big"],
        cause: "storage-option-unknown-to-driver",
        ..CONFIG
    },
];

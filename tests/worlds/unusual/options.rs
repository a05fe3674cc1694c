//! Options of dockerd that leave everything working: users, logs, runtimes, storage, sockets, directories.

use crate::harness::{Bookworm, Forky, Outer, SUITES, Suite, Trixie, each_engine};
use crate::unusual::{Row, play, row};

const CONTAINERS: &[Row] = &[
    row("mapped_users").json(r#"{"userns-remap": "default"}"#),
    row("no_new_privileges").json(r#"{"no-new-privileges": true}"#),
    row("few_open_files").args("--default-ulimit nofile=64:64"),
    row("limits_of_processes_and_cores")
        .json(r#"{"default-ulimits": {"nproc": {"Name": "nproc", "Hard": 512, "Soft": 256}, "core": {"Name": "core", "Hard": 0, "Soft": 0}}}"#),
    row("little_shared_memory").json(r#"{"default-shm-size": "1m", "default-ipc-mode": "private"}"#),
    row("shareable_ipc").json(r#"{"default-ipc-mode": "shareable"}"#),
    row("cgroup_namespace_of_their_own").json(r#"{"default-cgroupns-mode": "private"}"#),
    row("cgroup_namespace_of_the_host").json(r#"{"default-cgroupns-mode": "host"}"#),
    row("own_cgroup_parent").json(r#"{"cgroup-parent": "/mine"}"#),
    row("init_in_each").json(r#"{"init": true}"#),
    row("own_runtime").json(r#"{"runtimes": {"mine": {"path": "/usr/sbin/runc"}}, "default-runtime": "mine"}"#),
    row("no_seccomp").json(r#"{"seccomp-profile": "unconfined"}"#).of(&[Trixie, Forky]),
];

/// A server of syslog, as its socket alone.
const SYSLOG: &str = "perl -MSocket -e 'socket(S, PF_UNIX, SOCK_DGRAM, 0); bind(S, sockaddr_un(\"/dev/log\")) or die; \
    while (1) { recv(S, $b, 9000, 0) }' & logger=$!; until [ -S /dev/log ]; do sleep 0.05; done";

const LOGS: &[Row] = &[
    row("no_log").json(r#"{"log-driver": "none"}"#),
    row("local_log").json(r#"{"log-driver": "local", "log-opts": {"max-size": "20k", "compress": "false"}}"#),
    row("syslog").before(SYSLOG).json(r#"{"log-driver": "syslog"}"#).after("kill $logger; rm -f /dev/log"),
    row("rotated_log").json(
        r#"{"log-driver": "json-file", "log-opts": {"max-size": "1k", "max-file": "2", "tag": "{{.Name}}"}}"#,
    ),
    row("log_that_does_not_block").json(
        r#"{"log-driver": "json-file", "log-opts": {"mode": "non-blocking", "max-buffer-size": "1m"}}"#,
    ),
    row("silent_daemon").json(r#"{"debug": false, "log-level": "error", "group": "root"}"#),
];

const DAEMON: &[Row] = &[
    row("live_restore").json(r#"{"live-restore": true}"#),
    row("storage_driver_vfs")
        .json(r#"{"storage-driver": "vfs"}"#)
        .warns(&[("daemon-info", "vfs-storage-driver")]),
    row("images_of_containerd")
        .json(r#"{"features": {"containerd-snapshotter": true}}"#)
        .of(&[Trixie, Forky]),
    row("no_buildkit").json(r#"{"features": {"buildkit": false}}"#),
    row("cgroupfs_named").json(r#"{"exec-opts": ["native.cgroupdriver=cgroupfs"]}"#),
    row("labels_and_metrics")
        .json(r#"{"labels": ["a=b"], "metrics-addr": "127.0.0.1:9323", "experimental": true}"#),
    row("mirrors_that_are_not_there")
        .json(r#"{"registry-mirrors": ["https://10.1.1.1"], "insecure-registries": ["10.2.2.2:5000"]}"#),
    row("proxies_of_the_file")
        .json(r#"{"proxies": {"http-proxy": "http://10.1.1.1:3128", "no-proxy": "localhost"}}"#)
        .of(&[Trixie, Forky]),
    row("garbage_collection").json(r#"{"builder": {"gc": {"enabled": true, "defaultKeepStorage": "1GB"}}}"#),
    row("one_download_at_a_time")
        .json(r#"{"max-concurrent-downloads": 1, "max-concurrent-uploads": 1, "shutdown-timeout": 5}"#),
    row("several_sockets")
        .before("mkdir -p /run/other")
        .args("-H unix:///run/other/d.sock -H tcp://127.0.0.1:2999"),
    row("other_directories")
        .args("--data-root=/var/lib/docker/sub --exec-root=/run/xroot --pidfile=/run/x.pid"),
    row("data_root_with_a_space").json(r#"{"data-root": "/var/lib/docker/with a space"}"#),
    row("data_root_behind_a_link")
        .before("mkdir -p /var/lib/docker/real; ln -sfn /var/lib/docker/real /srv/docker")
        .args("--data-root=/srv/docker"),
    row("configuration_elsewhere")
        .before("mkdir -p /opt/c; echo '{\"debug\": true}' >/opt/c/d.json")
        .args("--config-file=/opt/c/d.json"),
];

/// All of them.
pub(super) fn rows() -> Vec<Row> {
    [CONTAINERS, LOGS, DAEMON].concat()
}

each_engine! {
    what_containers_get: Forky, of SUITES;
    logs: Bookworm, of SUITES;
    the_daemon_itself: Trixie, of SUITES;
}

fn what_containers_get(suite: Suite) {
    play(suite, &Outer::new(suite), CONTAINERS);
}

fn logs(suite: Suite) {
    play(suite, &Outer::new(suite), LOGS);
}

fn the_daemon_itself(suite: Suite) {
    play(suite, &Outer::new(suite), DAEMON);
}

use nix::errno::Errno;

use super::STEP;
use crate::facts::daemon::tests::machine;
use crate::finding::{Finding, Level};
use crate::host::fake::Fake;
use crate::testing::{check_attached, check_with, problems};

const FILE: &str = "/etc/docker/daemon.json";

fn on(host: &Fake, args: &[&str]) -> Vec<(Level, &'static str)> {
    problems(&check_with(&STEP, host, args).unwrap())
}

fn with(version: &str, args: &[&str]) -> Vec<(Level, &'static str)> {
    on(&machine(version), args)
}

fn failing(cause: &'static str) -> Vec<(Level, &'static str)> {
    vec![(Level::Fail, cause)]
}

fn warning(cause: &'static str) -> Vec<(Level, &'static str)> {
    vec![(Level::Warn, cause)]
}

fn evidence<'f>(finding: &'f Finding, key: &str) -> &'f str {
    &finding.evidence.iter().find(|(name, _)| *name == key).unwrap().1
}

#[test]
fn valid_configuration_is_summarised() {
    let host =
        machine("28.5.2").file(FILE, r#"{"data-root": "/d", "features": {"containerd-snapshotter": true}}"#);
    let found = check_with(&STEP, &host, &["--iptables=false"]).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].what, "dockerd 28.5.2 will keep its data in /d");
    assert_eq!(evidence(&found[0], "store"), "containerd snapshotter overlayfs");
    assert_eq!(evidence(&found[0], "firewall"), "none");
    assert_eq!(evidence(&found[0], "config"), FILE);
}

#[test]
fn invalid_file_is_the_only_finding_with_line_and_column() {
    let host = machine("26.1.5").file(FILE, "{\"debug\": tru}");
    let found = check_with(&STEP, &host, &["--log-level=loud"]).unwrap();
    assert_eq!(problems(&found), failing("daemon-json-invalid"));
    assert_eq!((evidence(&found[0], "line"), evidence(&found[0], "column")), ("1", "14"));
}

#[test]
fn values_are_checked_by_version() {
    assert_eq!(with("26.1.5", &["--log-level=loud"]), failing("daemon-option-invalid"));
    assert_eq!(with("24.0.9", &["--log-level=warning"]), []);
    assert_eq!(with("26.1.5", &["--log-level=warning"]), failing("daemon-option-invalid"));
    assert_eq!(with("26.1.5", &["--mtu=-1"]), failing("daemon-option-invalid"));
    assert_eq!(with("20.10.24", &["--mtu=-1"]), failing("daemon-option-invalid"));
    assert_eq!(with("26.1.5", &["--exec-opt", "native.cgroupdriver=none"]), failing("daemon-option-invalid"));
    assert_eq!(with("26.1.5", &["--exec-opt", "what=ever"]), []);
    assert_eq!(with("28.5.2", &["--exec-opt", "what=ever"]), failing("daemon-option-invalid"));
    assert_eq!(with("28.5.2", &["--default-runtime=kata"]), failing("oci-runtime-not-registered"));
    assert_eq!(
        with("28.5.2", &["--default-runtime=kata", "--add-runtime=kata=/k"]),
        failing("oci-runtime-program-missing")
    );
    assert_eq!(with("28.5.2", &["--dns=localhost"]), failing("daemon-option-invalid"));
    assert_eq!(with("28.5.2", &["-H", "http://x"]), failing("daemon-option-invalid"));
    assert_eq!(with("28.5.2", &["-H", "fd://"]), failing("daemon-option-invalid"));
    let host = machine("28.5.2").file(FILE, r#"{"labels": ["x"]}"#);
    assert_eq!(on(&host, &[]), failing("daemon-json-invalid"));
}

#[test]
fn contradicting_options_fail() {
    let cause = "contradictory-daemon-flags";
    assert_eq!(with("28.5.2", &["-b", "br0", "--bip=10.0.0.1/24"]), failing(cause));
    assert_eq!(with("28.5.2", &["--icc=false", "--iptables=false"]), failing(cause));
    assert_eq!(with("28.5.2", &["--icc=false", "--ipv6", "--ip6tables=false"]), failing(cause));
    assert_eq!(with("26.1.5", &["--ip6tables"]), failing(cause));
    assert_eq!(with("26.1.5", &["--ip6tables", "--experimental"]), []);
    assert_eq!(with("28.5.2", &["--containerd-namespace=plugins.moby"]), failing(cause));
    assert_eq!(with("28.5.2", &["--iptables=false"]), []);
}

#[test]
fn storage_option_of_another_driver_fails() {
    let cause = "storage-option-unknown-to-driver";
    assert_eq!(with("28.5.2", &["--storage-opt", "dm.basesize=20G"]), failing(cause));
    assert_eq!(with("28.5.2", &["--storage-opt", "overlay2.size=1G"]), []);
    assert_eq!(with("28.5.2", &["-s", "vfs", "--storage-opt", "overlay2.size=1G"]), failing(cause));
    assert_eq!(with("20.10.24", &["-s", "devicemapper", "--storage-opt", "dm.basesize=20G"]), []);
    assert_eq!(with("29.7.2", &["--storage-opt", "overlay2.size=1G"]), warning(cause));
}

#[test]
fn missing_file_user_or_group_fails() {
    assert_eq!(with("26.1.5", &["--tlsverify"]), failing("daemon-tls-config-invalid"));
    let host = machine("26.1.5").file("/c.pem", "").file("/k.pem", "").file("/a.pem", "");
    let files = ["--tlscert=/c.pem", "--tlskey=/k.pem", "--tlscacert=/a.pem"];
    assert_eq!(on(&host, &[&["--tlsverify", "-H", "tcp://0.0.0.0:2376"][..], &files].concat()), []);
    let open = warning("open-tcp-listener-without-tls");
    assert_eq!(
        on(&host, &[&["--tls", "--tlsverify=false", "-H", "tcp://0.0.0.0:2376"][..], &files].concat()),
        open
    );
    assert_eq!(with("26.1.5", &["-G", "staff"]), failing("daemon-option-invalid"));
    assert_eq!(on(&machine("26.1.5").file("/etc/group", "staff:x:50:\n"), &["-G", "staff"]), []);
    assert_eq!(with("26.1.5", &["--userns-remap=sam"]), failing("subuid-range-missing"));
    assert_eq!(with("26.1.5", &["--userns-remap=default"]), []);
    let driver = ["--exec-opt", "native.cgroupdriver=systemd", "--cgroup-parent=/x"];
    assert_eq!(with("26.1.5", &driver), failing("systemd-cgroup-driver-without-systemd"));
    assert_eq!(
        on(&machine("26.1.5").dir("/run/systemd/system"), &driver),
        failing("cgroup-parent-not-a-slice")
    );
}

#[test]
fn tls_without_a_ca_uses_those_of_the_system() {
    let files = r#"{"tlsverify": true, "tlscert": "/c.pem", "tlskey": "/k.pem"}"#;
    let host = machine("26.1.5").file(FILE, files).file("/c.pem", "").file("/k.pem", "");
    assert_eq!(on(&host, &[]), []);
}

#[test]
fn open_addresses_warn() {
    let cause = "open-tcp-listener-without-tls";
    let found = check_with(&STEP, &machine("28.5.2"), &["-H", "tcp://0.0.0.0:2375"]).unwrap();
    assert_eq!(problems(&found), warning(cause));
    assert_eq!(evidence(&found[1], "start_delay"), "16 s");
    assert_eq!(with("28.5.2", &["-H", "tcp://0.0.0.0:2375", "--tls=false"]), warning(cause));
    assert_eq!(with("28.5.2", &["-H", "tcp://127.0.0.1:2375"]), []);
}

#[test]
fn misleading_variables_are_named() {
    let cause = "environment-variable-misleads-daemon";
    let host = |name, value| machine("28.5.2").variable(name, value);
    assert_eq!(on(&host("DOCKER_DRIVER", "vfs"), &["-s", "overlay2"]), warning(cause));
    assert_eq!(on(&host("DOCKER_DRIVER", "overlay2"), &["-s", "overlay2"]), []);
    assert_eq!(on(&host("DOCKER_RAMDISK", "1"), &[]), warning(cause));
    assert_eq!(on(&host("DOCKER_MIN_API_VERSION", "v1.40"), &[]), failing(cause));
    assert_eq!(on(&host("DOCKER_MIN_API_VERSION", "1.12"), &[]), failing(cause));
    assert_eq!(on(&host("DOCKER_MIN_API_VERSION", "1.40"), &[]), []);
    let old = machine("26.1.5").variable("DOCKER_FIREWALL_BACKEND", "nftables");
    assert_eq!(on(&old, &[]), warning(cause));
    assert_eq!(on(&host("DOCKER_FIREWALL_BACKEND", "nftables"), &[]), warning(cause));
}

#[test]
fn invalid_addresses_fail() {
    let on = |args: &[&str]| on(&machine("28.5.2"), args);
    for good in
        [["--bip", "172.30.0.1/16"], ["--fixed-cidr-v6", "fd00::/80"], ["--default-gateway", "10.0.0.1"]]
    {
        assert_eq!(on(&good), [], "{good:?}");
    }
    for bad in [["--bip", "172.30.0.1"], ["--fixed-cidr", "172.30.0.0/33"], ["--default-gateway", "10.0.0"]] {
        assert_eq!(on(&bad), failing("daemon-option-invalid"), "{bad:?}");
    }
}

#[test]
fn running_daemon_is_not_checked() {
    let found = check_attached(&STEP, &Fake::new(), "unix:///x.sock").unwrap();
    assert_eq!(problems(&found), []);
}

/// A containerd and a shim in PATH.
fn with_programs(version: &str) -> Fake {
    let program = |host: Fake, path: &str| host.file(path, "").stat_of(path, |stat| stat.mode = 0o755);
    let host = program(machine(version), "/usr/bin/containerd");
    program(program(host, "/usr/bin/containerd-shim-runc-v2"), "/usr/bin/kata")
}

#[test]
fn program_of_the_default_runtime_must_exist_and_of_another_one_should() {
    let json = |json: &str| with_programs("28.5.2").file(FILE, json);
    let missing = "oci-runtime-program-missing";
    for (text, wanted) in [
        (r#"{"default-runtime": "k", "runtimes": {"k": {"path": "/usr/bin/kata"}}}"#, vec![]),
        (r#"{"default-runtime": "k", "runtimes": {"k": {"path": "kata"}}}"#, vec![]),
        (r#"{"default-runtime": "k", "runtimes": {"k": {"path": "/none"}}}"#, failing(missing)),
        (r#"{"runtimes": {"k": {"path": "/none"}}}"#, warning(missing)),
        (r#"{"default-runtime": "io.containerd.runc.v2"}"#, vec![]),
        (r#"{"default-runtime": "io.containerd.kata.v2"}"#, failing(missing)),
        (r#"{"default-runtime": "k", "runtimes": {"k": {"runtimeType": "io.containerd.runc.v2"}}}"#, vec![]),
        (r#"{"runtimes": {"k": {}}}"#, failing("daemon-json-invalid")),
        (
            r#"{"runtimes": {"k": {"path": "kata", "runtimeType": "io.containerd.runc.v2"}}}"#,
            failing("daemon-json-invalid"),
        ),
        (r#"{"runtimes": {"runc": {"path": "kata"}}}"#, failing("daemon-json-invalid")),
    ] {
        assert_eq!(on(&json(text), &[]), wanted, "{text}");
    }
    let old = with_programs("20.10.24");
    assert_eq!(
        on(&old.file(FILE, r#"{"default-runtime": "io.containerd.kata.v2"}"#), &[]),
        failing("oci-runtime-not-registered")
    );
    assert_eq!(on(&with_programs("20.10.24").file(FILE, r#"{"runtimes": {"k": {}}}"#), &[]), []);
}

#[test]
fn paths_that_dockerd_cannot_make_fail_once_each() {
    let unusable = "daemon-path-unusable";
    let host = || machine("28.5.2").dir("/run").dir("/srv");
    assert_eq!(
        on(&host().link("/var/run", "/none"), &[]),
        failing(unusable),
        "exec root, pid file and socket"
    );
    assert_eq!(on(&host().link("/var/run", "/run"), &[]), []);
    assert_eq!(on(&host().file("/run/containerd", ""), &[]), failing(unusable));
    for (args, wanted) in [
        (&["--exec-root=rel"][..], failing(unusable)),
        (&["--exec-root=/srv/a/b"], vec![]),
        (&["--pidfile=/srv/p/q.pid"], vec![]),
        (&["--pidfile=/srv"], failing(unusable)),
        (&["--pidfile=rel"], vec![]),
        (&["-H", "unix:///srv/none/x.sock"], failing(unusable)),
        (&["-H", "unix:///srv/none/x.sock", "--exec-root=/srv/none/e"], vec![]),
        (&["-H", "unix://x.sock"], vec![]),
    ] {
        assert_eq!(on(&host(), args), wanted, "{args:?}");
    }
}

#[test]
fn longest_socket_path_is_that_of_unix_and_of_containerd() {
    let long = |length: usize| format!("/run/{}", "x".repeat(length - 5));
    let host = || machine("28.5.2").dir("/run");
    for (flag, longest) in [("--host=unix://", 107), ("--exec-root=", 71)] {
        assert_eq!(on(&host(), &[&format!("{flag}{}", long(longest))]), [], "{flag}");
        let found = on(&host(), &[&format!("{flag}{}", long(longest + 1))]);
        assert_eq!(found, failing("unix-socket-path-too-long"), "{flag}");
    }
}

#[test]
fn log_driver_that_no_plugin_provides_fails() {
    let unusable = "log-driver-unusable";
    let host = || machine("28.5.2");
    assert_eq!(on(&host(), &["--log-driver=nosuch"]), failing(unusable));
    assert_eq!(on(&host(), &["--log-driver=none", "--log-opt=max-size=1m"]), []);
    assert_eq!(on(&host(), &["--log-driver=journald"]), failing(unusable));
    let socket = host().node("/run/systemd/journal/socket", crate::host::FileKind::Socket);
    assert_eq!(on(&socket, &["--log-driver=journald"]), []);
    let plugin = format!("/var/lib/docker/plugins/{}", "a".repeat(64));
    assert_eq!(on(&host().dir(&plugin), &["--log-driver=loki"]), []);
    let found = check_with(&STEP, &host(), &["--log-driver=local", "--log-opt=labels=canary"]).unwrap();
    assert_eq!(problems(&found), failing(unusable));
    assert!(found[0].what.contains("`labels`") && !format!("{found:?}").contains("canary"), "{found:?}");
}

#[test]
fn log_server_that_refuses_fails_and_one_that_does_not_answer_in_time_warns() {
    let reached = |errno: Option<Errno>| {
        let mut report = crate::host::trial::TrialReport::default();
        let error = errno.map(|errno| crate::host::HostError::new("connect to", "127.0.0.1:24224", errno));
        report.attempt("endpoint", error.map_or(Ok(()), Err));
        machine("28.5.2").answers_trial(report)
    };
    let args = ["--log-driver=fluentd"];
    assert_eq!(on(&reached(None), &args), []);
    assert_eq!(on(&reached(Some(Errno::ECONNREFUSED)), &args), failing("log-driver-unusable"));
    assert_eq!(on(&reached(Some(Errno::ETIMEDOUT)), &args), warning("log-driver-unusable"));
}

#[test]
fn authorization_plugin_must_run_or_be_named() {
    let args = ["--authorization-plugin=p"];
    let host = || machine("28.5.2");
    let found = check_with(&STEP, &host(), &args).unwrap();
    assert_eq!(problems(&found), failing("authorization-plugin-unavailable"));
    assert_eq!(
        found[0].hint.as_deref(),
        Some("start the plugin before dockerd; or start dockerd without `--authorization-plugin=p`")
    );
    assert_eq!(on(&host().node("/run/docker/plugins/p.sock", crate::host::FileKind::Socket), &args), []);
    assert_eq!(on(&host().file("/etc/docker/plugins/p.spec", "tcp://127.0.0.1:1"), &args), []);
}

#[test]
fn addresses_of_the_bridge_fit_together() {
    let invalid = failing("daemon-option-invalid");
    let pools = |base: &str, size: u8| format!("--default-address-pool=base={base},size={size}");
    for (version, args, wanted) in [
        ("28.5.2", vec!["--bip=172.30.0.1/16"], vec![]),
        ("28.5.2", vec!["--bip=172.30.0.1/30"], vec![]),
        ("28.5.2", vec!["--bip=172.30.0.0/16"], invalid.clone()),
        ("20.10.24", vec!["--bip=172.30.255.255/16"], invalid.clone()),
        ("20.10.24", vec!["--bip=172.30.0.1/31"], invalid.clone()),
        ("28.5.2", vec!["--bip=172.30.0.1/31"], vec![]),
        ("28.5.2", vec!["--bip=172.30.0.1/32"], invalid.clone()),
        ("28.5.2", vec!["--bip=fd00::1/64"], invalid.clone()),
        ("28.5.2", vec!["--bip=172.30.0.1/16", "--fixed-cidr=172.30.1.0/24"], vec![]),
        ("28.5.2", vec!["--bip=172.30.0.1/24", "--fixed-cidr=172.30.0.0/16"], vec![]),
        ("28.5.2", vec!["--bip=172.30.0.1/16", "--fixed-cidr=172.31.0.0/24"], invalid.clone()),
        (
            "26.1.5",
            vec!["--bip=172.30.0.1/16", "--fixed-cidr=172.31.0.0/24"],
            warning("daemon-option-invalid"),
        ),
        ("28.5.2", vec!["--fixed-cidr=172.30.0.1/32"], invalid.clone()),
        ("28.5.2", vec!["--bip=172.30.0.1/16", "--default-gateway=10.0.0.1"], invalid.clone()),
        ("28.5.2", vec!["--ipv6", "--fixed-cidr-v6=fd00:1::/128"], invalid.clone()),
        ("28.5.2", vec!["--ipv6", "--fixed-cidr-v6=fd00:1::/64"], vec![]),
        ("28.5.2", vec![&*pools("10.9.0.0/16", 24)], vec![]),
        ("28.5.2", vec![&*pools("10.9.1.1/16", 24)], vec![]),
        ("28.5.2", vec![&*pools("10.9.0.0/24", 16)], invalid.clone()),
        ("28.5.2", vec![&*pools("10.9.0.0/16", 33)], invalid.clone()),
        ("28.5.2", vec![&*pools("10.9.0.0/16", 0)], invalid.clone()),
        ("28.5.2", vec![&*pools("10.9.0.0/24", 24)], warning("daemon-option-invalid")),
        ("28.5.2", vec![&*pools("10.9.0.0/24", 24), "--bridge=none"], vec![]),
    ] {
        assert_eq!(with(version, &args), wanted, "{version} {args:?}");
    }
}

#[test]
fn values_that_dockerd_reads_late_are_checked_early() {
    let json =
        |text: &str| on(&machine("28.5.2").file("/s.json", "{}").file("/t", "x").file(FILE, text), &[]);
    let invalid = || failing("daemon-json-invalid");
    for (text, wanted) in [
        (r#"{"seccomp-profile": "/s.json"}"#, vec![]),
        (r#"{"seccomp-profile": "unconfined"}"#, vec![]),
        (r#"{"seccomp-profile": "/none.json"}"#, invalid()),
        (r#"{"seccomp-profile": "/t"}"#, invalid()),
        (r#"{"default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1, "Hard": 2}}}"#, vec![]),
        (r#"{"default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1, "Hard": -1}}}"#, vec![]),
        (r#"{"default-ulimits": {"nofile": {"Soft": 1, "Hard": 2}}}"#, invalid()),
        (r#"{"default-ulimits": {"nofile": {"Name": "nofile", "Soft": 3, "Hard": 2}}}"#, invalid()),
        (r#"{"default-ulimits": {"x": {"Name": "x", "Soft": 1, "Hard": 2}}}"#, invalid()),
        (r#"{"registry-mirrors": ["https://m"]}"#, vec![]),
        (r#"{"registry-mirrors": ["m:5000"]}"#, invalid()),
        (r#"{"metrics-addr": "127.0.0.1:9323"}"#, vec![]),
        (r#"{"metrics-addr": "q"}"#, invalid()),
        (
            r#"{"default-shm-size": "64m", "dns-search": ["a.b"], "insecure-registries": ["r:5000", "10.0.0.0/8"]}"#,
            vec![],
        ),
        (r#"{"default-shm-size": "q"}"#, invalid()),
        (r#"{"dns-search": ["a b"]}"#, invalid()),
        (r#"{"insecure-registries": ["http://a b"]}"#, invalid()),
        (r#"{"host-gateway-ips": ["q"]}"#, invalid()),
        (r#"{"labels": ["a=1", "b=1", "a=1"]}"#, vec![]),
        (r#"{"labels": ["a=1", "a=2"]}"#, invalid()),
    ] {
        assert_eq!(json(text), wanted, "{text}");
    }
    let old = machine("20.10.24").file(FILE, r#"{"seccomp-profile": "unconfined"}"#);
    assert_eq!(on(&old, &[]), invalid(), "20.10 looks for a file of that name");
}

/// A machine on which a dockerd of 28.5.2 runs as process 7, started at second 1100.
fn attached(namespace: &str, json: &str, changed: i64) -> Fake {
    with_programs("28.5.2")
        .file("/usr/bin/dockerd", "")
        .stat_of("/usr/bin/dockerd", |stat| stat.mode = 0o755)
        .file(FILE, json)
        .stat_of(FILE, |stat| stat.mtime = changed * 1_000_000_000)
        .file("/proc/7/stat", "7 (dockerd) S 1 7 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 9 0 10000 0 0\n")
        .file("/proc/7/cmdline", "/usr/bin/dockerd\0")
        .file("/proc/7/environ", "PATH=/usr/bin\0")
        .file("/proc/stat", "btime 1000\n")
        .link("/proc/7/exe", "/usr/bin/dockerd")
        .link("/proc/self/ns/mnt", "mnt:[1]")
        .link("/proc/7/ns/mnt", namespace)
        .node("/var/run/docker.sock", crate::host::FileKind::Socket)
}

#[test]
fn running_daemon_is_judged_by_its_own_configuration() {
    let url = "unix:///var/run/docker.sock";
    let on = |host: &Fake| check_attached(&STEP, host, url).unwrap();
    let good = on(&attached("mnt:[1]", r#"{"data-root": "/d"}"#, 1000));
    assert_eq!(good[0].what, "dockerd 28.5.2 keeps its data in /d");
    let driver = r#"{"log-driver": "journald"}"#;
    assert_eq!(problems(&on(&attached("mnt:[1]", driver, 1000))), failing("log-driver-unusable"));
    let survived = on(&attached("mnt:[1]", r#"{"mtu": -1}"#, 1000));
    assert_eq!(problems(&survived), warning("daemon-json-invalid"));
    let newer = on(&attached("mnt:[1]", driver, 2000));
    assert_eq!(problems(&newer), warning("log-driver-unusable"));
    assert!(newer.iter().any(|finding| finding.what.ends_with("before the file was changed")), "{newer:?}");
    let elsewhere = on(&attached("mnt:[2]", driver, 1000));
    assert_eq!(problems(&elsewhere), []);
    assert!(elsewhere[0].what.ends_with("is in another mount namespace"), "{elsewhere:?}");
}

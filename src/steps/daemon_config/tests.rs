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
    assert_eq!(with("28.5.2", &["--default-runtime=kata", "--add-runtime=kata=/k"]), []);
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

use nix::errno::Errno;

use super::*;
use crate::facts::daemon::tests::machine;
use crate::host::fake::Fake;
use crate::host::{FsInfo, HostError};
use crate::testing::{check_with, problems};

mod repairs;

/// The report of a trial in which everything works.
fn all_accepted(kind: &str) -> TrialReport {
    let mut report = TrialReport::default();
    for name in
        ["netlink", "net-admin", "conntrack-netlink", "network-namespace", "bridge", "veth", "enslave"]
    {
        report.attempt(name, Ok(()));
    }
    report.attempt("backend", Ok(()));
    report.detail(kind);
    for name in ["nat", "masquerade", "addrtype", "filter", "conntrack", "publish", "raw", "nat6"] {
        report.attempt(name, Ok(()));
    }
    report
}

/// The same up to a refused attempt; with `ends` nothing after it was tried.
fn refusing(name: &str, errno: Errno, ends: bool) -> TrialReport {
    let mut report = all_accepted("legacy");
    let at = report.attempts.iter().position(|attempt| attempt.name == name).unwrap();
    report.attempts[at].error = Some(HostError::new("try", "/x", errno));
    if ends {
        report.attempts.truncate(at + 1);
    }
    report
}

const ROUTES: &str = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
    eth0 00000000 010011AC 0003 0 0 0 00000000 0 0 0\n\
    eth0 000011AC 00000000 0001 0 0 0 0000FFFF 0 0 0\n";

/// A healthy outer container, without a report of the trial.
fn quiet(version: &str) -> Fake {
    let disk = FsInfo { magic: 0x9fa0, size: 0, free: 0, inodes: 0, inodes_free: 0, flags: 0 };
    machine(version)
        .program("/usr/bin/iptables --version", 0, "iptables v1.8.9 (legacy)")
        .program("/usr/bin/ip6tables --version", 0, "")
        .file("/proc/sys/net/ipv4/ip_forward", "0\n")
        .file("/proc/sys/net/bridge/bridge-nf-call-iptables", "1\n")
        .file("/proc/net/route", ROUTES)
        .file("/sys/class/net/eth0/mtu", "1500\n")
        .file("/etc/resolv.conf", "nameserver 10.0.0.2\n")
        .filesystem("/proc", disk)
}

/// Levels and causes on that machine.
fn seen(host: Fake, tried: TrialReport, args: &[&str]) -> Vec<(Level, &'static str)> {
    problems(&check_with(&STEP, &host.answers_trial(tried), args).unwrap())
}

#[test]
fn healthy_container_passes_with_every_engine() {
    for version in ["20.10.24", "26.1.5", "28.5.2"] {
        assert_eq!(seen(quiet(version), all_accepted("nft"), &[]), []);
    }
}

#[test]
fn container_without_a_network_passes() {
    let host = quiet("28.5.2")
        .file("/proc/net/route", "Iface\n")
        .file("/etc/resolv.conf", "nameserver 127.0.0.11\n");
    assert_eq!(seen(host, all_accepted("nft"), &[]), []);
}

#[test]
fn refused_interface_fails() {
    for (name, errno, ends, cause) in [
        ("netlink", Errno::EPROTONOSUPPORT, true, "netlink-handle-unavailable"),
        ("net-admin", Errno::EPERM, true, "net-admin-capability-missing"),
        ("network-namespace", Errno::ENOSPC, true, "kernel-lacks-namespaces"),
        ("network-namespace", Errno::EPERM, true, "outer-container-not-privileged"),
        ("bridge", Errno::EOPNOTSUPP, false, "kernel-lacks-bridge"),
        ("veth", Errno::EOPNOTSUPP, false, "kernel-lacks-veth"),
    ] {
        let found = seen(quiet("26.1.5"), refusing(name, errno, ends), &[]);
        assert_eq!(found, [(Level::Fail, cause)], "{name}");
    }
    let found = seen(quiet("26.1.5"), refusing("conntrack-netlink", Errno::EPROTONOSUPPORT, false), &[]);
    assert_eq!(found, [(Level::Warn, "netlink-handle-unavailable")]);
}

#[test]
fn kernel_without_bridges_warns_with_bridge_none() {
    let tried = || refusing("bridge", Errno::EOPNOTSUPP, false);
    assert_eq!(seen(quiet("26.1.5"), tried(), &["--bridge=none"]), [(Level::Warn, "kernel-lacks-bridge")]);
}

#[test]
fn each_rejected_rule_has_its_level() {
    for (rule, level, cause) in [
        ("nat", Level::Fail, "kernel-lacks-legacy-iptables-nat"),
        ("masquerade", Level::Fail, "kernel-lacks-legacy-iptables-nat"),
        ("addrtype", Level::Fail, "kernel-lacks-legacy-iptables-nat"),
        ("conntrack", Level::Fail, "kernel-lacks-legacy-iptables-nat"),
        ("publish", Level::Warn, "kernel-lacks-legacy-iptables-nat"),
        ("raw", Level::Fail, "kernel-lacks-iptables-raw"),
        ("nat6", Level::Warn, "kernel-lacks-ip6tables-nat"),
    ] {
        assert_eq!(seen(quiet("28.5.2"), refusing(rule, Errno::EIO, false), &[]), [(level, cause)], "{rule}");
    }
    let tried = || refusing("masquerade", Errno::EIO, false);
    assert_eq!(seen(quiet("28.5.2"), tried(), &["--ip-masq=false"])[0].0, Level::Warn);
    assert_eq!(
        seen(quiet("28.5.2"), refusing("nat", Errno::ENOEXEC, true), &[])[0].1,
        "iptables-program-missing"
    );
}

#[test]
fn working_iptables_variant_is_named() {
    let mut tried = refusing("nat", Errno::EIO, true);
    tried.attempt("other", Ok(()));
    tried.detail("/usr/sbin/iptables-nft");
    let findings = check_with(&STEP, &quiet("26.1.5").answers_trial(tried), &[]).unwrap();
    let failed = findings.iter().find(|finding| finding.level == Level::Fail).unwrap();
    assert!(failed.hint.as_ref().unwrap().contains("--set iptables /usr/sbin/iptables-nft"), "{failed:?}");
}

#[test]
fn missing_programs_have_their_causes() {
    let bare = |version| {
        machine(version).file("/proc/sys/net/ipv4/ip_forward", "1").file("/proc/net/route", "Iface\n")
    };
    assert_eq!(seen(bare("26.1.5"), all_accepted("nft"), &[]), [(Level::Fail, "iptables-program-missing")]);
    assert_eq!(seen(bare("26.1.5"), all_accepted("nft"), &["--iptables=false"]), []);
    let nft = seen(bare("29.0.0"), all_accepted("nft"), &["--firewall-backend=nftables"]);
    assert_eq!(nft, [(Level::Fail, "nft-tool-missing")]);
    let without_six = bare("28.5.2").program("/usr/bin/iptables --version", 0, "");
    assert_eq!(seen(without_six, all_accepted("nft"), &[]), [(Level::Warn, "iptables-program-missing")]);
}

#[test]
fn rules_of_both_variants_warn() {
    let legacy_in_use = quiet("26.1.5").file("/proc/net/ip_tables_names", "nat\nfilter\n");
    assert_eq!(seen(legacy_in_use, all_accepted("nft"), &[]), [(Level::Warn, "iptables-backends-mixed")]);
    let mut tried = all_accepted("legacy");
    tried.attempt("nft-rules", Ok(()));
    tried.detail("0");
    assert_eq!(seen(quiet("26.1.5"), tried.clone(), &[]), []);
    tried.detail("3");
    assert_eq!(seen(quiet("26.1.5"), tried, &[]), [(Level::Warn, "iptables-backends-mixed")]);
}

/// The same machine with a read-only /proc.
fn read_only(host: Fake) -> Fake {
    host.filesystem("/proc", FsInfo { magic: 0x9fa0, size: 0, free: 0, inodes: 0, inodes_free: 0, flags: 1 })
}

#[test]
fn forwarding_counts_by_who_can_enable_it() {
    let found = |host, args: &[&str]| seen(host, all_accepted("nft"), args);
    assert_eq!(found(read_only(quiet("26.1.5")), &[]), [(Level::Fail, "ip-forward-not-writable")]);
    let on = read_only(quiet("26.1.5")).file("/proc/sys/net/ipv4/ip_forward", "1\n");
    assert_eq!(found(on, &[]), []);
    assert_eq!(found(quiet("26.1.5"), &["--ip-forward=false"]), [(Level::Warn, "ip-forward-disabled")]);
    let io = quiet("26.1.5").fails("read", "/proc/sys/net/ipv4/ip_forward", Errno::EIO, None);
    assert_eq!(found(io, &[]), [(Level::Fail, "proc-sys-emulation-io-error")]);
    let denied = quiet("26.1.5").fails("read", "/proc/sys/net/ipv4/ip_forward", Errno::EACCES, None);
    assert!(check_with(&STEP, &denied.answers_trial(all_accepted("nft")), &[]).is_err());
}

#[test]
fn missing_br_netfilter_counts_by_options_and_version() {
    let mut tried = all_accepted("nft");
    tried.attempt("br-netfilter", Err(HostError::new("stat", "/x", Errno::ENOENT)));
    let found = |host, args: &[&str]| seen(host, tried.clone(), args);
    assert_eq!(found(quiet("28.5.2"), &["--icc=false"]), [(Level::Fail, "br-netfilter-unavailable")]);
    let ignored = quiet("28.5.2").variable("DOCKER_IGNORE_BR_NETFILTER_ERROR", "1");
    assert_eq!(found(ignored, &["--icc=false"]), [(Level::Warn, "br-netfilter-unavailable")]);
    let in_docker = |version| quiet(version).file("/.dockerenv", "");
    assert_eq!(found(in_docker("26.1.5"), &["--icc=false"])[0].0, Level::Warn);
    assert_eq!(found(in_docker("28.5.2"), &["--icc=false"])[0].0, Level::Fail);
}

#[test]
fn overlapping_subnets_are_found() {
    let found = |args: &[&str]| seen(quiet("28.5.2"), all_accepted("nft"), args);
    assert_eq!(found(&["--bip=172.17.5.1/24"]), [(Level::Warn, "bridge-subnet-overlaps")]);
    assert_eq!(found(&["--bip=172.17.0.9/16"]), [(Level::Fail, "bridge-subnet-overlaps")]);
    assert_eq!(found(&["--bip=172.16.0.1/12"]), [(Level::Fail, "bridge-subnet-overlaps")]);
    assert_eq!(found(&["--bip=10.9.0.1/24"]), []);
    let pool = ["--default-address-pool=base=172.17.0.0/16,size=24"];
    assert_eq!(found(&pool), [(Level::Fail, "no-free-address-pool")]);
    assert_eq!(found(&[pool[0], "--bridge=none"]), []);
}

#[test]
fn first_free_pool_is_named() {
    let host = quiet("28.5.2")
        .file("/etc/resolv.conf", "nameserver 172.18.0.53\n")
        .answers_trial(all_accepted("nft"));
    let findings = check_with(&STEP, &host, &[]).unwrap();
    assert!(
        findings.iter().any(|finding| finding.what == "docker0 gets the subnet 172.19.0.0/16"),
        "{findings:?}"
    );
}

#[test]
fn smaller_outer_mtu_warns() {
    let host = || quiet("28.5.2").file("/sys/class/net/eth0/mtu", "1450\n");
    assert_eq!(seen(host(), all_accepted("nft"), &[]), [(Level::Warn, "mtu-mismatch")]);
    assert_eq!(seen(host(), all_accepted("nft"), &["--mtu=1450"]), []);
}

#[test]
fn loopback_resolver_warns_if_there_is_a_default_route() {
    let only = |server: &str| quiet("28.5.2").file("/etc/resolv.conf", &format!("nameserver {server}\n"));
    assert_eq!(
        seen(only("127.0.0.11"), all_accepted("nft"), &[]),
        [(Level::Warn, "embedded-dns-unreachable")]
    );
    assert_eq!(seen(only("127.0.0.53"), all_accepted("nft"), &[]), [(Level::Warn, "resolv-conf-unusable")]);
    assert_eq!(seen(only("none"), all_accepted("nft"), &[]), [(Level::Warn, "resolv-conf-unusable")]);
    assert_eq!(seen(only("127.0.0.11"), all_accepted("nft"), &["--dns=10.0.0.2"]), []);
    let resolved = only("127.0.0.53").file("/run/systemd/resolve/resolv.conf", "nameserver 10.0.0.2\n");
    assert_eq!(seen(resolved, all_accepted("nft"), &[]), []);
}

#[test]
fn strict_filter_warns_with_two_default_routes() {
    let two = format!("{ROUTES}eth1 00000000 010012AC 0003 0 0 100 00000000 0 0 0\n");
    let host = |all: &str, one: &str| {
        quiet("28.5.2")
            .file("/proc/net/route", &two)
            .file("/proc/sys/net/ipv4/conf/all/rp_filter", all)
            .file("/proc/sys/net/ipv4/conf/eth1/rp_filter", one)
    };
    let found = |all, one| seen(host(all, one), all_accepted("nft"), &[]);
    assert_eq!(found("0", "1"), [(Level::Warn, "rp-filter-asymmetric-route")]);
    assert_eq!(
        found("1", "2"),
        [(Level::Warn, "rp-filter-asymmetric-route")],
        "eth0 has 0, so all's 1 counts"
    );
    assert_eq!(found("0", "0"), []);
    assert_eq!(found("2", "1"), []);
}

#[test]
fn bridge_of_the_host_warns() {
    let host = || quiet("28.5.2").file("/proc/sys/net/core/dev_weight", "64\n");
    assert_eq!(seen(host(), all_accepted("nft"), &[]), []);
    let shared = host().dir("/sys/class/net/docker0");
    assert_eq!(seen(shared, all_accepted("nft"), &[]), [(Level::Warn, "network-namespace-is-host")]);
}

#[test]
fn open_listener_warns() {
    let found = |args: &[&str]| seen(quiet("28.5.2"), all_accepted("nft"), args);
    assert_eq!(found(&["-H", "tcp://0.0.0.0:2375"]), [(Level::Warn, "open-tcp-listener-without-tls")]);
    assert_eq!(found(&["-H", "tcp://127.0.0.1:2375"]), []);
    assert_eq!(found(&["-H", "tcp://0.0.0.0:2376", "--tlsverify"]), []);
}

#[test]
fn missing_bridge_and_missing_ipv6_subnet_fail() {
    let found = |version, args: &[&str]| seen(quiet(version), all_accepted("nft"), args);
    assert_eq!(found("26.1.5", &["--bridge=br9"]), [(Level::Fail, "docker0-bridge-missing")]);
    let there = quiet("26.1.5").dir("/sys/class/net/br9");
    assert_eq!(seen(there, all_accepted("nft"), &["--bridge=br9"]), []);
    assert_eq!(found("26.1.5", &["--ipv6"]), [(Level::Fail, "ipv6-subnet-not-configured")]);
    assert_eq!(found("26.1.5", &["--ipv6", "--fixed-cidr-v6=fd00::/64"]), []);
    assert_eq!(found("28.5.2", &["--ipv6"]), []);
}

#[test]
fn missing_default_route_warns_if_there_is_a_network() {
    let on_link = ROUTES.lines().filter(|line| !line.contains("010011AC")).collect::<Vec<_>>().join("\n");
    let host = quiet("28.5.2").file("/proc/net/route", &on_link);
    assert_eq!(
        seen(host, all_accepted("nft"), &[]),
        [(Level::Warn, "container-outbound-network-unreachable")]
    );
}

#[test]
fn proxy_is_named_without_its_value() {
    let host = || quiet("28.5.2").variable("https_proxy", "http://10.0.0.9:3128");
    assert_eq!(seen(host(), all_accepted("nft"), &[]), [(Level::Warn, "proxy-required")]);
    let findings = check_with(&STEP, &host().answers_trial(all_accepted("nft")), &[]).unwrap();
    assert!(!format!("{findings:?}").contains("3128"), "its value may hold a password");
}

#[test]
fn held_xtables_lock_fails() {
    let mut tried = all_accepted("legacy");
    tried.attempt("lock", Err(HostError::new("lock", "/run/xtables.lock", Errno::EWOULDBLOCK)));
    assert_eq!(seen(quiet("26.1.5"), tried, &[]), [(Level::Fail, "iptables-resource-busy")]);
}

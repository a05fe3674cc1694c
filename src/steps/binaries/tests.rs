use nix::errno::Errno;

use super::*;
use crate::host::fake::Fake;
use crate::testing::{self, check_with};

/// A machine with everything that this version of dockerd needs.
fn machine(version: &str) -> Fake {
    let says = |name: &str| format!("/usr/bin/{name} --version");
    let files = ["containerd", "docker-proxy", "docker-init", "ip6tables"];
    let host = files.iter().fold(Fake::new(), |host, name| host.binary(&format!("/usr/bin/{name}")));
    host.variable("PATH", "/usr/bin")
        .program(&says("dockerd"), 0, &format!("Docker version {version}, build 1"))
        .program("/usr/bin/containerd-shim-runc-v2 -v", 0, "containerd-shim-runc-v2:\n  Version: 1.7.24\n")
        .program(&says("runc"), 0, "runc version 1.1.15\n")
        .program(&says("iptables"), 0, "iptables v1.8.9 (nf_tables)")
}

fn findings(host: &Fake, args: &[&str]) -> Vec<Finding> {
    check_with(&STEP, host, args).unwrap()
}

fn problems(host: &Fake, args: &[&str]) -> Vec<(Level, &'static str)> {
    testing::problems(&findings(host, args))
}

#[test]
fn complete_engine_gives_one_finding_with_every_version() {
    for version in ["20.10.24", "26.1.5", "28.5.2"] {
        let found = findings(&machine(version), &[]);
        assert!(
            found.len() == 1 && found[0].what.starts_with(&format!("dockerd {version} and")),
            "{found:?}"
        );
    }
}

#[test]
fn missing_program_counts_by_version() {
    let without = |version, name: &str| {
        let gone = format!("/usr/bin/{name}");
        problems(&machine(version).fails("stat", &gone, Errno::ENOENT, None), &[])
    };
    assert_eq!(without("26.1.5", "dockerd"), [(Level::Fail, "docker-program-missing")]);
    assert_eq!(without("26.1.5", "containerd"), [(Level::Fail, "containerd-program-missing")]);
    assert_eq!(without("26.1.5", "runc"), [(Level::Fail, "runc-program-missing")]);
    assert_eq!(without("20.10.24", "docker-proxy"), [(Level::Fail, "docker-proxy-program-missing")]);
    assert_eq!(without("28.5.2", "docker-proxy"), [(Level::Fail, "docker-proxy-program-missing")]);
    assert_eq!(without("28.5.2", "docker-init"), [(Level::Warn, "docker-init-program-missing")]);
    assert_eq!(without("28.5.2", "ip6tables"), [(Level::Warn, "iptables-program-missing")]);
    assert_eq!(without("26.1.5", "ip6tables"), []);
}

#[test]
fn kernel_without_nf_tables_is_not_blamed_on_iptables() {
    let refused = "iptables: Failed to initialize nft: Protocol not supported";
    let host = |words| machine("28.5.2").program("/usr/bin/iptables --version", 1, words);
    assert_eq!(problems(&host(refused), &[]), []);
    assert_eq!(problems(&host("iptables: no such library"), &[]), [(Level::Fail, "binary-not-runnable")]);
}

#[test]
fn clock_before_the_time_of_the_engine_is_wrong() {
    const DAY: i64 = 86_400_000_000_000;
    let at = |now: i64| {
        let host = machine("28.5.2").stat_of("/usr/bin/dockerd", |stat| stat.mtime = 100 * DAY);
        host.file("/proc/self/status", "").stat_of("/proc/self/status", |stat| stat.mtime = now)
    };
    let wrong = [(Level::Warn, "system-clock-wrong")];
    assert_eq!(problems(&at(DAY), &[]), wrong);
    assert_eq!(problems(&at(99 * DAY), &[]), wrong);
    for sound in [99 * DAY + 1, 100 * DAY, 101 * DAY, 0] {
        assert_eq!(problems(&at(sound), &[]), [], "{sound}");
    }
}

#[test]
fn program_that_the_settings_disable_is_not_needed() {
    let host = || {
        ["docker-proxy", "iptables"].iter().fold(machine("28.5.2"), |host, name| {
            host.fails("stat", &format!("/usr/bin/{name}"), Errno::ENOENT, None)
        })
    };
    assert_eq!(problems(&host(), &["--userland-proxy=false", "--iptables=false"]), []);
    let nft = machine("29.7.2");
    assert_eq!(problems(&nft, &["--firewall-backend=nftables"]), [(Level::Fail, "nft-tool-missing")]);
    let system = machine("28.5.2").fails("stat", "/usr/bin/containerd", Errno::ENOENT, None);
    assert_eq!(problems(&system, &["--containerd=/run/c.sock"]), []);
}

#[test]
fn program_that_does_not_run_has_another_cause_than_a_missing_one() {
    let host = machine("26.1.5").fails("run", "/usr/bin/runc", Errno::ENOEXEC, None);
    let found = findings(&host, &[]).remove(1);
    assert_eq!(found.cause.unwrap().as_str(), "binary-not-runnable");
    assert!(found.what.contains("/usr/bin/runc does not run: it is an empty file"), "{}", found.what);
    let host = machine("26.1.5").stat_of("/usr/bin/runc", |stat| stat.mode = 0o644);
    assert_eq!(findings(&host, &[])[1].hint.as_deref(), Some("chmod +x /usr/bin/runc"));
    let host = machine("26.1.5").program("/usr/bin/dockerd --version", 139, "");
    assert_eq!(problems(&host, &[]), [(Level::Fail, "binary-not-runnable")]);
}

#[test]
fn known_bad_versions_are_named() {
    let host = machine("26.1.5").program("/usr/bin/iptables --version", 0, "iptables v1.8.2 (nf_tables)");
    assert_eq!(problems(&host, &[]), [(Level::Warn, "iptables-version-broken")]);
    let host = machine("26.1.5").program("/usr/bin/iptables --version", 0, "iptables v1.8.2 (legacy)");
    assert_eq!(problems(&host, &[]), []);
    let host = machine("29.7.2")
        .program("/usr/bin/containerd-shim-runc-v2 -v", 0, "containerd-shim-runc-v2:\n  Version:  v2.3.3")
        .file("/proc/filesystems", "nodev\ttmpfs\n\terofs\n");
    assert_eq!(problems(&host, &[]), [(Level::Warn, "erofs-snapshotter-mkfs-missing")]);
}

#[test]
fn file_that_is_not_an_executable_fails() {
    let spoilt = |text: &str| {
        let host = machine("26.1.5").file("/usr/bin/containerd", text);
        host.stat_of("/usr/bin/containerd", |stat| stat.mode = 0o755)
    };
    assert_eq!(problems(&spoilt(""), &[]), [(Level::Fail, "binary-not-runnable")]);
    assert_eq!(problems(&spoilt("#!/no/shell\n"), &[]), [(Level::Fail, "binary-not-runnable")]);
    // A script is run after all.
    let host = spoilt("#!/bin/sh\n").file("/bin/sh", "");
    assert_eq!(
        problems(&host.program("/usr/bin/containerd --version", 1, ""), &[]),
        [(Level::Fail, "binary-not-runnable")]
    );
}

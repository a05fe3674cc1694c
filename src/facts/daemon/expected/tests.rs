use serde_json::json;

use super::super::tests::{daemon, machine};
use super::*;
use crate::host::fake::Fake;

fn expected(host: &Fake, args: &[&str]) -> Expected {
    Expected::of(host, &daemon(host, args))
}

/// A machine with iptables.
fn whole(version: &str) -> Fake {
    machine(version).program("/usr/bin/iptables --version", 0, "")
}

#[test]
fn nothing_is_off_without_options() {
    for version in ["20.10.24", "26.1.5", "28.5.2"] {
        assert_eq!(expected(&whole(version), &[]), Expected::default());
        assert_eq!(expected(&whole(version), &["--icc=false", "--ip6tables=false"]), Expected::default());
    }
}

#[test]
fn what_is_off_names_its_flag_or_its_key_and_file() {
    let by = |off: Option<Off>| off.expect("it is off");
    let flag = by(expected(&whole("28.5.2"), &["--iptables=false"]).firewall);
    assert_eq!(flag.by, "`--iptables=false`");
    assert_eq!(flag.undo, "start dockerd without `--iptables=false`");
    let json = r#"{"ip-masq": false, "bridge": "none", "userland-proxy": false, "userns-remap": "default"}"#;
    let file = expected(&whole("26.1.5").file("/etc/docker/daemon.json", json), &[]);
    assert_eq!(by(file.masquerade).by, "`\"ip-masq\": false` in /etc/docker/daemon.json");
    assert_eq!(by(file.bridge.clone()).by, "`\"bridge\": \"none\"` in /etc/docker/daemon.json");
    assert_eq!(
        by(file.bridge).undo,
        "remove `\"bridge\": \"none\"` from /etc/docker/daemon.json, and restart dockerd"
    );
    assert!(file.proxy.is_some() && file.firewall.is_none());
    assert_eq!(file.remap.as_deref(), Some("`\"userns-remap\": \"default\"` in /etc/docker/daemon.json"));
}

#[test]
fn daemon_without_rules_masquerades_nothing() {
    let off = expected(&whole("28.5.2"), &["--iptables=false"]);
    assert_eq!((off.masquerade, off.names), (off.firewall, None));
    let bare = expected(&machine("28.5.2"), &["--iptables=false", "--bridge=none"]);
    assert!(bare.names.is_some(), "it has no iptables for its name server either");
}

#[test]
fn forwarding_is_off_only_where_nobody_turned_it_on() {
    let out = |value: &str| {
        let host = whole("28.5.2").file("/proc/sys/net/ipv4/ip_forward", value);
        expected(&host, &["--ip-forward=false"]).no_way_out().cloned()
    };
    assert_eq!(out("0\n").map(|off| off.by).as_deref(), Some("`--ip-forward=false`"));
    assert_eq!(out("1\n"), None);
}

#[test]
fn ports_are_off_without_both_rules_and_proxy() {
    let off = |args: &[&str]| expected(&whole("28.5.2"), args).no_ports().is_some();
    assert!(!off(&["--iptables=false"]) && !off(&["--userland-proxy=false"]));
    assert!(off(&["--iptables=false", "--userland-proxy=false"]));
}

#[test]
fn daemon_says_what_is_off() {
    let bridge = json!({"Options": {"com.docker.network.bridge.enable_ip_masquerade": "true"}});
    let whole = Expected::default().corrected(&json!({}), Some(&bridge));
    assert_eq!(whole, Expected::default());
    assert!(Expected::default().corrected(&json!({}), None).bridge.is_some());
    let off = json!({"Options": {"com.docker.network.bridge.enable_ip_masquerade": "false"}});
    let info = json!({"SecurityOptions": ["name=seccomp,profile=builtin", "name=userns"]});
    let said = Expected::default().corrected(&info, Some(&off));
    assert!(said.masquerade.is_some() && said.remap.is_some() && said.bridge.is_none());
    // A daemon that has the network has it whatever its options seem to say.
    let none = Off { by: "x".into(), undo: "y".into() };
    let corrected = Expected { bridge: Some(none), ..Expected::default() };
    assert_eq!(corrected.corrected(&json!({}), Some(&bridge)), Expected::default());
}

#[test]
fn options_of_the_only_running_daemon_count() {
    let process = |host: Fake, pid: u32| {
        host.file(&format!("/proc/{pid}/cmdline"), "dockerd\0--ip-masq=false\0")
            .file(
                &format!("/proc/{pid}/stat"),
                &format!("{pid} (dockerd) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 77 0 0"),
            )
            .link(&format!("/proc/{pid}/exe"), "/usr/bin/dockerd")
            .link(&format!("/proc/{pid}/ns/mnt"), "mnt:[1]")
    };
    let host = || whole("26.1.5").link("/proc/self/ns/mnt", "mnt:[1]");
    let one = Expected::of_running(&process(host(), 40));
    assert_eq!(one.masquerade.map(|off| off.by).as_deref(), Some("`--ip-masq=false`"));
    assert_eq!(Expected::of_running(&process(process(host(), 40), 41)), Expected::default());
    assert_eq!(Expected::of_running(&host()), Expected::default());
}

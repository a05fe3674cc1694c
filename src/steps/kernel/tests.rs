use nix::errno::Errno;

use super::*;
use crate::facts::daemon::tests::machine;
use crate::host::HostError;
use crate::host::fake::Fake;
use crate::host::trial::TrialReport;
use crate::options::PlanRequest;
use crate::profile::Grant;
use crate::testing::{check, check_with, learn, problems, repair_with};

const TABLE: &str =
    "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tdevpts\nnodev\tmqueue\n\text4\nnodev\toverlay\n";

fn healthy() -> Fake {
    let mut host = machine("28.5.2")
        .file("/proc/sys/kernel/osrelease", "6.1.0-18-amd64\n")
        .file("/proc/filesystems", TABLE)
        .file("/proc/self/status", "Name:\tx\nSeccomp:\t0\n")
        .file("/proc/key-users", "    0:    10 9/9 4/1000000 110/25000000\n 1000: 1 1/1 200/200 9/9\n")
        .file("/proc/sys/kernel/keys/root_maxkeys", "1000000\n")
        .file("/proc/sys/fs/inotify/max_user_instances", "128\n");
    for kind in NAMESPACES {
        host = host.link(&format!("/proc/self/ns/{kind}"), &format!("{kind}:[4026531835]"));
    }
    host
}

fn seen(host: &Fake) -> Vec<(Level, &'static str)> {
    problems(&check(&STEP, host).unwrap())
}

#[test]
fn usual_kernel_passes() {
    let (findings, learned) = learn(&STEP, &healthy());
    assert_eq!(problems(&findings.unwrap()), []);
    assert_eq!(learned.kernel.as_deref(), Some("6.1.0-18-amd64"));
}

#[test]
fn unreadable_proc_is_an_error() {
    assert!(check(&STEP, &Fake::new()).is_err());
    assert!(check(&STEP, &healthy().fails("read", "/proc/filesystems", Errno::EACCES, None)).is_err());
}

#[test]
fn old_kernel_and_wsl1_fail() {
    for (release, expected) in [
        ("3.9.11", Some("kernel-too-old")),
        ("2.6.32-754.el6", Some("kernel-too-old")),
        ("3.10.0-1160.el7", None),
        ("4.4.0-19041-Microsoft", Some("wsl1-kernel-unsupported")),
        ("5.15.153.1-microsoft-standard-WSL2", None),
        ("unheard-of", None),
    ] {
        let host = healthy().file("/proc/sys/kernel/osrelease", release);
        let expected: Vec<_> = expected.into_iter().map(|cause| (Level::Fail, cause)).collect();
        assert_eq!(seen(&host), expected, "{release}");
    }
}

#[test]
fn missing_kind_of_namespace_fails() {
    let without = healthy().fails("read the link", "/proc/self/ns/net", Errno::ENOENT, None);
    assert_eq!(seen(&without), [(Level::Fail, "kernel-lacks-namespaces")]);
    let none = healthy().file("/proc/sys/user/max_pid_namespaces", "0\n");
    assert_eq!(seen(&none), [(Level::Fail, "kernel-lacks-namespaces")]);
}

#[test]
fn missing_file_system_of_every_container_fails() {
    let host = healthy()
        .file("/proc/filesystems", &TABLE.replace("nodev\tmqueue\n", ""))
        .file("/boot/config-6.1.0-18-amd64", "# CONFIG_POSIX_MQUEUE is not set\n");
    let findings = check(&STEP, &host).unwrap();
    assert_eq!(problems(&findings), [(Level::Fail, "kernel-lacks-filesystem")]);
    let evidence = &findings[0].evidence[0].1;
    assert_eq!(evidence, "CONFIG_POSIX_MQUEUE is not set in /boot/config-6.1.0-18-amd64");
}

/// A kernel without overlay, and its answer to a request for it.
fn without_overlay(errno: Option<Errno>) -> Fake {
    let mut tried = TrialReport::default();
    tried.attempt("overlay", errno.map_or(Ok(()), |errno| Err(HostError::new("mount", "/", errno))));
    healthy().file("/proc/filesystems", &TABLE.replace("nodev\toverlay\n", "")).answers_trial(tried)
}

#[test]
fn missing_overlay_counts_by_storage_driver() {
    let found =
        |args: &[&str]| problems(&check_with(&STEP, &without_overlay(Some(Errno::ENODEV)), args).unwrap());
    assert_eq!(found(&[]), [(Level::Warn, "kernel-lacks-overlayfs")]);
    assert_eq!(found(&["-s", "overlay2"]), [(Level::Fail, "kernel-lacks-overlayfs")]);
    assert_eq!(found(&["-s", "vfs"]), []);
    assert_eq!(seen(&without_overlay(None)), [], "the request loaded the module");
}

#[test]
fn repair_loads_overlay() {
    let host = without_overlay(Some(Errno::ENODEV)).reacts(|fake, line| {
        if line == "request_module overlay" {
            fake.set("/sys/module/overlay/refcnt", "0");
        }
    });
    let request = PlanRequest {
        repair: Some(Grant::Host),
        daemon_args: vec!["-s=overlay2".into()],
        ..PlanRequest::default()
    };
    let (end, changes) = repair_with(&STEP, &host, &request);
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(changes[0].did, "loaded the module overlay into the host's kernel");
}

#[test]
fn kernel_without_seccomp_warns() {
    let host = healthy().file("/proc/self/status", "Name:\tx\n");
    assert_eq!(seen(&host), [(Level::Warn, "kernel-lacks-seccomp")]);
}

#[test]
fn low_quota_warns_and_used_up_quota_fails() {
    let low = healthy().file("/proc/sys/kernel/keys/root_maxkeys", "200\n");
    assert_eq!(seen(&low), [(Level::Warn, "keyring-quota-low")]);
    for row in ["0: 10 9/9 200/200 110/25000000", "0: 10 9/9 4/200 25000/25000"] {
        let full = healthy().file("/proc/key-users", row);
        assert_eq!(seen(&full), [(Level::Fail, "keyring-quota-exceeded")], "{row}");
    }
    let few = healthy().file("/proc/sys/fs/inotify/max_user_instances", "16\n");
    assert_eq!(seen(&few), [(Level::Warn, "inotify-limit-low")]);
    let odd =
        healthy().file("/proc/key-users", "0: x\n\n").file("/proc/sys/kernel/keys/root_maxkeys", "many");
    assert_eq!(seen(&odd), []);
}

#[test]
fn missing_user_namespaces_fail_for_a_rootless_daemon_only() {
    let host = || healthy().file("/proc/sys/user/max_user_namespaces", "0\n");
    assert_eq!(seen(&host()), []);
    let rootless = host().variable("ROOTLESSKIT_STATE_DIR", "/tmp/rk");
    assert_eq!(seen(&rootless), [(Level::Fail, "user-namespaces-disabled")]);
}

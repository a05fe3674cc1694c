use nix::errno::Errno;

use super::*;
use crate::finding::Level;
use crate::host::HostError;
use crate::host::fake::Fake;

const ALL: CapSet = CapSet(0x1ff_ffff_ffff);

/// A privileged container, as root, without filter or security module.
fn healthy() -> Facts {
    Facts {
        identity: Identity { euid: 0, pid: 1 },
        status: Status { effective: ALL, bounding: ALL, no_new_privs: false, seccomp: Seccomp::Off },
        label: Label::None,
        user_namespace: UserNamespace::Initial,
        unmapped_group: None,
        calls: None,
    }
}

fn holding(set: CapSet) -> Facts {
    let mut facts = healthy();
    facts.status.effective = set;
    facts.status.bounding = set;
    facts
}

fn without(caps: &[u8]) -> Facts {
    holding(CapSet(caps.iter().fold(ALL.0, |set, cap| set & !(1 << cap))))
}

/// The worst finding's level and the causes in order.
fn seen(facts: &Facts) -> (Level, Vec<&'static str>) {
    let findings = judge(facts);
    let worst = findings.iter().map(|finding| finding.level).max().unwrap();
    (worst, findings.iter().filter_map(|finding| Some(finding.cause?.as_str())).collect())
}

#[test]
fn privileged_container_passes() {
    assert_eq!(seen(&healthy()), (Level::Pass, vec![]));
}

#[test]
fn outer_engine_that_gives_38_capabilities_passes() {
    assert_eq!(seen(&holding(CapSet(0x3f_ffff_ffff))), (Level::Pass, vec![]));
}

#[test]
fn missing_sys_resource_alone_warns() {
    assert_eq!(seen(&without(&[24])), (Level::Warn, vec!["cap-sys-resource-missing"]));
}

#[test]
fn default_set_is_not_privileged() {
    let findings = judge(&holding(CapSet(0xa804_25fb)));
    assert_eq!(findings[0].cause.unwrap().as_str(), "outer-container-not-privileged");
    assert!(findings[0].what.contains("24 of 38"), "{}", findings[0].what);
    let without = findings[0].evidence.iter().find(|(key, _)| *key == "without").unwrap();
    assert!(without.1.contains("CAP_SYS_ADMIN: mounts and namespaces are refused"), "{}", without.1);
    assert_eq!(findings.len(), 1, "consequences of the first problem are not reported");
}

#[test]
fn no_capabilities_is_not_privileged() {
    assert_eq!(seen(&holding(CapSet(0))), (Level::Fail, vec!["outer-container-not-privileged"]));
}

#[test]
fn missing_capability_of_the_default_set_fails() {
    assert_eq!(seen(&without(&[27, 24])), (Level::Fail, vec!["engine-lacks-capability"]));
}

#[test]
fn missing_net_admin_alone_has_its_own_cause() {
    assert_eq!(seen(&without(&[12])), (Level::Fail, vec!["net-admin-capability-missing"]));
}

#[test]
fn sys_admin_and_net_admin_beside_the_default_set_warn() {
    let (level, causes) = seen(&holding(CapSet(0xa804_25fb | 1 << 12 | 1 << 21)));
    let expected = vec!["cap-sys-resource-missing", "capability-not-effective"];
    assert_eq!((level, causes), (Level::Warn, expected));
}

#[test]
fn bounding_set_below_the_effective_set_counts() {
    let mut facts = healthy();
    facts.status.bounding = CapSet(ALL.0 & !(1 << 21));
    assert_eq!(seen(&facts), (Level::Fail, vec!["cap-sys-admin-missing"]));
}

#[test]
fn other_user_with_full_bounding_set_is_only_not_root() {
    let mut facts = healthy();
    facts.identity.euid = 1000;
    facts.status.effective = CapSet(0);
    assert_eq!(seen(&facts), (Level::Fail, vec!["not-root"]));
}

#[test]
fn other_user_without_privileges_has_both_causes() {
    let mut facts = holding(CapSet(0xa804_25fb));
    facts.identity.euid = 1000;
    assert_eq!(seen(&facts).1, ["not-root", "outer-container-not-privileged"]);
}

#[test]
fn no_new_privileges_warns() {
    let mut facts = healthy();
    facts.status.no_new_privs = true;
    assert_eq!(seen(&facts), (Level::Warn, vec!["no-new-privileges"]));
}

#[test]
fn narrow_user_namespace_has_its_own_cause() {
    let mut facts = healthy();
    facts.user_namespace = UserNamespace::Mapped("0 1000 1".into());
    assert_eq!(seen(&facts), (Level::Warn, vec!["image-uid-outside-mapped-range"]));
    facts.user_namespace = UserNamespace::Mapped("0 1000 1, 1 100000 65536".into());
    assert_eq!(seen(&facts), (Level::Warn, vec!["user-namespace"]));
}

/// A filter and a label, and the call that was refused.
fn tried(label: Label, refused: Option<(&str, Errno)>) -> Facts {
    let mut report = TrialReport::default();
    if let Some((call, errno)) = refused {
        report.attempt(call, Err(HostError::new("try", "/proc", errno)));
    }
    let mut facts = healthy();
    facts.status.seccomp = Seccomp::Filter;
    facts.label = label;
    facts.calls = Some(report);
    facts
}

#[test]
fn filter_that_allows_all_calls_warns() {
    assert_eq!(seen(&tried(Label::None, None)), (Level::Warn, vec!["seccomp-filter-active"]));
}

#[test]
fn refused_calls_have_their_causes() {
    let profile = || Label::AppArmor("docker-default".into(), true);
    let context = || Label::Context("u:r:container_t:s0".into());
    for (facts, cause) in [
        (tried(Label::None, Some(("keyctl", Errno::EPERM))), "seccomp-blocks-keyctl"),
        (tried(Label::None, Some(("pivot-root", Errno::EPERM))), "seccomp-filter-active"),
        (tried(Label::None, Some(("mount", Errno::EPERM))), "seccomp-filter-active"),
        (tried(profile(), Some(("mount", Errno::EACCES))), "apparmor-confined"),
        (tried(profile(), Some(("mount", Errno::EPERM))), "seccomp-filter-active"),
        (tried(context(), Some(("mount", Errno::EACCES))), "selinux-confined"),
    ] {
        assert_eq!(seen(&facts), (Level::Fail, vec![cause]));
    }
}

#[test]
fn enforced_profile_that_allows_mounts_warns() {
    let mut facts = tried(Label::AppArmor("lxc-container-default".into(), true), None);
    facts.status.seccomp = Seccomp::Off;
    assert_eq!(seen(&facts), (Level::Warn, vec!["apparmor-denies-nested-profile"]));
}

/// Runs the check on a machine in memory.
fn checked(host: &Fake) -> anyhow::Result<Vec<Finding>> {
    crate::testing::check(&STEP, host)
}

const STATUS: &str = "CapEff:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\nNoNewPrivs:\t0\nSeccomp:\t0\n";

#[test]
fn unreadable_proc_is_an_error() {
    assert!(checked(&Fake::new()).is_err());
    let host = Fake::new().file("/proc/self/status", STATUS).fails(
        "read",
        "/proc/self/uid_map",
        Errno::EACCES,
        None,
    );
    assert!(checked(&host).is_err());
}

#[test]
fn calls_are_tried_only_with_a_filter_or_a_security_module() {
    let quiet = Fake::new().file("/proc/self/status", STATUS);
    assert_eq!(checked(&quiet).unwrap().len(), 1);
    let filtered = Fake::new().file("/proc/self/status", &STATUS.replace("Seccomp:\t0", "Seccomp:\t2"));
    let error = checked(&filtered).unwrap_err();
    assert!(format!("{error:#}").contains("ContainerCalls"), "{error:#}");
}

#[test]
fn filter_that_refuses_clone3_is_named() {
    let host = Fake::new().file("/proc/self/status", &STATUS.replace("Seccomp:\t0", "Seccomp:\t2")).fails(
        "try",
        "/",
        Errno::EPERM,
        None,
    );
    let findings = checked(&host).unwrap();
    assert_eq!(findings[0].cause.unwrap().as_str(), "seccomp-blocks-clone3");
}

/// The text of /proc/self/limits with this hard limit of open files.
fn open_files(hard: &str) -> String {
    format!(
        "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            64                   {hard}                files     \n"
    )
}

/// A container whose cgroups have these limits of processes and memory, on v2.
fn limited(pids: &str, memory: &str, swap: &str) -> Fake {
    let cgroup2 =
        crate::host::FsInfo { magic: 0x6367_7270, size: 0, free: 0, inodes: 0, inodes_free: 0, flags: 0 };
    Fake::new()
        .file(
            "/proc/self/mountinfo",
            "1 0 0:1 / / rw - overlay o rw\n2 1 0:2 / /sys/fs/cgroup rw - cgroup2 c rw\n",
        )
        .file("/proc/self/cgroup", "0::/\n")
        .link("/proc/self/ns/cgroup", "cgroup:[7]")
        .filesystem("/sys/fs/cgroup", cgroup2)
        .file("/sys/fs/cgroup/pids.max", pids)
        .file("/sys/fs/cgroup/memory.max", memory)
        .file("/sys/fs/cgroup/memory.swap.max", swap)
}

fn limits(host: &Fake) -> Vec<(Level, &'static str)> {
    crate::testing::problems(&super::limits::judge(host).unwrap())
}

#[test]
fn hard_limit_of_open_files_fails_below_64_and_warns_below_512() {
    let with = |hard: &str| limits(&Fake::new().file("/proc/self/limits", &open_files(hard)));
    assert_eq!(with("48"), [(Level::Fail, "open-files-limit-reached")]);
    assert_eq!(with("128"), [(Level::Warn, "open-files-limit-reached")]);
    assert_eq!((with("1024"), with("unlimited")), (vec![], vec![]));
}

#[test]
fn limits_of_the_cgroup_are_compared_with_what_docker_takes() {
    assert_eq!(limits(&limited("max", "max", "max")), []);
    assert_eq!(limits(&limited("40", "max", "max")), [(Level::Fail, "pids-limit-reached")]);
    assert_eq!(limits(&limited("100", "max", "max")), [(Level::Warn, "pids-limit-reached")]);
    assert_eq!(limits(&limited("200", "134217728", "0")), []);
    assert_eq!(limits(&limited("max", "33554432", "0")), [(Level::Fail, "memory-limit-low")]);
    assert_eq!(
        limits(&limited("max", "33554432", "max")),
        [(Level::Warn, "memory-limit-low")],
        "it may swap"
    );
    assert_eq!(limits(&limited("max", "50331648", "0")), [(Level::Warn, "memory-limit-low")]);
}

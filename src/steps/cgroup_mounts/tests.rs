//! Rare mount tables, and kernels that refuse mounts.

use nix::errno::Errno;

use super::{STEP, judge_v1, v2};
use crate::facts::cgroup::{CGROUP2_MAGIC, Cgroups, Mode};
use crate::finding::{Finding, Level};
use crate::host::FsInfo;
use crate::host::fake::Fake;
use crate::profile::Controllers;

const TMPFS_MAGIC: i64 = 0x0102_1994;
const OWN: &str = "/docker/abc";

fn fs(magic: i64) -> FsInfo {
    FsInfo { magic, size: 1 << 30, free: 1 << 30, inodes: 0, inodes_free: 0, flags: 0 }
}

/// An outer container's view, without the mount table.
fn machine(own: &str, mountinfo: &str, magic: i64) -> Fake {
    Fake::new()
        .file("/proc/self/cgroup", own)
        .file("/proc/self/mountinfo", mountinfo)
        .file(
            "/proc/cgroups",
            "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t1\t1\ndevices\t5\t1\t1\n",
        )
        .link("/proc/self/ns/cgroup", "cgroup:[4026531835]")
        .filesystem("/sys/fs/cgroup", fs(magic))
        .dir("/sys/fs/cgroup")
}

/// One mountinfo line of a v1 hierarchy.
fn mounted(root: &str, target: &str, options: &str, controllers: &str) -> String {
    format!(
        "5{} 40 0:30 {root} /sys/fs/cgroup/{target} {options} - cgroup cgroup rw,{controllers}\n",
        target.len()
    )
}

const TMPFS: &str = "40 20 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n";

fn wants() -> Controllers {
    Controllers { required: vec!["devices".into()], wanted: vec!["memory".into()] }
}

fn judged(own: &str, mountinfo: &str) -> Vec<Finding> {
    judge_v1(&Cgroups::read(&machine(own, mountinfo, TMPFS_MAGIC)).unwrap(), &wants())
}

fn causes(findings: &[Finding]) -> Vec<(Level, &'static str)> {
    findings.iter().filter_map(|f| Some((f.level, f.cause?.as_str()))).collect()
}

#[test]
fn healthy_container_with_co_mounted_controllers_passes() {
    let own = format!("4:memory:{OWN}\n5:cpuacct,cpu,devices:{OWN}\n");
    let table = format!(
        "{TMPFS}{}{}",
        mounted(OWN, "memory", "rw", "memory"),
        mounted(OWN, "devices", "rw", "cpu,cpuacct,devices")
    );
    let findings = judged(&own, &table);
    assert_eq!(findings[0].level, Level::Pass, "{findings:?}");
}

#[test]
fn controller_enabled_in_proc_cgroups_alone_is_missing() {
    let own = format!("5:devices:{OWN}\n");
    let findings = judged(&own, &format!("{TMPFS}{}", mounted(OWN, "devices", "rw", "devices")));
    assert_eq!(causes(&findings), [(Level::Warn, "cgroup-limit-controller-unavailable")]);
    assert!(findings[0].evidence.iter().any(|(_, value)| value == "hierarchy 0, enabled 1"), "{findings:?}");
}

#[test]
fn mount_of_the_hosts_root_is_named() {
    let own = format!("4:memory:{OWN}\n5:devices:{OWN}\n");
    let table = format!(
        "{TMPFS}{}{}",
        mounted("/", "memory", "rw", "memory"),
        mounted(OWN, "devices", "rw", "devices")
    );
    let findings = judged(&own, &table);
    assert_eq!(causes(&findings), [(Level::Warn, "cgroup-v1-foreign-root")]);
    assert!(findings[0].hint.as_ref().unwrap().contains("--cgroup-parent=/docker/abc"));
}

#[test]
fn read_only_mount_and_superblock_have_their_hints() {
    let own = format!("4:memory:{OWN}\n5:devices:{OWN}\n");
    let super_ro = format!("99 40 0:31 {OWN} /sys/fs/cgroup/memory rw - cgroup cgroup ro,memory\n");
    let findings =
        judged(&own, &format!("{TMPFS}{}{super_ro}", mounted(OWN, "devices", "ro,nosuid", "devices")));
    assert_eq!(causes(&findings), [(Level::Fail, "cgroup-mounted-read-only"); 2]);
    let hints: Vec<_> = findings.iter().map(|f| f.hint.clone().unwrap()).collect();
    assert!(
        hints[0].contains("whole file system") && hints[1].starts_with("`mount -o remount,bind,rw"),
        "{hints:?}"
    );
}

#[test]
fn noprefix_cpuset_and_missing_systemd_hierarchy_are_named() {
    let own = format!("3:cpuset:{OWN}\n4:memory:{OWN}\n5:devices:{OWN}\n9:name=systemd:{OWN}\n");
    let table = format!(
        "{TMPFS}{}{}{}",
        mounted(OWN, "cpuset", "rw", "cpuset,noprefix"),
        mounted(OWN, "memory", "rw", "memory"),
        mounted(OWN, "devices", "rw", "devices")
    );
    let expected =
        [(Level::Fail, "cpuset-mounted-noprefix"), (Level::Warn, "cgroup-v1-systemd-hierarchy-not-mounted")];
    assert_eq!(causes(&judged(&own, &table)), expected);
}

#[test]
fn hierarchy_that_the_outer_engine_does_not_manage_is_not_mounted() {
    let own = format!("4:memory:{OWN}\n5:devices:{OWN}\n7:perf_event:/\n");
    let fake = machine(&own, "20 1 254:0 / / rw - ext4 /dev/vda rw\n", TMPFS_MAGIC);
    let cgroups = Cgroups::read(&fake).unwrap();
    assert!(cgroups.is_unmanaged(cgroups.hierarchy_of("perf_event").unwrap()));
    assert!(!cgroups.is_unmanaged(cgroups.hierarchy_of("memory").unwrap()));
}

#[test]
fn read_only_v2_tree_and_missing_controllers_are_named() {
    let table = "40 20 0:28 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
    let fake =
        machine("0::/\n", table, CGROUP2_MAGIC).file("/sys/fs/cgroup/cgroup.controllers", "cpu pids\n");
    let cgroups = Cgroups::read(&fake).unwrap();
    assert_eq!(cgroups.mode, Mode::V2);
    let findings = v2::judge(&cgroups, &v2::offered(&fake, &cgroups).unwrap(), &wants());
    let expected = [(Level::Fail, "cgroup-mounted-read-only"), (Level::Warn, "cgroup-controllers-missing")];
    assert_eq!(causes(&findings), expected);
}

#[test]
fn read_only_bind_of_the_host_tree_is_covered_and_stays_read_only() {
    let table = "40 20 0:28 /../.. /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
    let fake = machine("0::/\n", table, CGROUP2_MAGIC).link("/proc/self/ns/cgroup", "cgroup:[4026532263]");
    assert!(Cgroups::read(&fake).unwrap().sees_host_tree());
    let (done, changes) = crate::testing::repair(&STEP, &fake);
    done.unwrap();
    let did: Vec<_> = changes.into_iter().map(|change| change.did).collect();
    assert_eq!(did, ["mounted cgroup2 on /sys/fs/cgroup"]);
}

#[test]
fn unreadable_mount_table_is_an_error() {
    let fake = machine("5:devices:/\n", TMPFS, TMPFS_MAGIC).fails(
        "read",
        "/proc/self/mountinfo",
        Errno::EACCES,
        None,
    );
    let error = Cgroups::read(&fake).unwrap_err();
    assert!(
        error.to_string().contains("/proc/self/mountinfo") && error.to_string().contains("EACCES"),
        "{error}"
    );
}

/// Runs the repair on a machine without cgroup mounts, where the memory mount fails with this errno.
fn repaired(errno: Option<Errno>) -> (anyhow::Result<()>, Vec<String>, Vec<String>) {
    let own = format!("4:memory:{OWN}\n5:cpu,cpuacct:{OWN}\n");
    let mut fake = machine(&own, "20 1 254:0 / / rw - ext4 /dev/vda rw\n", TMPFS_MAGIC);
    if let Some(errno) = errno {
        fake = fake.fails("mount", "/sys/fs/cgroup/memory", errno, Some(1));
    }
    let (done, changes) = crate::testing::repair(&STEP, &fake);
    let did = changes.into_iter().map(|change| change.did).collect();
    (done, did, fake.changes())
}

#[test]
fn each_hierarchy_is_bound_and_temporary_mounts_are_removed() {
    let (done, did, calls) = repaired(None);
    done.unwrap();
    assert!(
        did.contains(&"bound this container's own part of memory to /sys/fs/cgroup/memory".to_owned()),
        "{did:?}"
    );
    assert!(did.contains(&"linked /sys/fs/cgroup/cpuacct to cpu,cpuacct".to_owned()), "{did:?}");
    let bound =
        |c: &&String| c.starts_with("mount /sys/fs/cgroup/memory ") && c.contains("/docker/abc - 0x1000 ");
    assert_eq!(calls.iter().filter(bound).count(), 1, "{calls:?}");
    let side = |call: &&String| call.contains(".dindcheck-");
    assert_eq!(calls.iter().filter(side).filter(|c| c.starts_with("create_dir")).count(), 2);
    assert_eq!(calls.iter().filter(side).filter(|c| c.starts_with("remove_dir")).count(), 2);
    assert!(!did.iter().any(|line| line.contains(".dindcheck-")), "{did:?}");
}

#[test]
fn refused_mount_is_explained_and_everything_is_undone() {
    for (errno, word) in [
        (Errno::EBUSY, "grouping"),
        (Errno::EPERM, "--privileged"),
        (Errno::EROFS, "read-only"),
        (Errno::ENODEV, "no such"),
    ] {
        let (done, did, calls) = repaired(Some(errno));
        let error = format!("{:#}", done.unwrap_err());
        assert!(error.contains(word) && error.contains("the memory hierarchy"), "{error}");
        assert_eq!(did.len(), 2, "the tmpfs and the directory: {did:?}");
        assert_eq!(calls.last().unwrap(), "unmount /sys/fs/cgroup", "{calls:?}");
    }
}

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sys::stat::makedev;

use super::devices::NODES;
use super::*;
use crate::facts::daemon::tests::machine;
use crate::finding::Level;
use crate::host::fake::Fake;
use crate::host::{FileKind, FsInfo};
use crate::testing::{check, problems, repair};

const TABLE: &str = "\
1 0 0:1 / / rw,relatime - overlay overlay rw
2 1 0:2 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
3 1 0:3 / /dev rw,nosuid - tmpfs tmpfs rw
4 3 0:4 / /dev/pts rw,nosuid,noexec,relatime - devpts devpts rw
5 1 0:5 / /sys rw,nosuid,nodev,noexec,relatime - sysfs sysfs rw
6 3 0:6 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw
";

/// A file system with space.
const ROOMY: FsInfo =
    FsInfo { magic: 0xef53, size: 1 << 30, free: 1 << 29, inodes: 1 << 16, inodes_free: 1 << 15, flags: 0 };

/// A device node with its number.
fn with_node(host: Fake, node: &devices::Node) -> Fake {
    host.node(node.path, FileKind::Char)
        .stat_of(node.path, |stat| stat.rdev = makedev(node.major.into(), node.minor.into()))
}

/// A privileged outer container, with these lines at the end of its mount table, and without these nodes.
fn world(version: &str, lines: &str, without: &[&str]) -> Fake {
    let mut host = machine(version)
        .file("/proc/self/mountinfo", &format!("{TABLE}{lines}"))
        .file("/proc/self/uid_map", "0 0 4294967295\n")
        .file("/proc/sys/net/ipv4/ip_forward", "0\n")
        .dir("/dev/pts")
        .dir("/dev/shm")
        .dir("/tmp")
        .filesystem("/", ROOMY);
    for node in NODES.iter().filter(|node| !without.contains(&node.path)) {
        host = with_node(host, node);
    }
    host
}

fn seen(host: &Fake) -> Vec<(Level, &'static str)> {
    problems(&check(&STEP, host).unwrap())
}

const READ_ONLY_PROC_SYS: &str = "7 2 0:2 /sys /proc/sys ro,nosuid,nodev,noexec,relatime - proc proc rw\n";

#[test]
fn privileged_container_passes() {
    for version in ["20.10.24", "26.1.5", "28.5.2", "29.0.0"] {
        assert_eq!(seen(&world(version, "", &[])), []);
    }
}

#[test]
fn unreadable_mount_table_is_an_error() {
    assert!(check(&STEP, &machine("26.1.5")).is_err());
    let host = world("26.1.5", "", &[]).fails("stat", "/dev/null", Errno::EACCES, None);
    assert!(check(&STEP, &host).is_err());
}

#[test]
fn read_only_proc_sys_fails() {
    let fails = [(Level::Fail, "proc-sys-read-only")];
    assert_eq!(seen(&world("28.5.2", READ_ONLY_PROC_SYS, &[])), fails);
    let whole = "7 1 0:2 / /proc ro,nosuid,nodev,noexec,relatime - proc proc rw\n";
    let host = world("28.5.2", "", &[]).file("/proc/self/mountinfo", &TABLE.replace("/proc rw", "/proc ro"));
    assert_eq!(seen(&host), fails, "{whole}");
}

#[test]
fn read_only_proc_sys_warns_for_an_old_engine_with_forwarding_on() {
    let level = |version| {
        let host = world(version, READ_ONLY_PROC_SYS, &[]).file("/proc/sys/net/ipv4/ip_forward", "1\n");
        seen(&host)[0].0
    };
    assert_eq!([level("20.10.24"), level("26.1.5")], [Level::Warn, Level::Fail]);
    assert_eq!(seen(&world("20.10.24", READ_ONLY_PROC_SYS, &[]))[0].0, Level::Fail);
}

#[test]
fn repair_makes_proc_sys_writable() {
    let host = world("28.5.2", READ_ONLY_PROC_SYS, &[]);
    let (end, changes) = repair(&STEP, &host);
    assert!(end.is_ok());
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].undo.to_string(), "mount -o remount,bind,ro /proc/sys");
    let kept = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RELATIME;
    let flags = (MsFlags::MS_REMOUNT | MsFlags::MS_BIND | kept).bits();
    assert_eq!(host.changes(), [format!("mount /proc/sys - - {flags:#x} -")]);
}

#[test]
fn refused_remount_fails_the_repair() {
    let host = world("28.5.2", READ_ONLY_PROC_SYS, &[]).fails("mount", "/proc/sys", Errno::EPERM, None);
    let (end, changes) = repair(&STEP, &host);
    assert!(format!("{:#}", end.unwrap_err()).contains("EPERM"));
    assert!(changes.is_empty());
}

const MASKS: &str = "8 2 0:3 /null /proc/keys rw,nosuid - tmpfs tmpfs rw\n9 2 0:9 / /proc/acpi ro - tmpfs tmpfs ro\n\
    10 2 0:2 /bus /proc/bus ro - proc proc rw\n11 2 0:11 / /proc/cpuinfo rw - fuse.lxcfs lxcfs rw\n";

#[test]
fn masked_parts_of_proc_fail_in_a_user_namespace() {
    let host = world("26.1.5", MASKS, &[]);
    assert_eq!(seen(&host), [(Level::Warn, "proc-masked")]);
    let findings = check(&STEP, &host).unwrap();
    let covered = &findings.iter().find(|f| f.level == Level::Warn).unwrap().evidence[0].1;
    assert_eq!(covered, "/proc/keys, /proc/acpi, /proc/bus");
    let mapped = world("26.1.5", MASKS, &[]).file("/proc/self/uid_map", "0 100000 65536\n");
    assert_eq!(seen(&mapped), [(Level::Fail, "masked-proc-blocks-proc-mount")]);
}

#[test]
fn read_only_sys_warns() {
    let host = world("26.1.5", "", &[]).file("/proc/self/mountinfo", &TABLE.replace("/sys rw", "/sys ro"));
    assert_eq!(seen(&host), [(Level::Warn, "sys-read-only")]);
}

/// A kernel with `AppArmor` on.
fn with_apparmor(lines: &str) -> Fake {
    world("26.1.5", lines, &["/dev/null"]).file(APPARMOR, "Y\n").dir(SECURITYFS)
}

#[test]
fn missing_securityfs_warns_only_with_apparmor() {
    let missed = (Level::Warn, "securityfs-not-mounted");
    assert!(seen(&with_apparmor("")).contains(&missed));
    let mounted = "7 5 0:7 / /sys/kernel/security rw - securityfs none rw\n";
    assert!(!seen(&with_apparmor(mounted)).contains(&missed));
    assert!(!seen(&with_apparmor("").file(APPARMOR, "N\n")).contains(&missed));
}

#[test]
fn repair_mounts_securityfs_only_with_apparmor_parser() {
    let mounted = |host: &Fake| host.changes().iter().any(|change| change.contains("securityfs"));
    let host = with_apparmor("");
    repair(&STEP, &host).0.unwrap();
    assert!(!mounted(&host));
    let host = with_apparmor("").program("/usr/bin/apparmor_parser --version", 0, "");
    repair(&STEP, &host).0.unwrap();
    assert!(mounted(&host));
}

#[test]
fn missing_dev_null_fails_and_other_nodes_warn() {
    assert_eq!(seen(&world("26.1.5", "", &["/dev/null"])), [(Level::Fail, "dev-node-missing")]);
    for node in &NODES[1..] {
        assert_eq!(seen(&world("26.1.5", "", &[node.path])), [(Level::Warn, "dev-node-missing")]);
    }
    let file = world("26.1.5", "", &["/dev/null"]).file("/dev/null", "");
    assert_eq!(seen(&file), [(Level::Warn, "dev-node-missing")]);
}

#[test]
fn missing_dev_fuse_warns_only_if_the_kernel_has_fuse() {
    let host = |text| world("26.1.5", "", &[]).file("/proc/filesystems", text);
    assert_eq!(seen(&host("nodev\tfuse\n\tfuseblk\n")), [(Level::Warn, "dev-node-missing")]);
    assert_eq!(seen(&host("\tfuseblk\n")), []);
}

#[test]
fn repair_creates_missing_nodes() {
    let host = world("26.1.5", "", &["/dev/null", "/dev/tty"]);
    let (end, changes) = repair(&STEP, &host);
    assert!(end.is_ok());
    assert_eq!(host.changes(), ["mknod /dev/null 666 1:3", "mknod /dev/tty 666 5:0"]);
    assert_eq!(changes[0].undo.to_string(), "rm /dev/null");
}

#[test]
fn repair_removes_nodev_from_dev() {
    let host = world("26.1.5", "", &[])
        .file("/proc/self/mountinfo", &TABLE.replace("/dev rw,nosuid", "/dev rw,nosuid,nodev"));
    assert_eq!(seen(&host), [(Level::Fail, "dev-node-missing")]);
    let (end, changes) = repair(&STEP, &host);
    assert!(end.is_ok());
    let flags = (MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_NOSUID).bits();
    assert_eq!(host.changes(), [format!("mount /dev - - {flags:#x} -")]);
    assert_eq!(changes[0].undo.to_string(), "mount -o remount,bind,nodev /dev");
}

#[test]
fn read_only_run_or_tmp_fails() {
    let run = "7 1 0:7 / /run ro - tmpfs tmpfs rw\n";
    assert_eq!(seen(&world("26.1.5", run, &[])), [(Level::Fail, "tmp-not-writable")]);
    let tmp = "7 1 0:7 / /tmp rw - tmpfs tmpfs ro\n";
    assert_eq!(seen(&world("26.1.5", tmp, &[])), [(Level::Fail, "tmp-not-writable")]);
    let elsewhere = world("26.1.5", tmp, &[]).variable("XDG_RUNTIME_DIR", "/run/user/0").dir("/run/user/0");
    assert_eq!(seen(&elsewhere), [(Level::Warn, "tmp-not-writable")]);
    assert_eq!(seen(&world("29.0.0", tmp, &[])), [(Level::Fail, "tmp-not-writable")]);
}

/// A world whose /tmp is on a file system with this much left.
fn left(free: u64, inodes_free: u64) -> Fake {
    world("28.5.2", "", &[]).filesystem("/tmp", FsInfo { free, inodes_free, ..ROOMY })
}

#[test]
fn full_tmp_fails_and_a_page_or_an_uncounted_inode_is_enough() {
    assert_eq!(seen(&left(0, 9)), [(Level::Fail, "disk-full")]);
    assert_eq!(seen(&left(1 << 20, 0)), [(Level::Fail, "disk-full")]);
    assert_eq!(seen(&left(4096, 9)), []);
    let uncounted = FsInfo { inodes: 0, inodes_free: 0, ..ROOMY };
    assert_eq!(seen(&world("28.5.2", "", &[]).filesystem("/tmp", uncounted)), []);
}

#[test]
fn variable_that_names_no_directory_fails_with_its_name() {
    let with = |name: &str, value: &str| world("28.5.2", "", &[]).variable(name, value);
    for (name, value) in [("TMPDIR", "/nope"), ("TMPDIR", "tmp"), ("XDG_RUNTIME_DIR", "/nope")] {
        let found = check(&STEP, &with(name, value)).unwrap();
        assert_eq!(problems(&found), [(Level::Fail, "tmp-not-writable")], "{name}={value}");
        assert!(found.iter().any(|finding| finding.what.contains(&format!("{value} ({name})"))), "{found:?}");
    }
    let good = with("TMPDIR", "/nope").variable("XDG_RUNTIME_DIR", "/run").dir("/run");
    assert_eq!(seen(&good), [], "XDG_RUNTIME_DIR comes first");
    assert_eq!(seen(&with("TMPDIR", "")), []);
}

#[test]
fn a_containerd_of_its_own_has_its_own_variables() {
    let host = world("28.5.2", "", &[]).variable("TMPDIR", "/nope");
    assert_eq!(
        seen(&host.node("/run/containerd/containerd.sock", FileKind::Socket)),
        [(Level::Warn, "tmp-not-writable")]
    );
}

#[test]
fn dockers_own_directory_is_made_where_it_can_be() {
    let with = |value: &str| world("28.5.2", "", &[]).variable("DOCKER_TMPDIR", value);
    assert_eq!(seen(&with("/a/b/c")), []);
    assert_eq!(seen(&with("/f").file("/f", "")), [(Level::Fail, "tmp-not-writable")]);
    let found = check(&STEP, &with("/l").link("/l", "/none")).unwrap();
    assert_eq!(problems(&found), [(Level::Fail, "tmp-not-writable")]);
    assert_eq!(found[0].hint.as_deref(), Some("`mkdir -p /none; chmod 1777 /l`"));
}

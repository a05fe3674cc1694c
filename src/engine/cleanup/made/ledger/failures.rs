//! Every operation of the account fails once: nothing that was there is touched, and what is not gone is named.

use super::tests::{Run, TABLE, machine, start};
use super::*;
use crate::host::fake::Fake;

const MULTI: &str = "/usr/sbin/xtables-nft-multi";
const SAVE: &str = "/usr/sbin/xtables-nft-multi iptables-save";
const RESTORE: &str =
    "/usr/sbin/xtables-nft-multi iptables-restore --noflush /run/dindcheck/cafe0123/ip.rules";
const THEIR_RULES: &str = "*filter\n:FORWARD ACCEPT [0:0]\n:MINE - [0:0]\n-A FORWARD -j MINE\nCOMMIT\n";
const ALL_RULES: &str = "*filter\n:FORWARD ACCEPT [0:0]\n:DOCKER - [0:0]\n:MINE - [0:0]\n-A FORWARD -o docker0 -j DOCKER\n\
    -A FORWARD -j MINE\nCOMMIT\n";
const CGROUPS: &str = "24 20 0:25 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";

/// A machine with something of somebody else's of every kind.
fn theirs() -> Fake {
    let host = machine()
        .link("/usr/sbin/iptables", MULTI)
        .program(SAVE, 0, THEIR_RULES)
        .file("/proc/self/mountinfo", &format!("{TABLE}{CGROUPS}"))
        .file("/proc/sys/net/ipv4/ip_forward", "0\n")
        .dir("/sys/fs/cgroup/pids/theirs")
        .file("/run/docker/theirs", "")
        .file("/run/containerd/theirs", "");
    link(&host, "eth0", 2);
    host
}

fn link(host: &Fake, name: &str, index: u32) {
    host.set(&format!("/sys/class/net/{name}/ifindex"), &format!("{index}\n"));
    host.set(&format!("/sys/class/net/{name}/address"), &format!("02:42:00:00:00:{index:02x}\n"));
}

/// The same with what a dockerd makes of every kind.
fn with_daemon(host: Fake) -> Fake {
    start(&host);
    let nsfs = "23 20 0:4 net:[1] /run/docker/netns/x rw - nsfs nsfs rw\n";
    host.set("/proc/self/mountinfo", &format!("{TABLE}{CGROUPS}{nsfs}"));
    host.set("/proc/sys/net/ipv4/ip_forward", "1\n");
    host.set("/sys/fs/cgroup/pids/docker/tasks", "");
    link(&host, "docker0", 3);
    let moved = host.program(SAVE, 0, ALL_RULES);
    moved.program(RESTORE, 0, "")
}

/// What the dockerd made: how its removal is logged, and a word by which a leftover names it.
const MADE: &[(&str, &[&str])] = &[
    ("unmount /run/docker/netns/x", &["/run/docker/netns/x", "mounts"]),
    ("remove_dir /sys/fs/cgroup/pids/docker", &["cgroup"]),
    ("delete_link docker0 3", &["docker0", "interfaces"]),
    ("write /proc/sys/net/ipv4/ip_forward 0", &["ip_forward", "kernel parameters"]),
    ("remove_file /run/docker.pid", &["/run/docker.pid", "files"]),
    ("remove_file /etc/docker/key.json", &["/etc/docker/key.json", "files"]),
    ("iptables-restore", &["firewall rules"]),
];

/// Every change of the machine that a removal may make.
fn is_expected(change: &str) -> bool {
    let allowed = MADE.iter().any(|(removal, _)| change.contains(removal));
    let files = [
        "remove_file /run/docker/containerd/",
        "remove_dir /run/docker/containerd",
        "remove_dir /run/docker",
    ];
    // The rules that a program reads, in a directory of the run.
    allowed || files.iter().any(|start| change.starts_with(start)) || change.contains("/run/dindcheck/")
}

/// One life of an account, in which the operation of this number fails; whether there was one.
fn life(own: bool, number: usize) -> bool {
    let host = theirs();
    host.fail_at(number);
    let mut run = Run::new(&host);
    run.own = own;
    let host = with_daemon(host);
    let done = run.record(&host).remove(&host);
    let failed = host.failed();
    host.fail_at(usize::MAX);
    let what = format!("own {own}, operation {number}: {failed:?}");
    for change in host.changes() {
        assert!(is_expected(&change), "{what}: {change}");
    }
    for (removal, names) in MADE {
        let is_gone = host.changes().iter().any(|change| change.contains(removal));
        let is_named = done.left.iter().any(|left| names.iter().any(|name| left.contains(name)));
        assert!(is_gone || is_named, "{what}: {removal}\n{done:#?}\n{:#?}", host.changes());
    }
    for path in
        ["/run/docker/theirs", "/run/containerd/theirs", "/sys/fs/cgroup/pids/theirs", "/sys/class/net/eth0"]
    {
        assert!(host.exists(Path::new(path)).unwrap(), "{what}: {path}");
    }
    failed.is_some()
}

#[test]
fn every_operation_may_fail_once() {
    for own in [true, false] {
        let count = (0..10_000).take_while(|number| life(own, *number)).count();
        assert!((60..10_000).contains(&count), "{count} operations");
    }
}

use nix::errno::Errno;

use super::*;
use crate::engine::cleanup::place::tests::machine as place;
use crate::facts::daemon::Layout;
use crate::host::fake::Fake;

pub(super) const TABLE: &str =
    "20 1 254:0 / / rw - ext4 /dev/vda rw\n21 20 254:0 /v /var/lib/docker rw - ext4 /dev/vda rw\n";

/// A machine without a daemon, whose data root is a volume.
pub(super) fn machine() -> Fake {
    place()
        .variable("PATH", "/usr/sbin")
        .file("/proc/self/mountinfo", TABLE)
        .dir("/sys/class/net/eth0")
        .dir("/run")
        .link("/var/run", "/run")
        .file("/etc/docker/daemon.json", "{}")
}

/// What a dockerd makes.
pub(super) fn start(host: &Fake) {
    host.set("/run/docker.pid", "7");
    host.set("/run/docker/containerd/containerd.toml", "");
    host.set("/etc/docker/key.json", "");
    host.set(
        "/proc/self/mountinfo",
        &format!("{TABLE}23 20 0:4 net:[1] /run/docker/netns/x rw - nsfs nsfs rw\n"),
    );
}

pub(super) struct Run {
    layout: Layout,
    containers: BTreeSet<String>,
    containerds: BTreeSet<i32>,
    ledger: Ledger,
    others: Others,
    pub(super) own: bool,
    spare_etc: bool,
}

impl Run {
    pub(super) fn new(host: &Fake) -> Self {
        let (layout, ledger) = (Layout::read(host, &[]), Ledger::default());
        let (containers, containerds) = (BTreeSet::new(), BTreeSet::new());
        let others = Others::default();
        let run = Self { layout, containers, containerds, ledger, others, own: false, spare_etc: false };
        let ledger = Ledger::open(host, &run.scope());
        Self { ledger, ..run }
    }

    fn scope(&self) -> Scope<'_> {
        let (containers, containerds) = (&self.containers, &self.containerds);
        Scope { layout: &self.layout, run: "cafe0123", containers, containerds }
    }

    pub(super) fn record(mut self, host: &Fake) -> Self {
        let mut ledger = std::mem::take(&mut self.ledger);
        ledger.record(host, &self.scope(), &KINDS, &self.others);
        Self { ledger, ..self }
    }

    pub(super) fn remove(&self, host: &Fake) -> Removal {
        let here = Place::here(host).ok();
        let standing = Standing {
            then: here.as_ref(),
            here: here.as_ref(),
            others: &self.others,
            own: self.own,
            spare_etc: self.spare_etc,
        };
        self.ledger.remove(host, host, &self.scope(), &standing, Path::new("/run/dindcheck/cafe0123"))
    }
}

fn exists(host: &Fake, path: &str) -> bool {
    host.exists(Path::new(path)).unwrap()
}

#[test]
fn of_the_stacks_of_containerds_those_of_the_run_go_and_new_ones_are_named() {
    for own in [true, false] {
        let host = machine().file("/tmp/containerd.1.stacks.log", "");
        let run = Run { own, containerds: [1, 3].into(), ..Run::new(&host) };
        start(&host);
        host.set("/tmp/containerd.2.stacks.log", "");
        host.set("/tmp/containerd.3.stacks.log", "");
        let done = run.record(&host).remove(&host);
        assert!(!exists(&host, "/tmp/containerd.3.stacks.log"), "{done:?}");
        assert!(
            exists(&host, "/tmp/containerd.1.stacks.log") && exists(&host, "/tmp/containerd.2.stacks.log")
        );
        let named: Vec<_> = done.left.iter().filter(|left| left.contains("stacks.log")).collect();
        if own {
            assert!(named.is_empty(), "{done:?}");
        } else {
            assert!(named.len() == 1 && named[0].contains("`rm /tmp/containerd.2.stacks.log`"), "{done:?}");
        }
    }
}

#[test]
fn what_was_seen_while_the_daemon_ran_is_removed_and_the_users_volume_stays() {
    let host = machine();
    let run = Run::new(&host);
    start(&host);
    let done = run.record(&host).remove(&host);
    assert_eq!(done.left, Vec::<String>::new());
    assert_eq!(
        done.removed,
        ["mount on /run/docker/netns/x", "/etc/docker/key.json", "/run/docker", "/run/docker.pid"]
    );
    assert!(exists(&host, "/etc/docker/daemon.json"));
}

#[test]
fn the_file_under_a_mount_of_the_run_is_removed_with_it() {
    let host = machine();
    let run = Run::new(&host);
    start(&host);
    let run = run.record(&host);
    host.set("/proc/self/mountinfo", TABLE);
    host.set("/run/docker/netns/x", "");
    let done = run.remove(&host);
    assert!(!exists(&host, "/run/docker/netns/x"), "{done:?}");
}

#[test]
fn what_is_new_and_was_not_seen_stays_and_is_listed_with_its_command() {
    let host = machine();
    let run = Run::new(&host);
    start(&host);
    let done = run.remove(&host);
    assert_eq!((done.removed.as_slice(), host.changes().as_slice()), ([].as_slice(), [].as_slice()));
    for command in ["`umount /run/docker/netns/x`", "`rm /run/docker.pid`", "`rm -r /run/docker`"] {
        assert!(done.left.iter().any(|left| left.contains(command)), "{command}: {done:?}");
    }
    assert!(
        Run { own: true, ..run }.remove(&host).left.is_empty(),
        "the run itself knows that its daemon made it"
    );
}

#[test]
fn with_another_daemon_nothing_is_removed() {
    let host = machine();
    let run = Run::new(&host);
    start(&host);
    let other = Some("dockerd, process 9".to_owned());
    let run = Run { others: Others { directories: other.clone(), network: other }, ..run.record(&host) };
    let done = run.remove(&host);
    assert!(host.changes().is_empty() && done.removed.is_empty());
    assert!(done.left.iter().all(|left| left.contains("process 9")) && done.left.len() == 4, "{done:?}");
    host.set("/run/docker/libnetwork/theirs.sock", "");
    let both =
        run.remove(&host).left.into_iter().find(|left| left.contains("/run/docker/libnetwork")).unwrap();
    assert!(both.contains("or by dockerd, process 9") && !both.contains('`'), "{both}");
}

#[test]
fn what_another_daemon_may_have_made_is_not_recorded() {
    let host = machine();
    let run = Run::new(&host);
    start(&host);
    let other = Some("dockerd, process 9".to_owned());
    let run = Run { others: Others { directories: other, network: None }, ..run }.record(&host);
    let done = Run { others: Others::default(), ..run }.remove(&host);
    assert!(done.removed.is_empty() && !done.left.is_empty(), "{done:?}");
}

#[test]
fn a_failed_look_at_the_start_or_now_removes_nothing_of_that_kind() {
    let host = machine().fails("read", "/proc/self/mountinfo", Errno::EIO, Some(2));
    let run = Run { own: true, ..Run::new(&host) };
    start(&host);
    let done = run.record(&host).remove(&host);
    assert!(done.left.iter().any(|left| left.contains("mounts") && left.contains("EIO")), "{done:?}");
    assert!(!host.changes().iter().any(|change| change.starts_with("unmount")));
}

#[test]
fn a_thing_that_was_made_again_is_another_one() {
    let host = machine();
    let run = Run::new(&host);
    start(&host);
    let run = run.record(&host);
    let host = host.stat_of("/run/docker.pid", |stat| stat.ino += 77);
    let done = run.remove(&host);
    assert!(exists(&host, "/run/docker.pid"));
    assert!(done.left.iter().any(|left| left.contains("`rm /run/docker.pid`")), "{done:?}");
}

#[test]
fn a_directory_that_an_overlay_copied_up_is_no_new_one() {
    let host = machine();
    let run = Run { own: true, ..Run::new(&host) };
    start(&host);
    let host = host.stat_of("/etc/docker", |stat| stat.ino += 1);
    let done = run.remove(&host);
    assert!(exists(&host, "/etc/docker") && !exists(&host, "/etc/docker/key.json"), "{done:?}");
    assert_eq!(done.left, Vec::<String>::new());
}

#[test]
fn an_entrypoint_removes_nothing_below_etc() {
    let host = machine();
    let run = Run::new(&host);
    start(&host);
    let done = Run { spare_etc: true, ..run.record(&host) }.remove(&host);
    assert!(exists(&host, "/etc/docker/key.json") && !exists(&host, "/run/docker.pid"));
    assert!(done.left.iter().any(|left| left.contains("`rm /etc/docker/key.json`")), "{done:?}");
}

#[test]
fn after_a_restart_of_the_container_only_files_are_the_same() {
    let host = machine();
    let run = Run::new(&host);
    start(&host);
    let run = run.record(&host);
    let then = Place::here(&host).ok();
    host.set("/proc/1/stat", "1 (init) S 0 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 99 0 0");
    let here = Place::here(&host).ok();
    let standing = Standing {
        then: then.as_ref(),
        here: here.as_ref(),
        others: &run.others,
        own: false,
        spare_etc: false,
    };
    let done = run.ledger.remove(&host, &host, &run.scope(), &standing, Path::new("/"));
    assert!(!exists(&host, "/run/docker.pid"));
    assert!(!done.removed.iter().any(|what| what.contains("mount")), "{done:?}");
}

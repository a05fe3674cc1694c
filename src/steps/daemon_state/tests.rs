use nix::errno::Errno;

use super::STEP;
use crate::facts::daemon::tests::machine;
use crate::finding::{Finding, Level};
use crate::host::FileKind;
use crate::host::fake::Fake;
use crate::testing::{check, check_attached, check_with, problems, repair};

const SOCKET: &str = "/run/docker.sock";

/// A machine without any daemon; /var/run is a link, as in Debian.
fn world() -> Fake {
    machine("28.5.2")
        .link("/var/run", "/run")
        .dir("/run")
        .dir("/var/lib/docker")
        .file("/proc/stat", "btime 1000\n")
        .file("/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/vda rw\n")
}

/// With a process that started 500 s after the boot at 1000 s.
fn process(host: Fake, pid: i32, name: &str, state: char) -> Fake {
    let stat = format!("{pid} ({name}) {state} 1 7 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 50000 0 0\n");
    host.file(&format!("/proc/{pid}/comm"), &format!("{name}\n")).file(&format!("/proc/{pid}/stat"), &stat)
}

/// With a pid file that was written at this time.
fn pidfile(host: Fake, path: &str, text: &str, written: i64) -> Fake {
    host.file(path, text).stat_of(path, |stat| stat.mtime = written * 1_000_000_000)
}

fn found(host: &Fake) -> Vec<(Level, &'static str)> {
    problems(&check(&STEP, host).unwrap())
}

fn fail(cause: &'static str) -> Vec<(Level, &'static str)> {
    vec![(Level::Fail, cause)]
}

fn first_hint(findings: &[Finding]) -> &str {
    findings.iter().find(|finding| finding.level == Level::Fail).unwrap().hint.as_deref().unwrap()
}

#[test]
fn machine_without_daemons_gives_one_finding() {
    assert_eq!(check(&STEP, &world()).unwrap().len(), 1);
}

#[test]
fn another_dindcheck_with_a_daemon_here_is_the_finding_and_its_pid_file_stays() {
    let layout = crate::facts::daemon::Layout::read(&world(), &[]);
    let record = crate::engine::cleanup::record::Record::new(None, None, layout);
    let record = serde_json::to_string(&record).unwrap();
    let host = pidfile(process(world(), 7, "sleep", 'S'), "/run/docker.pid", "7", 1200)
        .file("/run/dindcheck/beef0123/state.json", &record);
    assert_eq!(found(&host), fail("stale-docker-pid-file"), "a run that ended");
    let host = host.locked("/run/dindcheck/beef0123");
    assert_eq!(found(&host), fail("daemon-already-running"));
    assert!(check(&STEP, &host).unwrap()[0].what.contains("another dindcheck (run beef0123)"));
    assert_eq!(repair(&STEP, &host).1, []);
}

#[test]
fn pid_file_counts_by_the_process_it_names() {
    let docker = |pid: &str, name: &str, state| {
        found(&pidfile(process(world(), 7, name, state), "/run/docker.pid", pid, 1200))
    };
    assert_eq!(docker("7", "sleep", 'S'), fail("stale-docker-pid-file"));
    assert_eq!(docker("7", "dockerd", 'S'), fail("daemon-already-running"));
    assert_eq!(docker("7", "dockerd", 'Z'), fail("stale-docker-pid-file"));
    assert_eq!(docker("8", "sleep", 'S'), []);
    assert_eq!(docker("junk", "sleep", 'S'), []);
}

#[test]
fn pid_file_of_containerd_fails() {
    let path = "/run/docker/containerd/containerd.pid";
    let named = |name| pidfile(process(world(), 7, name, 'S'), path, "7", 1200);
    assert_eq!(found(&named("sleep")), fail("stale-containerd-pid-file"));
    assert_eq!(found(&named("containerd")), fail("stale-containerd-pid-file"));
    let lives = named("containerd").node("/run/docker/containerd/containerd.sock", FileKind::Socket);
    assert_eq!(found(&lives), []);
    let junk = |version| {
        let host = machine(version).link("/var/run", "/run").dir("/var/lib/docker").file(path, "7\n?");
        found(&host.file("/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/vda rw\n"))
    };
    assert_eq!((junk("20.10.24"), junk("28.5.2")), (fail("stale-containerd-pid-file"), vec![]));
}

#[test]
fn repair_removes_only_provably_stale_files() {
    let removed = |host: &Fake| {
        let (end, changes) = repair(&STEP, host);
        end.unwrap();
        changes.into_iter().map(|change| (change.did, change.undo.to_string())).collect::<Vec<_>>()
    };
    let stale = |written| pidfile(process(world(), 7, "sleep", 'S'), "/run/docker.pid", "7", written);
    let undo = ("removed /var/run/docker.pid".to_owned(), "printf %s 7 > /var/run/docker.pid".to_owned());
    let host = stale(1200);
    assert_eq!(removed(&host), [undo]);
    assert_eq!(found(&host), [], "the same check holds afterwards");
    assert_eq!(removed(&stale(9000)), [], "older than the file: it may come from another pid namespace");
    let daemon = pidfile(process(world(), 7, "dockerd", 'S'), "/run/docker.pid", "7", 1200);
    assert_eq!(removed(&daemon), []);
    assert_eq!(removed(&stale(1200).node(SOCKET, FileKind::Socket)), [], "a daemon answers");
}

#[test]
fn repair_leaves_the_pid_file_of_whatever_may_be_a_daemon() {
    let named = |written| pidfile(process(world(), 7, "engine", 'S'), "/run/docker.pid", "7", written);
    let kept = |host: Fake| {
        let (end, changes) = repair(&STEP, &host);
        end.unwrap();
        assert!(changes.is_empty(), "{changes:?}");
        check(&STEP, &host).unwrap()
    };
    for written in [1495, 1500, 1505] {
        let found = kept(named(written));
        assert_eq!(problems(&found), fail("stale-docker-pid-file"));
        assert!(first_hint(&found).contains("if it is the daemon"), "{found:?}");
    }
    kept(named(1200).locked("/var/lib/docker/volumes/metadata.db"));
    let mounts = "1 0 8:1 / / rw - ext4 /dev/vda rw\n2 1 0:9 / /run rw - tmpfs tmpfs rw\n";
    kept(named(1200).file("/proc/self/mountinfo", mounts));
    let shared = pidfile(process(world(), 7, "engine", 'Z'), "/run/docker.pid", "7", 1200);
    kept(shared.file("/proc/self/mountinfo", mounts));
    kept(named(1200).file("/proc/self/mountinfo", "1 0 0:9 / / rw - nfs server:/root rw\n"));
}

#[test]
fn repair_that_cannot_see_whether_a_daemon_runs_removes_nothing() {
    let stale = || pidfile(process(world(), 7, "sleep", 'S'), "/run/docker.pid", "7", 1200);
    let database = "/var/lib/docker/volumes/metadata.db";
    let blind = [
        stale().file(database, "").fails("lock", database, Errno::EACCES, None),
        stale().fails("read", "/proc/self/mountinfo", Errno::EIO, None),
        stale().fails("stat", "/var/run/docker.pid", Errno::EIO, None),
    ];
    for host in blind {
        let (end, changes) = repair(&STEP, &host);
        assert!(end.is_err() && changes.is_empty(), "{changes:?}");
    }
}

#[test]
fn refused_removal_fails_the_repair() {
    let host = pidfile(process(world(), 7, "sleep", 'S'), "/run/docker.pid", "7", 1200);
    let host = host.fails("remove_file", "/var/run/docker.pid", Errno::EROFS, None);
    assert!(repair(&STEP, &host).0.is_err());
}

#[test]
fn socket_counts_by_who_answers() {
    let bound =
        "1 0 8:1 / / rw - ext4 /dev/vda rw\n2 1 0:9 /docker.sock /run/docker.sock rw - tmpfs tmpfs rw\n";
    let answers = || world().node(SOCKET, FileKind::Socket);
    let refuses = |host: Fake| host.fails("connect to", SOCKET, Errno::ECONNREFUSED, None);
    assert_eq!(found(&answers()), fail("daemon-already-running"));
    assert_eq!(found(&refuses(answers())), []);
    let outer = answers().file("/proc/self/mountinfo", bound);
    assert_eq!(found(&outer), fail("docker-socket-is-the-outer-daemons"));
    assert!(first_hint(&check(&STEP, &outer).unwrap()).contains("without -v /var/run/docker.sock"));
    assert_eq!(found(&refuses(outer)), fail("docker-socket-path-bind-mounted"));
    assert_eq!(found(&world().dir(SOCKET)), fail("docker-socket-is-a-directory"));
    let denied = answers().fails("connect to", SOCKET, Errno::EACCES, None);
    assert!(check(&STEP, &denied).is_err());
}

#[test]
fn running_daemon_is_reported_once() {
    let host = pidfile(process(world(), 7, "dockerd", 'S'), "/run/docker.pid", "7", 1600);
    let found = check(&STEP, &host.node(SOCKET, FileKind::Socket)).unwrap();
    assert_eq!(problems(&found), fail("daemon-already-running"));
    assert!(found[0].what.contains("as process 7, and answers at /var/run/docker.sock"), "{found:?}");
}

#[test]
fn external_containerd_must_answer() {
    let socket = "/run/containerd/containerd.sock";
    let host = || world().node(socket, FileKind::Socket);
    assert_eq!(found(&host()), []);
    let dead = host().fails("connect to", socket, Errno::ECONNREFUSED, None);
    assert_eq!(found(&dead), fail("containerd-socket-not-answering"));
    let named = check_with(&STEP, &world(), &["--containerd=/x.sock"]).unwrap();
    assert_eq!(problems(&named), fail("containerd-socket-not-answering"));
}

#[test]
fn ports_and_databases_in_use_are_named() {
    let table = "sl\n 0: 00000000:0947 00000000:0000 0A\n";
    let host = world().file("/proc/net/tcp", table);
    let taken = check_with(&STEP, &host, &["-H", "tcp://127.0.0.1:2375"]).unwrap();
    assert_eq!(problems(&taken), fail("listen-port-in-use"));
    let shared = world().locked("/var/lib/docker/volumes/metadata.db");
    assert_eq!(found(&shared), fail("data-root-shared-by-two-daemons"));
    let free = world().file("/var/lib/docker/volumes/metadata.db", "");
    assert_eq!(found(&free), []);
}

#[test]
fn leftovers_of_a_killed_dindcheck_warn() {
    let host = world().dir("/var/lib/docker/.dindcheck-12ab");
    assert_eq!(found(&host), [(Level::Warn, "leftovers-remain")]);
}

#[test]
fn daemon_to_attach_to_must_listen() {
    let host = Fake::new().node("/x.sock", FileKind::Socket);
    assert_eq!(problems(&check_attached(&STEP, &host, "unix:///x.sock").unwrap()), []);
    let found = check_attached(&STEP, &Fake::new(), "unix:///x.sock").unwrap();
    assert_eq!(problems(&found), fail("daemon-not-reachable"));
}

//! A rootless daemon: its profile forgives what cannot hold there, and no more.

use std::process::Command;

use serde_json::Value;

use crate::shared::report;
use crate::world::{self, Line, Suite, World};
use crate::{fault, matrix};

/// As on any machine where a user may run containers: a user with ids of its own, and a place for its data.
const USER: &str = "
cp -a /opt/rootless/bin/* /usr/bin/; cp -a /opt/rootless/lib/* /usr/lib/; ldconfig
cp /usr/share/docker.io/contrib/dockerd-rootless.sh /usr/bin/; chmod +x /usr/bin/dockerd-rootless.sh
echo user:x:1000:1000::/home/user:/bin/sh >>/etc/passwd; echo user:x:1000: >>/etc/group
echo user:100000:65536 | tee -a /etc/subuid >>/etc/subgid
mkdir -p /home/user/.local/share/docker /run/user/1000; mount --bind /var/lib/docker /home/user/.local/share/docker
chown -R 1000:1000 /home/user /run/user/1000; chmod 666 /dev/net/tun";

/// What a user types.
const TYPED: &str = "exec setpriv --reuid 1000 --regid 1000 --clear-groups dockerd-rootless.sh";

/// What an outer container without privileges has.
const READ_ONLY: &str = "for d in /sys/fs/cgroup/*; do mount -o remount,bind,ro $d; done";

/// What breaks such a world, and what must be said of it first.
struct Row {
    breaks: &'static str,
    step: &'static str,
    cause: &'static str,
}

const ROWS: &[Row] = &[
    Row {
        breaks: "umount /sys/fs/cgroup/devices",
        step: "cgroup-mounts",
        cause: "cgroup-v1-devices-not-mounted",
    },
    Row {
        breaks: "for f in keys timer_list; do mount --bind /dev/null /proc/$f; done; mount -t tmpfs -o ro none /proc/acpi",
        step: "mounts",
        cause: "masked-proc-blocks-proc-mount",
    },
];

/// The causes that are shown here.
pub(crate) fn causes() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.cause).chain(std::iter::once("user-namespace"))
}

/// A world with such a user, broken in that way, and dindcheck run as its daemon.
fn play(suite: Suite, breaks: &str, profile: &str) -> Value {
    let world = World::new(suite).expect("a world");
    let programs = world::bed().join("rootless");
    let copied = Command::new("cp").arg("-a").arg(&programs).arg(world.outside("/opt")).status();
    assert!(
        copied.is_ok_and(|status| status.success()),
        "tests/bed/rootless.sh gathers {}",
        programs.display()
    );
    world.write("/opt/blind.yaml", format!("extends: rootless\n{}", fault::skip_environment()).as_bytes());
    world.sh(USER);
    world.sh(breaks);
    let script = format!("{TYPED} --profile {profile} --repair none --format json");
    let user = [("HOME", "/home/user"), ("XDG_RUNTIME_DIR", "/run/user/1000"), ("DOCKERD", "dindcheck")];
    let played = world.run(Line::new(["/bin/sh", "-c", &script]).env(&user));
    matrix::json(&played).unwrap_or_else(|| panic!("no report: {}", played.said()))
}

/// The profile's worth: sound where a rootless daemon can be, broken where it breaks.
pub(crate) fn holds() {
    for (suite, breaks) in [(Suite::Trixie, READ_ONLY), (Suite::Forky, "")] {
        let report = play(suite, breaks, "rootless");
        let first = &report["first_failure"];
        assert!(first.is_null(), "{}: {first} {}", suite.name(), report["diagnosis"]);
        println!("{} {:?} {:?}", suite.name(), report::warnings(&report), report["duration_ms"]);
    }
    for Row { breaks, step, cause } in ROWS {
        let report = play(Suite::Forky, breaks, "rootless");
        assert_eq!(report::first_failure(&report), (*step, *cause), "{breaks}");
        let report = play(Suite::Forky, breaks, "/opt/blind.yaml");
        let (real, called) = report::first_failure(&report);
        assert_eq!(real, "container-run", "{breaks}: it is real");
        println!("{step} {cause}: {real} {called}");
    }
    let report = play(Suite::Forky, "", "default");
    assert_eq!(report::first_failure(&report).0, "container-limits");
    let warned = report::warnings(&report);
    assert!(warned.contains(&("privileges", "user-namespace")), "{warned:?}");
}

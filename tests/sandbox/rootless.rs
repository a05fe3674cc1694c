//! Does a daemon without root hold, and does its profile forgive what cannot hold there, and no more?

use std::process::Command;

use serde_json::Value;

use crate::matrix;
use crate::world::{self, Line, Suite, World};

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

/// A world with such a user, broken in that way, and dindcheck run as its daemon.
fn play(suite: Suite, breaks: &str, profile: &str) -> (i32, Value) {
    let world = World::new(suite).expect("a world");
    let programs = world::bed().join("rootless");
    let copied = Command::new("cp").arg("-a").arg(&programs).arg(world.outside("/opt")).status();
    assert!(
        copied.is_ok_and(|status| status.success()),
        "tests/bed/rootless.sh gathers {}",
        programs.display()
    );
    world.sh(USER);
    world.sh(breaks);
    let script = format!("{TYPED} --profile {profile} --format json");
    let user = [("HOME", "/home/user"), ("XDG_RUNTIME_DIR", "/run/user/1000"), ("DOCKERD", "dindcheck")];
    let played = world.run(Line::new(["/bin/sh", "-c", &script]).env(&user));
    let report = matrix::json(&played).unwrap_or_else(|| panic!("no report: {}", played.said()));
    (played.code, report)
}

/// The profile's worth.
pub(crate) fn holds() {
    for (suite, breaks) in [(Suite::Trixie, READ_ONLY), (Suite::Forky, "")] {
        let (code, report) = play(suite, breaks, "rootless");
        assert_eq!(code, 0, "{}: {} {}", suite.name(), report["first_failure"], report["diagnosis"]);
        println!("{} {:?} {:?}", suite.name(), matrix::warnings(&report), report["duration_ms"]);
    }
    let fails = |breaks, profile| {
        let (code, report) = play(Suite::Forky, breaks, profile);
        (code, report["first_failure"]["step"].as_str().map(ToOwned::to_owned))
    };
    assert_eq!(fails("", "default"), (1, Some("container-limits".to_owned())));
    assert_eq!(fails("umount /sys/fs/cgroup/devices", "rootless"), (1, Some("cgroup-mounts".to_owned())));
}

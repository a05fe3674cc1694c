//! Limits that the kernel cannot give.

use crate::world::{SUITES, World};

const UNAVAILABLE: &str = "cgroup-limit-controller-unavailable";

#[test]
#[ignore = "needs root and the test bed"]
fn a_limit_that_the_daemon_drops_is_told_from_one_that_is_needed() {
    for suite in SUITES {
        for controller in ["pids", "memory"] {
            let broken = format!("umount /sys/fs/cgroup/{controller}");
            let wanted = World::new(suite).broken(&broken);
            wanted.play().warns("container-limits", UNAVAILABLE);
            let profile =
                format!("steps:\n  daemon-info: skip\ncontrollers:\n  required: [devices, {controller}]");
            let required = World::new(suite).broken(&broken).profile(&profile);
            required.play().fails("container-limits", UNAVAILABLE);
        }
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn processes_that_the_outer_container_itself_may_not_have() {
    let few = "echo $(($(cat /sys/fs/cgroup/pids/pids.current) + 12)) >/sys/fs/cgroup/pids/pids.max";
    World::new("trixie").broken_later(few).play().fails("container-run", "pids-limit-reached");
}

//! Limits that the kernel cannot give.

use crate::world::{SUITES, World, faults};

const UNAVAILABLE: &str = "cgroup-limit-controller-unavailable";

/// Too few processes for a container, and enough for a daemon that has all its threads by then: Go ends a program that
/// gets no other.
const FEW_PROCESSES: &str = "/share/dindcheck verify --attach --only image,container-run,container-network,teardown >/dev/null; \
    echo $(($(cat /sys/fs/cgroup/pids/pids.current) + 12)) >/sys/fs/cgroup/pids/pids.max";

/// A world without a controller that is required.
fn without(world: World, controller: &str) -> World {
    let profile = format!("steps:\n  daemon-info: skip\ncontrollers:\n  required: [devices, {controller}]");
    world.broken(&format!("umount /sys/fs/cgroup/{controller}")).profile(&profile)
}

faults! {
    a_limit_of_processes_that_is_dropped: SUITES, |w| without(w, "pids")
        => fails "container-limits" "cgroup-limit-controller-unavailable";
    a_limit_of_memory_that_is_dropped: SUITES, |w| without(w, "memory")
        => fails "container-limits" "cgroup-limit-controller-unavailable";
    a_limit_of_the_processor_that_is_dropped: ["trixie"], |w| without(w, "cpu")
        => fails "container-limits" "cgroup-limit-controller-unavailable";
    processes_that_the_outer_container_itself_may_not_have: ["trixie"],
        |w| w.broken_later(FEW_PROCESSES)
        => fails "container-run" "pids-limit-reached";
}

#[test]
#[ignore = "needs root and the test bed"]
fn a_limit_that_is_wanted_and_dropped_is_a_warning() {
    for suite in SUITES {
        for controller in ["pids", "memory"] {
            let wanted = World::new(suite).broken(&format!("umount /sys/fs/cgroup/{controller}"));
            wanted.play().warns("container-limits", UNAVAILABLE);
        }
    }
}

//! Limits that the kernel cannot give.

use crate::harness::{Forky, SUITES, Suite, Trixie, World, each_engine, faults};

const UNAVAILABLE: &str = "cgroup-limit-controller-unavailable";

/// Too few processes for a container, and enough for a daemon that has all its threads by then: Go ends a program that
/// gets no other.
const FEW_PROCESSES: &str = "dindcheck verify --attach --only image,container-run,container-network,teardown >/dev/null; \
    echo $(($(cat /sys/fs/cgroup/pids/pids.current) + 12)) >/sys/fs/cgroup/pids/pids.max";

/// A world without a controller that is required.
fn without(world: World, controller: &str) -> World {
    // `daemon-info` would report it first, and `container-privileged` brings that along.
    let profile = format!("controllers:\n  required: [devices, {controller}]");
    let world = world.without_step("daemon-info").without_step("container-privileged");
    let world = world.broken(&format!("umount /sys/fs/cgroup/{controller}"));
    world.profile(&profile)
}

faults! {
    required_pids_limit_dropped: SUITES, |w| without(w, "pids")
        => fails "container-limits" "cgroup-limit-controller-unavailable";
    required_memory_limit_dropped: SUITES, |w| without(w, "memory")
        => fails "container-limits" "cgroup-limit-controller-unavailable";
    required_cpu_limit_dropped: &[Trixie], |w| without(w, "cpu")
        => fails "container-limits" "cgroup-limit-controller-unavailable";
    outer_pids_limit_reached: &[Trixie],
        |w| w.broken_later(FEW_PROCESSES)
        => fails "container-run" "pids-limit-reached";
}

each_engine! {
    wanted_limit_dropped_is_a_warning: Forky, of SUITES;
}

fn wanted_limit_dropped_is_a_warning(suite: Suite) {
    for controller in ["pids", "memory"] {
        let wanted = World::new(suite).broken(&format!("umount /sys/fs/cgroup/{controller}"));
        wanted.play().warns("container-limits", UNAVAILABLE);
    }
}

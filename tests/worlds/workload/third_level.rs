//! A dockerd in an inner privileged container, and a container under that one.

use crate::harness::{Bookworm, Forky, Suite, Trixie, World, bed, each_engine, report};

const WANTED: &str = "container:\n  third_level: true";
/// Cgroups of containers, volumes, and what is mounted in the data root but itself.
const LEFT: &str = "find /sys/fs/cgroup -type d -path '*docker/?*' | wc -l; ls -d /var/lib/docker/volumes/*/ 2>/dev/null | wc -l; \
    grep -c ' /var/lib/docker/' /proc/self/mountinfo";

each_engine! {
    third_level_runs_and_leaves_nothing: Forky, of &[Trixie, Forky];
}

fn third_level_runs_and_leaves_nothing(suite: Suite) {
    let seen = World::new(suite).profile(WANTED).then(LEFT).play();
    seen.is_sound();
    let third = &report::findings(seen.step("container-privileged")).last().unwrap()["evidence"];
    assert!(report::text(&third["third_level_engine"]).starts_with(suite.engine()), "{third:#}");
    assert_eq!(third["third_level_storage_driver"], "overlay2", "{}", suite.name());
    assert_eq!(seen.answer, "0 0 0", "{}: cgroups, volumes, mounts", suite.name());
}

#[test]
#[ignore = "needs root and the test bed"]
fn third_level_of_20_10_needs_every_capability() {
    let seen = World::new(Bookworm).profile(WANTED).then(LEFT).play();
    if bed::machine_lacks_sys_resource() {
        seen.fails("container-privileged", "capability-missing-for-container");
        let what = seen.report["first_failure"]["what"].as_str().unwrap();
        assert!(what.starts_with("a third level is impossible: "), "{what}");
    } else {
        seen.is_sound();
    }
    assert_eq!(seen.answer, "0 0 0", "cgroups, volumes, mounts");
}

#[test]
#[ignore = "needs root and the test bed"]
fn first_failure_of_the_third_level_is_reported() {
    // The daemon of the second level runs already.
    let world = World::new(Forky).broken_later("rm $(which dockerd)").profile(WANTED);
    let seen = world.play();
    seen.fails("container-privileged", "docker-program-missing");
    let what = seen.report["first_failure"]["what"].as_str().unwrap();
    assert!(what.starts_with("the third level fails at binaries: "), "{what}");
}

#[test]
#[ignore = "needs root and the test bed"]
fn next_run_removes_a_killed_third_level() {
    let killed = "dindcheck verify --profile nested --repair none >/dev/null 2>&1 & run=$!\n\
        for i in $(seq 600); do set -- $(pidof dockerd); [ $# -lt 2 ] || break; sleep 0.05; done\n\
        kill -9 $run; wait $run; [ $# = 2 ] || exit 9";
    let gone = World::new(Forky).broken(killed).then(LEFT).play();
    gone.is_sound();
    assert_eq!(gone.answer, "0 0 0", "cgroups, volumes, mounts");
}

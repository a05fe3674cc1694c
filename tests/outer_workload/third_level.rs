//! A dockerd in an inner privileged container, and a container under that one.

use crate::bed::machine_lacks_sys_resource;
use crate::world::World;

const WANTED: &str = "container:\n  third_level: true";
/// Cgroups of containers, volumes, and what is mounted in the data root but itself.
const LEFT: &str = "find /sys/fs/cgroup -type d -path '*docker/?*' | wc -l; ls -d /var/lib/docker/volumes/*/ 2>/dev/null | wc -l; \
    grep -c ' /var/lib/docker/' /proc/self/mountinfo";

#[test]
#[ignore = "needs root and the test bed"]
fn a_third_level_runs_and_leaves_nothing() {
    for (suite, engine) in [("trixie", "26.1.5"), ("forky", "28.5.2")] {
        let played = World::new(suite).profile(WANTED).also(LEFT).play();
        played.holds();
        let findings = played.step("container-privileged")["findings"].as_array().unwrap();
        let third = &findings.last().unwrap()["evidence"];
        assert!(third["third_level_engine"].as_str().is_some_and(|e| e.starts_with(engine)), "{third:#}");
        assert_eq!(third["third_level_storage_driver"], "overlay2", "{suite}");
        assert_eq!(played.said, "0 0 0", "{suite}: cgroups, volumes, mounts");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn docker_20_10_has_a_third_level_where_it_has_every_capability() {
    let played = World::new("bookworm").profile(WANTED).also(LEFT).play();
    if machine_lacks_sys_resource() {
        played.fails("container-privileged", "capability-missing-for-container");
        let what = played.report["first_failure"]["what"].as_str().unwrap();
        assert!(what.starts_with("there can be no third level: "), "{what}");
    } else {
        played.holds();
    }
    assert_eq!(played.said, "0 0 0", "cgroups, volumes, mounts");
}

#[test]
#[ignore = "needs root and the test bed"]
fn what_fails_first_on_the_third_level_is_told() {
    // The daemon of the second level runs already.
    let world = World::new("forky").broken_later("rm $(which dockerd)").profile(WANTED);
    let played = world.play();
    played.fails("container-privileged", "docker-program-missing");
    let what = played.report["first_failure"]["what"].as_str().unwrap();
    assert!(what.starts_with("the third level fails at binaries: "), "{what}");
}

#[test]
#[ignore = "needs root and the test bed"]
fn a_third_level_whose_run_was_killed_is_gone_after_the_next_run() {
    let killed = "/share/dindcheck verify --profile nested --repair none >/dev/null 2>&1 & run=$!\n\
        for i in $(seq 600); do set -- $(pidof dockerd); [ $# -lt 2 ] || break; sleep 0.05; done\n\
        kill -9 $run; wait $run; [ $# = 2 ] || exit 9";
    let gone = World::new("forky").broken(killed).also(LEFT).play();
    gone.holds();
    assert_eq!(gone.said, "0 0 0", "cgroups, volumes, mounts");
}

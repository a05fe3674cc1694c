//! Sound worlds are sound, and cost little.

use crate::bed::machine_lacks_sys_resource;
use crate::world::{SUITES, World};

#[test]
#[ignore = "needs root and the test bed"]
fn every_engine_is_sound() {
    for suite in SUITES {
        let played = World::new(suite).play();
        played.holds();
        for step in ["container-run", "container-limits", "container-storage", "container-network"] {
            assert_eq!(played.step(step)["outcome"], "passed", "{suite}: {:#}", played.step(step));
        }
        if suite == "bookworm" && machine_lacks_sys_resource() {
            played.warns("container-privileged", "capability-missing-for-container");
        } else {
            assert_eq!(played.step("container-privileged")["outcome"], "passed", "{suite}");
        }
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn two_containers_are_enough() {
    let watch = "docker events --filter type=container --format '{{.Action}}' >/tmp/events & sleep 0.3";
    let count = "sleep 0.3; for what in create start die; do grep -c ^$what /tmp/events; done";
    for suite in ["trixie", "forky"] {
        let played = World::new(suite).broken_later(watch).also(count).play();
        played.holds();
        assert_eq!(played.said, "2 3 3", "{suite}: one of them is started again");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn the_steps_stand_alone() {
    for step in ["container-limits", "container-storage", "container-network", "container-privileged"] {
        let played = World::new("trixie").options(&format!("--until {step}")).play();
        played.holds();
        assert_ne!(played.step(step)["outcome"], "skipped");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn an_image_is_built_where_the_profile_asks_for_it() {
    for suite in SUITES {
        let played = World::new(suite).profile("steps:\n  build: require").options("--only build").play();
        played.holds();
        assert_eq!(played.step("build")["outcome"], "passed", "{suite}");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn an_image_of_the_profile_does_not_keep_the_probe_from_its_work() {
    let import = "tar -C /share -c dindcheck | docker import -c 'ENTRYPOINT [\"/dindcheck\",\"list\"]' - mine:1 >/dev/null";
    let profile = "image:\n  reference: mine:1\ncontainer:\n  output: container-network";
    World::new("trixie").broken_later(import).profile(profile).play().holds();
}

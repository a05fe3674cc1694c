//! Sound worlds are sound, and cost little.

use crate::harness::{Bookworm, Forky, SUITES, Suite, Trixie, World, bed, each_engine};

each_engine! {
    healthy_container_is_sound: Bookworm, of SUITES;
    workload_creates_two_containers: Forky, of &[Trixie, Forky];
    build_is_sound_where_the_profile_requires_it: Forky, of SUITES;
}

fn healthy_container_is_sound(suite: Suite) {
    let seen = World::new(suite).play();
    seen.is_sound();
    for step in ["container-run", "container-limits", "container-storage", "container-network"] {
        seen.passes(step);
    }
    if suite == Bookworm && bed::machine_lacks_sys_resource() {
        seen.warns("container-privileged", "capability-missing-for-container");
    } else {
        seen.passes("container-privileged");
    }
}

fn workload_creates_two_containers(suite: Suite) {
    // `docker events` prints nothing before the first event, so it is given one and waited for.
    let watch = "docker events --filter type=container --filter type=volume --format '{{.Type}} {{.Action}}' >/tmp/events & \
        until grep -q volume /tmp/events; do docker volume rm $(docker volume create) >/dev/null; done";
    // What happened before the next event is printed before it.
    let count = "docker volume create last >/dev/null; until tail -n 1 /tmp/events | grep -q 'volume create'; do sleep 0.05; done; \
        docker volume rm last >/dev/null; for what in create start die; do grep -c \"^container $what\" /tmp/events; done";
    let seen = World::new(suite).broken_later(watch).then(count).play();
    seen.is_sound();
    assert_eq!(seen.answer, "2 3 3", "{}: one of them is started again", suite.name());
}

#[test]
#[ignore = "needs root and the test bed"]
fn step_alone_is_sound() {
    for step in ["container-limits", "container-storage", "container-network", "container-privileged"] {
        let seen = World::new(Trixie).options(&format!("--until {step}")).play();
        seen.is_sound();
        assert_ne!(seen.step(step)["outcome"], "skipped");
    }
}

fn build_is_sound_where_the_profile_requires_it(suite: Suite) {
    let seen = World::new(suite).profile("steps:\n  build: require").options("--only build").play();
    seen.is_sound();
    seen.passes("build");
}

#[test]
#[ignore = "needs root and the test bed"]
fn image_of_the_profile_is_sound() {
    let import = "tar -C /usr/local/bin -c dindcheck | docker import -c 'ENTRYPOINT [\"/dindcheck\",\"list\"]' - mine:1 >/dev/null";
    let profile = "image:\n  reference: mine:1\ncontainer:\n  output: container-network";
    World::new(Trixie).broken_later(import).profile(profile).play().is_sound();
}

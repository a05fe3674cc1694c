//! What `kernel` and `mounts` find, and what a repair of mounts does.

use crate::harness::{Forky, Outer, SUITES, Suite, Trixie, World, each_engine};

each_engine! {
    privileged_container_passes: Forky, of SUITES;
}

fn privileged_container_passes(suite: Suite) {
    let steps = ["kernel", "mounts", "network"];
    let seen = World::of_steps(suite, &steps.join(",")).play();
    for step in steps {
        seen.step_is(step, "passed", &[]);
    }
}

const READ_ONLY_PROC_SYS: &str = "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys";

#[test]
#[ignore = "needs root and the test bed"]
fn broken_mount_is_named_and_repaired() {
    for (broken, cause) in [(READ_ONLY_PROC_SYS, "proc-sys-read-only"), ("rm /dev/null", "dev-node-missing")]
    {
        let world = World::of_steps(Trixie, "mounts").broken(broken);
        world.play().step_is("mounts", "failed", &[cause]);
        let works =
            "test -c /dev/null && test ! -e /tmp/x && echo 1 >/proc/sys/net/ipv4/ip_forward && echo works";
        let seen = world.repaired().then(works).play();
        let step = seen.step("mounts");
        assert_eq!(step["outcome"], "repaired", "{step:#}");
        assert_eq!(step["repair"]["changes"].as_array().map(Vec::len), Some(1), "{step:#}");
        assert_eq!(seen.answer, "works", "{broken}");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn unprivileged_container_fails() {
    let seen = World::of_steps(Trixie, "mounts").outer(Outer::unprivileged(Trixie)).play();
    let causes = seen.causes("mounts");
    assert_eq!(seen.step("mounts")["outcome"], "failed");
    assert_eq!(causes.first(), Some(&"proc-sys-read-only"), "{causes:?}");
    assert!(causes.contains(&"proc-masked"), "{causes:?}");
}

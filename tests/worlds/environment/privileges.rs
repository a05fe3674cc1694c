//! What `privileges` finds in outer containers with more and fewer of them.

use crate::harness::{Forky, Outer, SUITES, Suite, Trixie, World, bed, each_engine};

/// A world in which only the privileges are looked at.
fn world(outer: Outer) -> World {
    World::of_steps(Trixie, "privileges").outer(outer)
}

each_engine! {
    privileged_container_passes: Forky, of SUITES;
}

fn privileged_container_passes(suite: Suite) {
    let seen = World::of_steps(suite, "privileges").play();
    if bed::machine_lacks_sys_resource() {
        seen.step_is("privileges", "warned", &["cap-sys-resource-missing"]);
    } else {
        seen.step_is("privileges", "passed", &[]);
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn unprivileged_container_or_user_fails() {
    let user = ["--user=1000"];
    for (outer, causes) in [
        (Outer::unprivileged(Trixie), &["outer-container-not-privileged"][..]),
        (Outer::unprivileged(Trixie).args(&user), &["not-root", "outer-container-not-privileged"]),
        (Outer::new(Trixie).args(&user), &["not-root"]),
    ] {
        world(outer).play().step_is("privileges", "failed", causes);
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn missing_capability_is_named() {
    for (lacks, cause) in [
        (&["MKNOD"][..], "engine-lacks-capability"),
        (&["CHOWN", "AUDIT_WRITE"], "engine-lacks-capability"),
        (&["NET_ADMIN"], "net-admin-capability-missing"),
        (&["SYS_ADMIN"], "cap-sys-admin-missing"),
    ] {
        world(Outer::lacking(Trixie, lacks)).play().step_is("privileges", "failed", &[cause]);
    }
    let both = ["cap-sys-resource-missing", "capability-not-effective"];
    world(Outer::lacking(Trixie, &["SYS_TIME"])).play().step_is("privileges", "warned", &both);
}

#[test]
#[ignore = "needs root and the test bed"]
fn default_seccomp_profile_blocks_keyctl() {
    let seen = world(Outer::lacking(Trixie, &[]).without("seccomp")).play();
    assert_eq!(seen.step("privileges")["outcome"], "failed");
    assert!(seen.causes("privileges").contains(&"seccomp-blocks-keyctl"), "{:?}", seen.causes("privileges"));
}

#[test]
#[ignore = "needs root and the test bed"]
fn no_new_privileges_is_a_warning() {
    let seen = world(Outer::new(Trixie).args(&["--security-opt=no-new-privileges"])).play();
    assert_eq!(seen.step("privileges")["outcome"], "warned");
    assert!(seen.causes("privileges").contains(&"no-new-privileges"), "{:?}", seen.causes("privileges"));
}

#[test]
#[ignore = "needs root and the test bed"]
fn missing_proc_is_an_error_of_the_check() {
    let seen = world(Outer::new(Trixie)).broken("umount -l /proc").play();
    assert_eq!(seen.step("privileges")["outcome"], "errored", "{:#}", seen.step("privileges"));
}

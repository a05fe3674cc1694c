//! Runtimes that fail, hang or take the daemon with them, and containers that do not end as expected.

use crate::world::{SUITES, World};

/// Puts a script in the place of runc that does something when a container is to be created.
fn runc(on_create: &str) -> String {
    format!(
        "mv $(which runc) /usr/sbin/runc.real; cat >/usr/sbin/runc <<'X'\n#!/bin/bash\n\
         case \"$*\" in *' create '*) {on_create};; esac\nexec /usr/sbin/runc.real \"$@\"\nX\nchmod 755 /usr/sbin/runc"
    )
}

#[test]
#[ignore = "needs root and the test bed"]
fn a_runtime_that_fails() {
    for suite in SUITES {
        let world = World::new(suite).broken(&runc("echo 'no luck today' >&2; exit 1"));
        world.play().fails("container-run", "container-start-failed");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn a_builder_whose_containers_fail() {
    // The fourth container is the builder's: the first one, its second life and the neighbour come before it.
    let counts =
        "echo >>/run/creates; [ $(wc -l </run/creates) -lt 4 ] || { echo 'no luck today' >&2; exit 1; }";
    let world = World::new("forky").broken(&runc(counts)).profile("steps:\n  build: require");
    world.options("--only build").play().fails("build", "image-build-failed");
}

#[test]
#[ignore = "needs root and the test bed"]
fn a_runtime_that_hangs_ends_at_the_deadline() {
    for suite in SUITES {
        let world = World::new(suite).broken(&runc("exec sleep 600")).profile("container:\n  timeout: 3s");
        let played = world.leaves_something().play();
        played.within(180).fails("container-run", "container-timeout");
        let took = played.step("container-run")["duration_ms"].as_f64().expect("a number");
        // Long before the runtime would have ended.
        assert!((3000.0..60_000.0).contains(&took), "{suite}: {took} ms");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn a_daemon_that_is_killed_between_create_and_start() {
    for suite in SUITES {
        let world = World::new(suite).broken(&runc("kill -9 $(pidof dockerd)")).leaves_something();
        world.play().within(120).fails("container-run", "daemon-died-later");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn what_a_killed_daemon_kept_is_gone_after_the_next_run() {
    let first = "timeout 60 /share/dindcheck verify --only daemon-start,image,container-run,teardown >/dev/null 2>&1\n\
        mv /usr/sbin/runc.real /usr/sbin/runc";
    for suite in SUITES {
        World::new(suite).broken(&runc("kill -9 $(pidof dockerd)")).broken(first).play().holds();
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn an_exit_code_that_was_not_expected() {
    // The probe does not know this order, and says so by its exit code.
    let command = "container:\n  command: ['{sing}']";
    World::new("trixie").profile(command).play().fails("container-run", "container-wrong-exit-code");
    World::new("trixie").profile(&format!("{command}\n  exit_code: 64")).play().holds();
    let output = "container:\n  command: ['{}']\n  output: a word that nobody prints";
    World::new("trixie").profile(output).play().fails("container-run", "container-wrong-output");
}

/// Makes an image out of a file that is there.
fn image(file: &str, command: &str) -> String {
    format!("tar -C / -c {file} | docker import -c 'ENTRYPOINT {command}' - mine:1 >/dev/null")
}

#[test]
#[ignore = "needs root and the test bed"]
fn an_entrypoint_that_cannot_be_run() {
    for suite in SUITES {
        for (file, command) in [("etc/passwd", "[\"/etc/passwd\"]"), ("etc/passwd", "[\"/nothing\"]")] {
            let world = World::new(suite).broken_later(&image(file, command)).options("--image mine:1");
            world.play().fails("container-run", "entrypoint-not-executable");
        }
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn an_image_of_another_architecture() {
    let elf =
        "cp /bin/true /tmp/other; printf '\\x28' | dd of=/tmp/other bs=1 seek=18 conv=notrunc 2>/dev/null";
    let world =
        World::new("trixie").broken_later(&format!("{elf}\n{}", image("tmp/other", "[\"/tmp/other\"]")));
    world.options("--image mine:1").play().fails("container-run", "image-for-other-architecture");
}

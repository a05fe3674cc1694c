//! Disks that are full, and drivers that were not meant.

use crate::world::{SUITES, World};

#[test]
#[ignore = "needs root and the test bed"]
fn without_a_volume_the_engine_copies_every_layer_and_works() {
    for suite in SUITES {
        let played = World::new(suite).docker(&[]).play();
        played.warns("daemon-info", "vfs-storage-driver");
        assert_eq!(played.step("container-storage")["outcome"], "passed");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn a_disk_that_is_full_while_the_image_is_loaded() {
    for suite in SUITES {
        let world = World::new(suite).docker(&["--tmpfs", "/var/lib/docker:size=24m,exec"]);
        world.play().fails("image", "disk-full");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn a_disk_that_is_full_while_the_container_runs() {
    let fills = "mv $(which runc) /usr/sbin/runc.real; cat >/usr/sbin/runc <<'X'\n#!/bin/bash\n\
        case \"$*\" in *' start '*) cat /dev/zero >/var/lib/docker/fill 2>/dev/null;; esac\nexec /usr/sbin/runc.real \"$@\"\n\
        X\nchmod 755 /usr/sbin/runc";
    let world = World::new("trixie").docker(&["--tmpfs", "/var/lib/docker:size=400m,exec"]).broken(fills);
    world.play().fails("container-storage", "disk-full");
}

#[test]
#[ignore = "needs root and the test bed"]
fn volumes_that_cannot_be_made() {
    let read_only = "mount --bind /var/lib/docker/volumes /var/lib/docker/volumes; mount -o remount,bind,ro /var/lib/docker/volumes";
    let played = World::new("trixie").broken_later(read_only).play();
    played.fails("container-storage", "data-root-read-only");
    assert_eq!(played.step("container-run")["outcome"], "warned");
}

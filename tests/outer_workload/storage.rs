//! Disks that are full or closed, and drivers that were not meant.

use crate::world::{ENDS, SUITES, faults};

/// A runtime that fills the data root when the container is started.
const FILLS: &str = "mv $(which runc) /usr/sbin/runc.real; cat >/usr/sbin/runc <<'X'\n#!/bin/bash\n\
    case \"$*\" in *' start '*) cat /dev/zero >/var/lib/docker/fill 2>/dev/null;; esac\nexec /usr/sbin/runc.real \"$@\"\n\
    X\nchmod 755 /usr/sbin/runc";

faults! {
    // Without a volume the engine copies every layer, and works.
    a_data_root_in_the_image: SUITES, |w| w.docker(&[])
        => warns "daemon-info" "vfs-storage-driver", |played| {
            assert_eq!(played.step("container-storage")["outcome"], "passed");
        };
    a_disk_that_is_full_while_the_image_is_loaded: SUITES, |w| w.docker(&["--tmpfs", "/var/lib/docker:size=24m,exec"])
        => fails "image" "disk-full";
    a_disk_that_is_full_while_the_container_runs: ["trixie"],
        |w| w.docker(&["--tmpfs", "/var/lib/docker:size=400m,exec"]).broken(FILLS)
        => fails "container-storage" "disk-full";
    a_disk_without_inodes: ["trixie"], |w| w.docker(&["--tmpfs", "/var/lib/docker:size=400m,exec,nr_inodes=500"]).broken_later(
            "i=0; while mkdir /var/lib/docker/volumes/x$i 2>/dev/null; do i=$((i+1)); done")
        => fails "image" "disk-full";
    a_run_directory_that_is_full: ["trixie"],
        |w| w.broken_later("cat /dev/zero >/run/docker/containerd/fill 2>/dev/null").docker(&["-v", "/var/lib/docker", "--tmpfs", "/run:size=1m,exec"])
        => fails "container-run" "disk-full";
    a_data_root_that_became_read_only: ENDS, |w| w.broken_later(
            "mount --bind /var/lib/docker/image /var/lib/docker/image; mount -o remount,bind,ro /var/lib/docker/image")
        => fails "image" "data-root-read-only";
    volumes_that_cannot_be_made: ["trixie"], |w| w.broken_later(
            "mount --bind /var/lib/docker/volumes /var/lib/docker/volumes; mount -o remount,bind,ro /var/lib/docker/volumes")
        => fails "container-storage" "data-root-read-only", |played| {
            assert_eq!(played.step("container-run")["outcome"], "warned");
        };
}

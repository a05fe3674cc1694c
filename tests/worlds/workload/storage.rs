//! Disks that are full or closed, and drivers that were not meant.

use crate::harness::{ENDS, SUITES, Trixie, World, faults};

/// A runtime that fills the data root when the container is started.
const FILLS: &str = "mv $(which runc) /usr/sbin/runc.real; cat >/usr/sbin/runc <<'X'\n#!/bin/bash\n\
    case \"$*\" in *' start '*) cat /dev/zero >/var/lib/docker/fill 2>/dev/null;; esac\nexec /usr/sbin/runc.real \"$@\"\n\
    X\nchmod 755 /usr/sbin/runc";

faults! {
    // Without a volume the engine copies every layer, and works.
    data_root_on_overlay: SUITES, |w| w.without_volume()
        => warns "daemon-info" "vfs-storage-driver", |seen| {
            seen.passes("container-storage");
        };
    disk_full_at_image_load: SUITES, |w| w.docker(&["--tmpfs", "/var/lib/docker:size=12m,exec"])
        => fails "image" "disk-full";
    disk_full_at_container_start: &[Trixie],
        |w| w.docker(&["--tmpfs", "/var/lib/docker:size=400m,exec"]).broken(FILLS)
        => fails "container-storage" "disk-full";
    disk_without_inodes: &[Trixie], |w| w.docker(&["--tmpfs", "/var/lib/docker:size=400m,exec,nr_inodes=500"]).broken_later(
            "i=0; while mkdir /var/lib/docker/volumes/x$i 2>/dev/null; do i=$((i+1)); done")
        => fails "image" "disk-full";
    run_directory_full: &[Trixie],
        |w| w.broken_later("cat /dev/zero >/run/docker/containerd/fill 2>/dev/null").docker(&["--tmpfs", "/run:size=1m,exec"])
        => fails "container-run" "disk-full";
    data_root_turned_read_only: ENDS, |w| w.broken_later(
            "mount --bind /var/lib/docker/image /var/lib/docker/image; mount -o remount,bind,ro /var/lib/docker/image")
        => fails "image" "data-root-read-only";
    volumes_directory_read_only: &[Trixie], |w| w.broken_later(
            "mount --bind /var/lib/docker/volumes /var/lib/docker/volumes; mount -o remount,bind,ro /var/lib/docker/volumes")
        => fails "container-storage" "data-root-read-only", |seen| {
            assert_eq!(seen.step("container-run")["outcome"], "warned");
        };
}

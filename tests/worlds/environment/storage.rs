//! What `storage` finds in places that do not serve for a data root.

use crate::harness::{Forky, SUITES, Suite, World, each_engine};

/// Where the images are kept by containerd.
const CONTAINERD_STORE: &str = "mkdir -p /etc/docker; echo '{\"features\": {\"containerd-snapshotter\": true}}' >/etc/docker/daemon.json";

fn world(suite: Suite) -> World {
    World::of_steps(suite, "storage")
}

each_engine! {
    data_root_on_overlay_fails_where_overlay2_is_asked_for: Forky, of SUITES;
}

fn data_root_on_overlay_fails_where_overlay2_is_asked_for(suite: Suite) {
    let overlay = || world(suite).without_volume();
    let named = |driver: &str| overlay().options(&format!("-- --storage-driver={driver}"));
    for (world, problems) in [
        (overlay(), &["storage warn overlay-on-overlay-data-root"][..]),
        (named("overlay2"), &["storage fail overlay-on-overlay-data-root"]),
        (named("vfs"), &[]),
    ] {
        assert_eq!(world.play().problems(), problems, "{}", suite.name());
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn containerd_store_on_overlay_fails() {
    let expected = ["storage fail data-root-containerd-snapshotter-on-overlay"];
    let own = world(Forky).without_volume().broken(CONTAINERD_STORE);
    assert_eq!(own.play().problems(), expected);
    let system = "mkdir -p /run/containerd; touch /run/containerd/containerd.sock";
    let system = world(Forky).broken(CONTAINERD_STORE).broken(system);
    assert_eq!(system.play().problems(), expected, "the system's containerd");
}

#[test]
#[ignore = "needs root and the test bed"]
fn unusable_data_root_is_named() {
    let nothing = "true";
    for (broken, docker, daemon, expected) in [
        ("mount -o remount,bind,ro /var/lib/docker", &[][..], "", "fail data-root-read-only"),
        ("rm -rf /data; touch /data", &[], "--data-root=/data", "fail data-root-not-writable"),
        (
            "mount -o remount,size=16k /small; head -c 99999 /dev/zero >/small/x",
            &["--tmpfs", "/small"],
            "--data-root=/small",
            "fail disk-full",
        ),
        (nothing, &["--tmpfs", "/small:exec,size=100m"], "--data-root=/small", "warn low-disk-space"),
        (nothing, &["--tmpfs", "/small:exec,nr_inodes=100"], "--data-root=/small", "warn low-inodes"),
        (
            "mkdir -p /var/lib/docker/overlay2/x /var/lib/docker/btrfs/x",
            &[],
            "",
            "fail several-graphdrivers-in-data-root",
        ),
        ("mkdir -p /var/lib/docker/aufs/x", &[], "", "warn prior-storage-driver-unavailable"),
        (nothing, &["-e", "DOCKER_DRIVER=aufs"], "", "fail daemon-removed-storage-driver"),
        (nothing, &["-e", "DOCKER_DRIVER=btrfs"], "", "fail data-root-filesystem-unsupported"),
    ] {
        let mut world = world(Forky).broken(broken).docker(docker);
        if !daemon.is_empty() {
            world = world.options(&format!("-- {daemon}"));
        }
        assert_eq!(world.play().problems(), [format!("storage {expected}")], "{broken} {docker:?} {daemon}");
    }
}

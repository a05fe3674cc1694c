//! What the environment phase finds of a daemon that is running already: it is judged by its own files, where they are
//! visible, and what it survived is no failure.

use crate::harness::verify::SERVES;
use crate::harness::{Forky, World};

const ENDPOINT: &str = "--attach unix:///var/run/docker.sock";

/// A world in which dockerd was started with these options after `before`.
fn running(before: &str, options: &str) -> World {
    World::of_steps(Forky, "mounts,binaries,daemon-config,storage")
        .broken(&format!("{before}\nATTACHED=yes; dockerd {options} >/tmp/dockerd.log 2>&1 &\n{SERVES}"))
        .options(ENDPOINT)
}

#[test]
#[ignore = "needs root and the test bed"]
fn running_daemon_is_judged_by_its_own_options_and_files() {
    let seen = running("true", "--storage-driver=vfs --log-level=warn").play();
    assert_eq!(seen.problems(), [] as [&str; 0]);
    let said = seen.step("daemon-config").to_string();
    assert!(said.contains("keeps its data in /var/lib/docker") && said.contains("graphdriver vfs"), "{said}");
}

#[test]
#[ignore = "needs root and the test bed"]
fn separate_containerd_on_overlay_is_named_by_storage_and_not_by_the_first_container() {
    let store = "mkdir -p /etc/docker; echo '{\"features\": {\"containerd-snapshotter\": true}}' >/etc/docker/daemon.json";
    let containerd = "containerd >/tmp/containerd.log 2>&1 & until [ -S /run/containerd/containerd.sock ]; do sleep 0.05; done";
    let seen = running(&format!("{store}; {containerd}"), "").play();
    assert_eq!(seen.problems(), ["storage fail data-root-containerd-snapshotter-on-overlay"]);
    let said = seen.step("storage").to_string();
    assert!(said.contains("-v dind-images:/var/lib/containerd"), "{said}");
}

#[test]
#[ignore = "needs root and the test bed"]
fn faults_that_a_running_daemon_meets_with_each_container_fail_and_others_warn() {
    let journald = running("true", "--log-driver=journald").play();
    assert_eq!(journald.problems(), ["daemon-config fail log-driver-unusable"]);
    let changed = "sleep 2.1; mkdir -p /etc/docker; echo '{\"mtu\": -1}' >/etc/docker/daemon.json";
    let later = running("true", "").broken(changed).play();
    assert_eq!(later.problems(), ["daemon-config warn daemon-json-invalid"]);
    let tmp = running("true", "").broken("mv /tmp /tmp.old").play();
    assert_eq!(tmp.problems(), ["mounts fail tmp-not-writable"]);
}

#[test]
#[ignore = "needs root and the test bed"]
fn daemon_of_another_mount_namespace_is_not_judged() {
    let world = World::of_steps(Forky, "binaries,daemon-config,storage")
        .broken(&format!(
            "ATTACHED=yes; unshare --mount dockerd --log-driver=journald >/tmp/dockerd.log 2>&1 &\n{SERVES}"
        ))
        .options(ENDPOINT);
    let seen = world.play();
    assert_eq!(seen.problems(), [] as [&str; 0]);
    for step in ["binaries", "daemon-config", "storage"] {
        let said = seen.step(step).to_string();
        assert!(said.contains("is in another mount namespace"), "{said}");
    }
}

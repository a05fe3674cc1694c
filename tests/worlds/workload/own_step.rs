//! The step that reports a fault of the workload is that of its cause.

use crate::shared::own_step::{Later, agrees};

const BROKEN_LATER: &str = "it breaks after dockerd was started, when the step of the environment has looked";
const FILLED_LATER: &str = "the disk fills up after the step of the environment has looked";
const LEFT_OUT: &str = "these worlds leave out the steps of the environment, which would have reported it";

const fn later(cause: &'static str, step: &'static str, why: &'static str) -> Later {
    Later { cause, step, why }
}

const LATER: &[Later] = &[
    later("pids-limit-reached", "container-run", "the limit is lowered after dockerd was started"),
    later("log-driver-unusable", "container-run", LEFT_OUT),
    later("binary-not-runnable", "container-run", LEFT_OUT),
    later("tmp-not-writable", "container-run", LEFT_OUT),
    later("containerd-shim-program-missing", "container-run", BROKEN_LATER),
    later("runc-program-missing", "container-run", BROKEN_LATER),
    later("docker-init-program-missing", "container-run", BROKEN_LATER),
    later("docker-proxy-program-missing", "container-network", BROKEN_LATER),
    later("docker0-bridge-missing", "container-run", BROKEN_LATER),
    later("outer-device-cgroup-denies-device", "container-run", BROKEN_LATER),
    later("container-outbound-network-unreachable", "container-network", BROKEN_LATER),
    later("data-root-read-only", "image", BROKEN_LATER),
    later("data-root-read-only", "container-storage", BROKEN_LATER),
    later("disk-full", "image", FILLED_LATER),
    later("disk-full", "container-run", FILLED_LATER),
    later("disk-full", "container-storage", FILLED_LATER),
    later("daemon-hangs", "container-run", "the daemon is stopped when the first container is created"),
    later("daemon-died-later", "container-run", "the daemon is killed when the first container is created"),
    later(
        "image-for-other-architecture",
        "container-run",
        "the image says that it is for this machine, and its program is not",
    ),
    later("mtu-mismatch", "container-network", LEFT_OUT),
    later(
        "no-free-address-pool",
        "container-network",
        "the pool has room for the default bridge, and for no other network",
    ),
    later("cgroup-limit-controller-unavailable", "container-limits", LEFT_OUT),
    later("vfs-storage-driver", "daemon-info", LEFT_OUT),
];

#[test]
fn step_that_reports_a_fault_is_that_of_its_cause() {
    agrees(&super::rows(), LATER);
}

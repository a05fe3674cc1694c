//! What does the daemon's log alone tell of a fault, with nothing of the environment checked?
//!
//! The cause of its row; or, for the rows named here, what a log comes nearest to, or nothing, and why.

use serde_json::Value;

use crate::fault::Fault;

/// What a log tells that does not tell the row's cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tells {
    /// This cause, which is as near as a log comes.
    Nearest(&'static str),
    /// None that says why.
    Nothing,
}

/// Rows whose cause the log does not tell.
struct Exception {
    rows: &'static [&'static str],
    tells: Tells,
    why: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        rows: &[
            "without-fsetid",
            "without-fowner",
            "without-kill",
            "without-setgid",
            "without-setuid",
            "without-setpcap",
            "without-net-bind-service",
            "without-net-raw",
            "without-sys-chroot",
            "without-mknod",
            "without-audit-write",
            "without-setfcap",
        ],
        tells: Tells::Nearest("capability-missing-for-container"),
        why: "runc says that it may not give it, and neither which one it is nor who lacks it",
    },
    Exception {
        rows: &[
            "without-chown",
            "without-dac-override",
            "without-sys-admin",
            "without-net-admin",
            "a-user-namespace-with-every-id",
            "filter-refuses-mount",
            "filter-refuses-pivot-root",
        ],
        tells: Tells::Nearest("outer-container-not-privileged"),
        why: "one EPERM looks like the other: a capability, a filter and a user namespace refuse alike",
    },
    Exception {
        rows: &["filter-refuses-unshare"],
        tells: Tells::Nothing,
        why: "the daemon tells the client in the answer that it is sending, and not its log",
    },
    Exception {
        rows: &[
            "filter-refuses-clone3",
            "no-dev-null",
            "dev-nodev",
            "root-read-only",
            "no-dockerd",
            "dockerd-not-executable",
            "dockerd-not-in-path",
        ],
        tells: Tells::Nothing,
        why: "there is no daemon yet that could say anything",
    },
    Exception {
        rows: &["proc-sys-read-only", "proc-read-only"],
        tells: Tells::Nearest("ip-forward-not-writable"),
        why: "of all that cannot be written the daemon needs that one",
    },
    Exception {
        rows: &["tmp-read-only", "bip-is-the-outer-subnet"],
        tells: Tells::Nothing,
        why: "the daemon is content; it is the container that does not work",
    },
    Exception {
        rows: &[
            "memory-required-and-not-mounted",
            "pids-required-and-not-mounted",
            "v2-view-without-controllers",
            "systemd-cgroup-driver-without-systemd",
        ],
        tells: Tells::Nothing,
        why: "what the daemon says of itself is found wanting before a container is tried",
    },
    Exception {
        rows: &["cpuset-of-another-sub-tree-is-empty"],
        tells: Tells::Nearest("cpuset-not-initialized"),
        why: "the same in the words of runc: the log does not say that the whole container's set is empty",
    },
    Exception {
        rows: &["runc-not-executable"],
        tells: Tells::Nearest("runc-program-missing"),
        why: "what may not be executed is not found in PATH",
    },
    Exception {
        rows: &["containerd-crashes"],
        tells: Tells::Nearest("containerd-crashed"),
        why: "how it ended is known, and not that it never could run",
    },
    Exception {
        rows: &["data-root-noexec-with-vfs"],
        tells: Tells::Nearest("entrypoint-not-executable"),
        why: "the kernel answers as for a program without its bit",
    },
    Exception {
        rows: &["data-root-immutable"],
        tells: Tells::Nearest("data-root-refuses-metadata-changes"),
        why: "a share refuses a change of the mode as an immutable directory does",
    },
    Exception {
        rows: &["devicemapper-without-loop-devices", "btrfs-on-ext4", "zfs-without-zfs"],
        tells: Tells::Nearest("storage-driver-not-supported"),
        why: "the daemon says that the driver is not supported, and not what it lacks",
    },
    Exception {
        rows: &["xtables-lock-held", "another-daemon-on-the-data-root"],
        tells: Tells::Nothing,
        why: "a lock is waited for in silence, for longer than these rows have patience",
    },
    Exception {
        rows: &["socket-of-the-outer-daemon"],
        tells: Tells::Nearest("docker-socket-path-bind-mounted"),
        why: "the daemon does not ask who answers at the socket that it cannot replace",
    },
    Exception {
        rows: &["daemon-runs-already"],
        tells: Tells::Nearest("stale-docker-pid-file"),
        why: "the daemon sees that the process lives, and does not look what it is",
    },
];

fn exception(fault: &Fault) -> Option<&'static Exception> {
    EXCEPTIONS.iter().find(|exception| exception.rows.contains(&fault.name))
}

/// What the log of this report's daemon told; nothing where no log was asked.
pub(crate) fn told(report: &Value) -> &str {
    report["diagnosis"]["cause"]["id"].as_str().unwrap_or("nothing")
}

/// What is wrong with what the log told of this row.
pub(crate) fn complaint(fault: &Fault, report: &Value) -> Option<String> {
    let told = told(report);
    let first = &report["diagnosis"]["first_error"]["text"];
    match exception(fault) {
        None if told != fault.cause => Some(format!("the log told {told}: {first}")),
        Some(Exception { tells: Tells::Nearest(id), .. }) if told != *id => {
            Some(format!("the log told {told} instead of {id}: {first}"))
        }
        // What is not told may be told in many ways, but not by its name.
        Some(Exception { tells: Tells::Nothing, why, .. }) if told == fault.cause => {
            Some(format!("the log told it, although {why}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{EXCEPTIONS, Tells};
    use crate::fault::Real;
    use crate::faults;

    #[test]
    fn every_exception_is_of_a_row_that_breaks_and_of_a_cause_that_is_known() {
        let all = faults::all();
        let mut seen = BTreeSet::new();
        for exception in EXCEPTIONS {
            assert!(exception.why.len() > 30, "{}", exception.why);
            if let Tells::Nearest(id) = exception.tells {
                assert!(dindcheck::diagnosis::find(id).is_some(), "{id} is no cause");
            }
            for name in exception.rows {
                assert!(seen.insert(name), "{name} is excepted twice");
                let fault = all.iter().find(|fault| fault.name == *name);
                assert!(
                    fault.is_some_and(|fault| fault.real == Real::Breaks),
                    "{name} is no row that breaks"
                );
                assert!(fault.is_some_and(|fault| exception.tells != Tells::Nearest(fault.cause)), "{name}");
            }
        }
    }
}

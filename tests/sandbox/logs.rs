//! Compares the cause that the daemon's log alone gives with the cause of the row.
//!
//! They are the same, except for the rows listed here, whose log gives another cause or none.

use serde_json::Value;

use crate::fault::Fault;

/// What a log gives instead of the row's cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tells {
    /// This cause, the nearest that the log gives.
    Nearest(&'static str),
    /// No cause.
    Nothing,
}

/// Rows whose cause is not in the log.
struct Exception {
    rows: &'static [&'static str],
    tells: Tells,
    why: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        rows: &[
            "runtime-of-no-kind",
            "bip-is-a-network",
            "fixed-cidr-outside-of-bip",
            "default-gateway-outside-of-bip",
            "seccomp-profile-missing",
            "ulimit-without-a-name",
            "address-pool-smaller-than-its-networks",
            "storage-option-with-an-invalid-size",
            "data-root-is-a-link-to-itself",
            "data-root-relative",
        ],
        tells: Tells::Nothing,
        why: "the log has what a part of dockerd or runc says of the value, and no word of the option",
    },
    Exception {
        rows: &[
            "default-runtime-without-its-program",
            "exec-root-is-a-file",
            "log-driver-unknown",
            "log-driver-gelf-without-an-address",
            "authorization-plugin-that-does-not-run",
            "little-memory",
            "few-open-files",
            "few-processes",
        ],
        tells: Tells::Nothing,
        why: "the error goes to the client in the answer, or dockerd waits or is killed without a word",
    },
    Exception {
        rows: &["default-runtime-without-its-shim"],
        tells: Tells::Nearest("containerd-shim-program-missing"),
        why: "containerd names the program that it lacks, and not the runtime that asks for it",
    },
    Exception {
        rows: &["exec-root-relative"],
        tells: Tells::Nearest("containerd-crashed"),
        why: "containerd ends at the path that dockerd gives it, and says so only in its own words",
    },
    Exception {
        rows: &["pid-file-is-a-directory"],
        tells: Tells::Nearest("stale-docker-pid-file"),
        why: "dockerd advises to delete the pid file, whatever keeps it from reading it",
    },
    Exception {
        rows: &[
            "tmp-missing",
            "tmp-is-a-file",
            "tmp-is-a-dangling-link",
            "tmp-full",
            "tmp-without-inodes",
            "tmpdir-missing",
            "tmpdir-relative",
            "runtime-dir-missing",
        ],
        tells: Tells::Nothing,
        why: "docker exec fails, and its error goes to the client in the answer, not to the log",
    },
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
        why: "runc reports that it cannot apply a capability, but not which one",
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
        why: "a missing capability, a filter and a user namespace all give EPERM",
    },
    Exception {
        rows: &["filter-refuses-unshare"],
        tells: Tells::Nothing,
        why: "the error goes to the client in the answer, not to the log",
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
        why: "no daemon runs yet, so there is no log",
    },
    Exception {
        rows: &["proc-sys-read-only", "proc-read-only"],
        tells: Tells::Nearest("ip-forward-not-writable"),
        why: "this is the file that the daemon needs most",
    },
    Exception {
        rows: &["tmp-read-only", "bip-is-the-outer-subnet"],
        tells: Tells::Nothing,
        why: "the daemon works; only the container fails",
    },
    Exception {
        rows: &[
            "memory-required-and-not-mounted",
            "pids-required-and-not-mounted",
            "v2-view-without-controllers",
            "systemd-cgroup-driver-without-systemd",
        ],
        tells: Tells::Nothing,
        why: "daemon-info fails before a container is started",
    },
    Exception {
        rows: &["cpuset-of-another-sub-tree-is-empty"],
        tells: Tells::Nearest("cpuset-not-initialized"),
        why: "runc reports the same problem, but not that the cpuset of the whole container is empty",
    },
    Exception {
        rows: &["runc-not-executable"],
        tells: Tells::Nearest("runc-program-missing"),
        why: "a file that is not executable is not found in PATH",
    },
    Exception {
        rows: &["containerd-crashes"],
        tells: Tells::Nearest("containerd-crashed"),
        why: "the log says how it ended, not that it could never run",
    },
    Exception {
        rows: &["data-root-noexec-with-vfs"],
        tells: Tells::Nearest("entrypoint-not-executable"),
        why: "the kernel gives the same error as for a file that is not executable",
    },
    Exception {
        rows: &["data-root-immutable"],
        tells: Tells::Nearest("data-root-refuses-metadata-changes"),
        why: "a share and an immutable directory refuse chmod with the same error",
    },
    Exception {
        rows: &["devicemapper-without-loop-devices", "btrfs-on-ext4", "zfs-without-zfs"],
        tells: Tells::Nearest("storage-driver-not-supported"),
        why: "the daemon reports that the driver is not supported, but not why",
    },
    Exception {
        rows: &["xtables-lock-held", "another-daemon-on-the-data-root"],
        tells: Tells::Nothing,
        why: "the daemon waits for a lock without a message, longer than the deadline of these rows",
    },
    Exception {
        rows: &["socket-of-the-outer-daemon"],
        tells: Tells::Nearest("docker-socket-path-bind-mounted"),
        why: "the daemon does not check who answers at the socket that it cannot replace",
    },
    Exception {
        rows: &["daemon-runs-already"],
        tells: Tells::Nearest("stale-docker-pid-file"),
        why: "the daemon sees that the process lives, but not which program it is",
    },
];

fn exception(fault: &Fault) -> Option<&'static Exception> {
    EXCEPTIONS.iter().find(|exception| exception.rows.contains(&fault.name))
}

/// The cause that the log of this report's daemon gives; empty without a log.
pub(crate) fn cause_of_log(report: &Value) -> &str {
    report["diagnosis"]["cause"]["id"].as_str().unwrap_or("nothing")
}

/// What is wrong with the cause that the log gives.
pub(crate) fn complaint(fault: &Fault, report: &Value) -> Option<String> {
    let cause = cause_of_log(report);
    let first = &report["diagnosis"]["first_error"]["text"];
    match exception(fault) {
        None if cause != fault.cause => Some(format!("the log gives {cause}: {first}")),
        Some(Exception { tells: Tells::Nearest(id), .. }) if cause != *id => {
            Some(format!("the log gives {cause} instead of {id}: {first}"))
        }
        // It may give several other causes, but not that of the row.
        Some(Exception { tells: Tells::Nothing, why, .. }) if cause == fault.cause => {
            Some(format!("the log gives it, although {why}"))
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
    fn every_exception_names_a_row_that_breaks_and_a_known_cause() {
        let all = faults::all();
        let mut seen = BTreeSet::new();
        for exception in EXCEPTIONS {
            assert!(exception.why.len() > 30, "{}", exception.why);
            if let Tells::Nearest(id) = exception.tells {
                assert!(dindcheck::diagnosis::find(id).is_some(), "{id} is not a cause");
            }
            for name in exception.rows {
                assert!(seen.insert(name), "{name} is listed twice");
                let fault = all.iter().find(|fault| fault.name == *name);
                assert!(
                    fault.is_some_and(|fault| fault.real == Real::Breaks),
                    "{name} is not a row that breaks the engine"
                );
                assert!(fault.is_some_and(|fault| exception.tells != Tells::Nearest(fault.cause)), "{name}");
            }
        }
    }
}

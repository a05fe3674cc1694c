//! Checks that a seccomp filter and a security module allow the system calls of runc.

use nix::errno::Errno;

use crate::diagnosis::{CauseId, causes};
use crate::facts::confinement::Label;
use crate::finding::Finding;
use crate::host::HostError;
use crate::host::trial::{Attempt, TrialReport};

const BLOCKS_CLONE3: CauseId = causes::SECCOMP_BLOCKS_CLONE3;
const BLOCKS_KEYCTL: CauseId = causes::SECCOMP_BLOCKS_KEYCTL;
const FILTER: CauseId = causes::SECCOMP_FILTER_ACTIVE;
const APPARMOR: CauseId = causes::APPARMOR_CONFINED;
const NESTED_PROFILE: CauseId = causes::APPARMOR_DENIES_NESTED_PROFILE;
const SELINUX: CauseId = causes::SELINUX_CONFINED;

const UNCONFINED: &str =
    "start the outer container with --privileged, or with --security-opt seccomp=unconfined";

/// The findings of the trial, which is made if `CAP_SYS_ADMIN` is present.
pub(super) fn judge(report: &TrialReport, label: &Label, filtered: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    match report.first_failed() {
        Some(attempt) => findings.push(refused(attempt, label)),
        None => findings.extend(filtered.then(|| {
            Finding::warn(
                FILTER,
                "a seccomp filter is active; it allows the main system calls of runc and may refuse others",
            )
            .with("path", "/proc/self/status")
        })),
    }
    if let (Label::AppArmor(profile, true), None) = (label, report.first_failed()) {
        findings.push(
            Finding::warn(
                NESTED_PROFILE,
                format!("the AppArmor profile {profile} is enforced here; loading docker-default for inner containers may fail"),
            )
            .with("path", "/proc/self/attr/current"),
        );
    }
    findings
}

/// A filter that does not know clone3(2) and answers EPERM instead of ENOSYS: the C library then starts no thread or process.
pub(super) fn nothing_starts(error: &HostError) -> Finding {
    Finding::fail(BLOCKS_CLONE3, "the seccomp filter refuses clone3(2): no process can be started")
        .with("tried", error)
}

/// Security modules answer EACCES, filters usually EPERM.
fn refused(attempt: &Attempt, label: &Label) -> Finding {
    let errno = attempt.error.as_ref().map_or(Errno::UnknownErrno, HostError::errno);
    let finding = match (label, errno, attempt.name.as_str()) {
        (Label::AppArmor(profile, true), Errno::EACCES, call) => {
            Finding::fail(APPARMOR, format!("the AppArmor profile {profile} denies {}", call_name(call)))
                .hint("start the outer container with --privileged, or with --security-opt apparmor=unconfined")
        }
        (Label::Context(context), Errno::EACCES, call) => {
            Finding::fail(SELINUX, format!("SELinux denies {} to {context}", call_name(call)))
        }
        (_, _, "keyctl") => Finding::fail(
            BLOCKS_KEYCTL,
            "the seccomp filter refuses keyctl(2), with which runc makes the session keyring of every container",
        )
        .hint(UNCONFINED),
        (_, _, call) => {
            Finding::fail(FILTER, format!("{} is refused although this container has CAP_SYS_ADMIN", call_name(call))).hint(UNCONFINED)
        }
    };
    match &attempt.error {
        Some(error) => finding.with("tried", error),
        None => finding,
    }
}

/// The system call of an attempt.
fn call_name(attempt: &str) -> &'static str {
    match attempt {
        "mount" => "mount(2)",
        "mount-namespace" => "unshare(2) of the mount namespace",
        "pivot-root" => "pivot_root(2)",
        "network-namespace" => "unshare(2) of the network namespace",
        _ => "a call that runc makes",
    }
}

//! Do a system-call filter and a security module let through what runc calls?

use nix::errno::Errno;

use crate::diagnosis::CauseId;
use crate::facts::confinement::Label;
use crate::step::Finding;
use crate::trial::{Attempt, TrialReport};

const BLOCKS_KEYCTL: CauseId = CauseId::new("seccomp-blocks-keyctl");
const FILTER: CauseId = CauseId::new("seccomp-filter-active");
const APPARMOR: CauseId = CauseId::new("apparmor-confined");
const NESTED_PROFILE: CauseId = CauseId::new("apparmor-denies-nested-profile");
const SELINUX: CauseId = CauseId::new("selinux-confined");

/// One finding for what was tried although `CAP_SYS_ADMIN` is held.
pub(super) fn judge(report: &TrialReport, label: &Label) -> Vec<Finding> {
    let mut findings = Vec::new();
    match report.first_failed() {
        Some(attempt) => findings.push(refused(attempt, label)),
        None => findings.push(Finding::pass("mount(2), unshare(2) and pivot_root(2) are let through")),
    }
    if let (Label::AppArmor(profile, true), None) = (label, report.first_failed()) {
        findings.push(
            Finding::warn(
                NESTED_PROFILE,
                format!("the AppArmor profile {profile} is enforced here, and may not allow docker-default to be loaded for inner containers"),
            )
            .with("path", "/proc/self/attr/current"),
        );
    }
    findings
}

/// Security modules answer EACCES, filters as a rule EPERM.
fn refused(attempt: &Attempt, label: &Label) -> Finding {
    let errno = attempt.error.as_ref().map_or(Errno::UnknownErrno, crate::host::HostError::errno);
    let finding = match (label, errno, attempt.name.as_str()) {
        (Label::AppArmor(profile, true), Errno::EACCES, call) => {
            Finding::fail(APPARMOR, format!("the AppArmor profile {profile} denies {}", said(call)))
                .hint("start the outer container with --privileged, or with --security-opt apparmor=unconfined")
        }
        (Label::Context(context), Errno::EACCES, call) => {
            Finding::fail(SELINUX, format!("SELinux denies {} to {context}", said(call)))
        }
        // Every default profile that refuses pivot_root refuses keyctl, which runc calls earlier; what is seen of
        // it is the session keyring.
        (_, _, "pivot-root") => Finding::fail(
            BLOCKS_KEYCTL,
            "the seccomp filter refuses pivot_root(2), as the default profiles do that refuse keyctl(2) as well",
        )
        .hint("start the outer container with --privileged, or with --security-opt seccomp=unconfined"),
        (_, _, call) => {
            Finding::fail(FILTER, format!("{} is refused although CAP_SYS_ADMIN is held", said(call)))
        }
    };
    match &attempt.error {
        Some(error) => finding.with("tried", error),
        None => finding,
    }
}

/// The system call behind an attempt.
fn said(attempt: &str) -> &'static str {
    match attempt {
        "mount" => "mount(2)",
        "mount-namespace" => "unshare(2) of the mount namespace",
        "network-namespace" => "unshare(2) of the network namespace",
        _ => "a call that runc makes",
    }
}

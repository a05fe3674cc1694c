//! Checks that the outer container has the privileges that an inner engine needs.
//!
//! What counts are the capabilities of a program started from here: the effective set within the bounding set. Three cases
//! have three remedies: a container that is not privileged; a privileged one under an engine that itself lacks
//! capabilities; and one that lacks only `CAP_SYS_RESOURCE`, which most containers do not need. Under a seccomp filter or a
//! security module capabilities are not enough, so a child tries the calls that runc makes.

use nix::errno::Errno;

use crate::diagnosis::{CauseId, causes};
use crate::facts::caps::{Cap, CapSet, names};
use crate::facts::confinement::{Label, UserNamespace};
use crate::facts::status::{Seccomp, Status};
use crate::finding::{Finding, Level};
use crate::host::Identity;
use crate::host::trial::{Trial, TrialReport};
use crate::step::{Cx, Phase, Step};

mod calls;
mod ids;
mod limits;
mod needs;

const NOT_ROOT: CauseId = causes::NOT_ROOT;
const NOT_PRIVILEGED: CauseId = causes::OUTER_CONTAINER_NOT_PRIVILEGED;
const NO_NET_ADMIN: CauseId = causes::NET_ADMIN_CAPABILITY_MISSING;
const ENGINE_LACKS: CauseId = causes::ENGINE_LACKS_CAPABILITY;
const NO_SYS_RESOURCE: CauseId = causes::CAP_SYS_RESOURCE_MISSING;
const NOT_EFFECTIVE: CauseId = causes::CAPABILITY_NOT_EFFECTIVE;
const NO_SYS_ADMIN: CauseId = causes::CAP_SYS_ADMIN_MISSING;
const NO_NEW_PRIVS: CauseId = causes::NO_NEW_PRIVILEGES;

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "privileges",
    title: "Privileges of the outer container",
    why: "Starting containers takes mounts, namespaces and network interfaces, which the kernel allows only a privileged container to make.",
    phase: Phase::Environment,
    worst: Level::Fail,
    needs: &[],
    rests_on: &[],
    check,
    repair: None,
};

/// A container that is not privileged lacks 24 of the first 38; one that lacks at most this many was meant to be privileged.
const FEW: usize = 12;

/// The state of this container.
struct Facts {
    identity: Identity,
    status: Status,
    label: Label,
    user_namespace: UserNamespace,
    /// The group of dockerd's socket, if its id is not mapped here.
    unmapped_group: Option<ids::Group>,
    /// The calls that runc makes, if something other than capabilities may forbid them.
    calls: Option<TrialReport>,
}

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let status = Status::read(cx.host)?;
    let label = Label::read(cx.host)?;
    let confined = status.seccomp != Seccomp::Off || !matches!(label, Label::None | Label::Unconfined);
    let worth_trying = confined && held(&status).has(Cap::SYS_ADMIN);
    let tried = worth_trying.then(|| cx.host.trial(&Trial::ContainerCalls)).transpose();
    let calls = match tried {
        Err(error) if status.seccomp != Seccomp::Off && error.errno() == Errno::EPERM => {
            return Ok(vec![calls::nothing_starts(&error)]);
        }
        tried => tried?,
    };
    let user_namespace = UserNamespace::read(cx.host)?;
    let unmapped_group = match &user_namespace {
        UserNamespace::Initial => None,
        UserNamespace::Mapped(_) => ids::unmapped_group(cx)?,
    };
    let identity = cx.host.identity();
    let mut findings = judge(&Facts { identity, status, label, user_namespace, unmapped_group, calls });
    // A daemon that runs already has limits of its own, and survived them.
    if cx.options.attach.is_none() {
        findings.extend(limits::judge(cx.host)?);
    }
    Ok(findings)
}

/// The capabilities of a program started from here.
fn held(status: &Status) -> CapSet {
    CapSet(status.effective.0 & status.bounding.0)
}

fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(root(facts));
    findings.extend(capabilities(facts));
    if let Some(report) = &facts.calls {
        findings.extend(calls::judge(report, &facts.label, facts.status.seccomp != Seccomp::Off));
    }
    findings.extend(no_new_privileges(&facts.status));
    findings.extend(ids::judge(&facts.user_namespace, facts.unmapped_group.as_ref()));
    findings
}

/// dockerd first checks that it runs as root (moby cmd/dockerd/daemon.go).
fn root(facts: &Facts) -> Option<Finding> {
    let euid = facts.identity.euid;
    (euid != 0).then(|| {
        Finding::fail(NOT_ROOT, format!("this is user {euid}, but dockerd starts only as user 0"))
            .with("euid", euid)
            .hint("start the outer container with --user 0, or run dindcheck by sudo; for a rootless daemon: DOCKERD=dindcheck dockerd-rootless.sh --profile rootless")
    })
}

/// The capabilities, the one that explains the most first. A user other than root has none, so its bounding set counts.
fn capabilities(facts: &Facts) -> Vec<Finding> {
    let status = &facts.status;
    let is_root = facts.identity.euid == 0;
    let held = if is_root { held(status) } else { status.bounding };
    let seen = |finding: Finding| {
        finding
            .with("path", "/proc/self/status")
            .with("CapEff", status.effective)
            .with("CapBnd", status.bounding)
    };
    let unmet = needs::unmet(held);
    if !unmet.is_empty() {
        let breaks: Vec<String> = unmet.iter().map(|(cap, breaks)| format!("{cap}: {breaks}")).collect();
        return vec![seen(lack(held, &unmet).with("without", breaks.join("; ")))];
    }
    let enough = "this container has every capability that dockerd and its containers need";
    let findings = is_root.then(|| std::iter::once(Finding::pass(enough)).chain(unneeded(held)));
    findings.into_iter().flatten().map(seen).collect()
}

/// Which of the three cases it is, by the number of missing capabilities.
fn lack(held: CapSet, unmet: &[(Cap, &str)]) -> Finding {
    let caps: Vec<Cap> = unmet.iter().map(|(cap, _)| *cap).collect();
    let missing = names(&caps);
    let lacks = held.lacks_up_to(Cap::LAST_OF_20_10).len();
    match caps.as_slice() {
        caps if !caps.contains(&Cap::SYS_ADMIN) && caps != [Cap::NET_ADMIN] => Finding::fail(
            ENGINE_LACKS,
            format!("this container has CAP_SYS_ADMIN but lacks {missing}: the outer engine lacks it or dropped it"),
        )
        .hint(format!(
            "give the outer engine {missing} (LXC: lxc.cap.drop; systemd: CapabilityBoundingSet), or start the outer container without --cap-drop"
        )),
        [Cap::NET_ADMIN] => {
            Finding::fail(NO_NET_ADMIN, "CAP_NET_ADMIN is missing; every other needed capability is present")
        }
        _ if lacks <= FEW => Finding::fail(NO_SYS_ADMIN, format!("{missing} is missing, and {lacks} of 38 capabilities in all")),
        _ => Finding::fail(
            NOT_PRIVILEGED,
            format!("the outer container is not privileged: {missing} is missing, and {lacks} of 38 capabilities in all"),
        ),
    }
}

/// Capabilities that only some containers ask for. Those above 37 are not needed: Docker 20.10 gives none of them.
fn unneeded(held: CapSet) -> Vec<Finding> {
    let lacks = held.lacks_up_to(Cap::LAST_OF_20_10);
    let (resource, others): (Vec<Cap>, Vec<Cap>) =
        lacks.into_iter().partition(|cap| *cap == Cap::SYS_RESOURCE);
    let resource = (!resource.is_empty()).then(|| {
        Finding::warn(
            NO_SYS_RESOURCE,
            "CAP_SYS_RESOURCE is missing: an inner container with a --ulimit above this container's hard limit does not start, nor does an inner --privileged container under Docker 20.10",
        )
    });
    let others = (!others.is_empty()).then(|| {
        Finding::warn(
            NOT_EFFECTIVE,
            format!(
                "{} are missing: inner --privileged containers do not have them, and do not start under Docker 20.10",
                names(&others)
            ),
        )
        .hint("start the outer container with --privileged")
    });
    resource.into_iter().chain(others).collect()
}

/// Every inner container inherits the bit (prctl(2), `PR_SET_NO_NEW_PRIVS`).
fn no_new_privileges(status: &Status) -> Option<Finding> {
    status.no_new_privs.then(|| {
        Finding::warn(
            NO_NEW_PRIVS,
            "no_new_privs is set: sudo, su and file capabilities have no effect in any inner container",
        )
        .with("path", "/proc/self/status")
        .with("NoNewPrivs", 1)
    })
}

#[cfg(test)]
mod tests;

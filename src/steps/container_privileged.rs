//! Checks that an inner `--privileged` container starts and has its privileges; and, where the profile asks for it, that a
//! dockerd runs in one.

use crate::diagnosis::{CauseId, causes};
use crate::engine::{ContainerRun, EngineError, Stage};
use crate::facts::caps::{Cap, CapSet, names};
use crate::facts::status::{Seccomp, Status};
use crate::facts::version::Version;
use crate::finding::{Finding, Level};
use crate::options::Need;
use crate::step::{Cx, Phase, Step};
use crate::workload;

mod third_level;

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "container-privileged",
    title: "Privileged inner container",
    why: "A third level of containers, and many build tools, need `--privileged` inside as well.",
    phase: Phase::Workload,
    worst: Level::Fail,
    needs: &[Need::Privileged, Need::Restart],
    rests_on: &["daemon-info", "image"],
    check,
    repair: None,
};

const FAILED: CauseId = causes::INNER_PRIVILEGED_CONTAINER_FAILED;
const CAPS: CauseId = causes::CAPABILITY_MISSING_FOR_CONTAINER;

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let alone;
    let run = if let Some(run) = cx.workload.privileged_beside() {
        run
    } else {
        alone = cx.workload.privileged();
        &alone
    };
    let own = Status::read(cx.host)?;
    let engine = cx.environment.borrow().engine.as_deref().and_then(Version::find);
    let mut findings: Vec<_> = cx.workload.wanted().expected.remap.iter().map(|by| kept_users(by)).collect();
    findings.extend(judge(run, &own, engine)?);
    if cx.options.profile.container.third_level {
        findings = third_level::add(cx, findings)?;
    }
    Ok(findings)
}

/// The daemon refuses a privileged container whose users it maps.
fn kept_users(by: &str) -> Finding {
    Finding::pass(format!(
        "a privileged inner container needs `--userns=host` here: {by} maps the users of all others"
    ))
}

/// `own` is the status of this container, and so of its daemon.
fn judge(run: &ContainerRun, own: &Status, engine: Option<Version>) -> anyhow::Result<Vec<Finding>> {
    let held = own.effective;
    if let Err(error) = &run.end {
        return Ok(vec![judge_refusal(run.stage, error, held, engine)?]);
    }
    let document = match workload::read(run) {
        Ok(document) => document,
        Err(finding) => return Ok(vec![finding]),
    };
    let Some(privileged) = &document.privileged else {
        return Ok(vec![Finding::fail(FAILED, "the probe did not test its privileges")]);
    };
    let given = CapSet::parse(&document.identity.capabilities).unwrap_or_default();
    let lacks: Vec<Cap> = (0..64).map(Cap).filter(|cap| held.has(*cap) && !given.has(*cap)).collect();
    let known = engine.is_some_and(|engine| engine < workload::GIVES_WHAT_IT_HAS);
    let lacks: Vec<Cap> = lacks.into_iter().filter(|cap| !known || *cap <= Cap::LAST_OF_20_10).collect();
    let wrong = [
        (!lacks.is_empty(), format!("lacks {}, which this container holds", names(&lacks))),
        // Every process inherits this container's filter.
        (document.identity.seccomp == "2" && own.seccomp == Seccomp::Off, "has a seccomp filter".to_owned()),
        (!privileged.sys_writable, "cannot write to /sys".to_owned()),
    ];
    let mut findings: Vec<_> = privileged
        .mount
        .iter()
        .map(|error| {
            Finding::fail(FAILED, format!("a privileged inner container cannot mount: {error}"))
                .with("errno", error.errno)
        })
        .collect();
    findings.extend(
        wrong
            .into_iter()
            .filter(|(wrong, _)| *wrong)
            .map(|(_, words)| Finding::fail(FAILED, format!("a privileged inner container {words}"))),
    );
    findings.push(
        Finding::pass("an inner --privileged container starts, mounts, and has this container's privileges")
            .with("capabilities", given)
            .with("devices", privileged.devices),
    );
    Ok(findings)
}

/// The container did not run. Docker 20.10 asks for every capability that it knows: where this container lacks one, only
/// privileged containers fail.
fn judge_refusal(
    stage: Stage,
    error: &EngineError,
    held: CapSet,
    engine: Option<Version>,
) -> anyhow::Result<Finding> {
    let finding = workload::failure(stage, error.clone(), FAILED)?;
    let lacks = workload::lacks_for_privileged(held, engine).filter(|_| finding.cause == Some(CAPS));
    let Some(lacks) = lacks.map(|lacks| names(&lacks)) else { return Ok(finding) };
    let what = format!(
        "an inner --privileged container does not start: Docker 20.10 asks for {lacks}, which this container lacks"
    );
    let message =
        finding.evidence.iter().find(|(key, _)| *key == "message").map(|(_, message)| message.clone());
    Ok(Finding::warn(CAPS, what)
        .with("lacks", &lacks)
        .with("message", message.unwrap_or_default())
        .hint("give the outer container that capability, or use Docker 23.0 or later inside"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Level;
    use crate::host::HostError;
    use crate::probe::privileged::Privileged;
    use crate::testing::problems;
    use nix::errno::Errno;

    const ALL: CapSet = CapSet(0x01ff_ffff_ffff);
    const NO_RESOURCE: CapSet = CapSet(0x01ff_feff_ffff);

    fn ran(caps: CapSet, change: impl FnOnce(&mut Privileged)) -> ContainerRun {
        let mut document = crate::probe::look(&crate::host::fake::Fake::new());
        document.identity.capabilities = caps.to_string();
        let mut privileged = Privileged { mount: None, devices: 150, sys_writable: true };
        change(&mut privileged);
        document.privileged = Some(privileged);
        ContainerRun { stdout: serde_json::to_vec(&document).unwrap(), ..ContainerRun::new() }
    }

    fn refused(message: &str) -> ContainerRun {
        let error = EngineError::Refused { doing: "start".into(), status: 500, message: message.into() };
        ContainerRun { stage: Stage::Start, end: Err(error), ..ContainerRun::new() }
    }

    fn status(effective: CapSet, seccomp: Seccomp) -> Status {
        Status { effective, bounding: effective, no_new_privs: false, seccomp }
    }

    fn seen(run: &ContainerRun, held: CapSet, engine: &str) -> Vec<(Level, &'static str)> {
        problems(&judge(run, &status(held, Seccomp::Off), Version::find(engine)).unwrap())
    }

    #[test]
    fn filter_of_the_outer_container_is_not_reported() {
        let mut document = crate::probe::look(&crate::host::fake::Fake::new());
        document.identity.capabilities = ALL.to_string();
        document.identity.seccomp = "2".into();
        document.privileged = Some(Privileged { mount: None, devices: 150, sys_writable: true });
        let run = ContainerRun { stdout: serde_json::to_vec(&document).unwrap(), ..ContainerRun::new() };
        let seen = |seccomp| problems(&judge(&run, &status(ALL, seccomp), None).unwrap());
        assert_eq!(seen(Seccomp::Filter), []);
        assert_eq!(seen(Seccomp::Off), [(Level::Fail, "inner-privileged-container-failed")]);
    }

    #[test]
    fn missing_privilege_fails() {
        assert_eq!(seen(&ran(NO_RESOURCE, |_| {}), NO_RESOURCE, "28.5.2"), []);
        assert_eq!(seen(&ran(CapSet(0x003f_ffff_ffff), |_| {}), ALL, "20.10.24"), []);
        let poor = seen(&ran(CapSet(0xa804_25fb), |_| {}), ALL, "28.5.2");
        assert_eq!(poor, [(Level::Fail, "inner-privileged-container-failed")]);
        let denied = ran(ALL, |had| had.mount = Some(HostError::new("mount", "/x", Errno::EPERM)));
        assert_eq!(seen(&denied, ALL, "28.5.2"), [(Level::Fail, "inner-privileged-container-failed")]);
    }

    #[test]
    fn old_engine_that_asks_for_missing_capabilities_warns() {
        let message = "OCI runtime create failed: unable to apply caps: operation not permitted: unknown";
        assert_eq!(
            seen(&refused(message), NO_RESOURCE, "20.10.24"),
            [(Level::Warn, "capability-missing-for-container")]
        );
        // If no capability is missing, or the engine is newer, it is a failure like any other.
        assert_eq!(
            seen(&refused(message), ALL, "20.10.24"),
            [(Level::Fail, "capability-missing-for-container")]
        );
        assert_eq!(
            seen(&refused(message), NO_RESOURCE, "28.5.2"),
            [(Level::Fail, "capability-missing-for-container")]
        );
        let other = seen(&refused("something new"), NO_RESOURCE, "20.10.24");
        assert_eq!(other, [(Level::Fail, "inner-privileged-container-failed")]);
    }
}

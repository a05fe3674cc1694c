//! Runs the first container to its end and checks where its cgroups are.
//!
//! The built-in image reports what it sees inside ([`Document`]). Its cgroups must be below this container's own, or the
//! limits of the outer container do not apply to it.

use std::path::Path;

use serde_json::json;

use crate::diagnosis::causes;
use crate::engine::image::Archive;
use crate::engine::{ContainerRun, ContainerSpec, EngineError, Stage};
use crate::facts::cgroup::{Cgroups, Hierarchy};
use crate::finding::{Finding, Level};
use crate::host::SystemReader;
use crate::options::ImageChoice;
use crate::options::RunOptions;
use crate::probe::Document;
use crate::profile::Container;
use crate::step::{Cx, Phase, Step};
use crate::text::seconds;
use crate::workload;

mod lifecycle;
mod slow;

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "container-run",
    title: "First container",
    why: "The runtime can fail at the first container although everything before it looks right.",
    phase: Phase::Workload,
    worst: Level::Fail,
    needs: &[],
    rests_on: &["image"],
    check,
    repair: None,
};

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let findings = ran(cx)?;
    Ok(findings.into_iter().map(|finding| workload::blame_filter(cx.host, finding)).collect())
}

/// What the container, or the probe, shows.
fn ran(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let Some(spec) = wanted(cx.options) else { return probe(cx) };
    let before = refused_forks(cx.host);
    let run = cx.engine.run(cx.options, &spec, cx.options.profile.container.timeout);
    if let Err(error) = run.end {
        let failure = judge_failure(run.stage, error, &run.stderr)?;
        return Ok(vec![beside_limit(failure, refused_forks(cx.host).saturating_sub(before))]);
    }
    let slow = slow::judge(&run.times);
    Ok(slow.into_iter().chain(judge_end(&cx.options.profile.container, &run)).collect())
}

/// The profile's own container; `None` where the probe runs instead.
fn wanted(options: &RunOptions) -> Option<ContainerSpec> {
    let command = &options.profile.container.command;
    let image = match &options.image {
        ImageChoice::Builtin if command.is_empty() => return None,
        ImageChoice::Builtin => Archive::reference(&options.run),
        ImageChoice::Reference(reference) => reference.clone(),
    };
    let mut body = json!({ "Image": image });
    if !command.is_empty() {
        body["Cmd"] = json!(command);
    }
    Some(ContainerSpec { role: "run", body, ..ContainerSpec::default() })
}

/// The probe, with everything that later steps check. If the daemon refuses some of that, those steps report it, as long
/// as a container without any of it runs.
fn probe(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let plain;
    let before = refused_forks(cx.host);
    let all = cx.workload.first();
    let mut run = all;
    if let Err(EngineError::Refused { .. }) = &all.end {
        plain = cx.engine.run(
            cx.options,
            &cx.workload.container("plain", &[]),
            cx.options.profile.container.timeout,
        );
        run = &plain;
    }
    if let Err(error) = &run.end {
        let failure = judge_failure(run.stage, error.clone(), &run.stderr)?;
        return Ok(vec![beside_limit(failure, refused_forks(cx.host).saturating_sub(before))]);
    }
    let mut findings = Vec::new();
    if let Err(error) = &all.end {
        let what = "a container with limits, a volume and a port was refused; one without them runs";
        findings.push(Finding::warn(causes::CONTAINER_START_FAILED, what).with("refused", error));
    }
    if cx.workload.was_retried() {
        let what = "the kernel OOM-killed the first probe together with its child process; the probe was run once more";
        findings.push(Finding::pass(what));
    }
    findings.extend(judge_document(run, &Cgroups::read(cx.host)?));
    findings.extend(lifecycle::judge_first(run)?);
    if let Some(together) = cx.workload.is_restarted().then(|| cx.workload.together()).flatten() {
        findings.extend(lifecycle::judge_second(together));
    }
    findings.extend(slow::judge(&run.times));
    // The headline of a passed step is its last finding.
    findings.extend(judge_end(&cx.options.profile.container, run));
    Ok(findings)
}

/// A container that did not run to its end.
fn judge_failure(stage: Stage, error: EngineError, stderr: &[u8]) -> anyhow::Result<Finding> {
    let refused =
        if stage == Stage::Create { causes::CONTAINER_CREATE_FAILED } else { causes::CONTAINER_START_FAILED };
    Ok(with_text(workload::failure(stage, error, refused)?, "stderr", stderr))
}

/// How often this container's own limit has refused a process so far (Documentation/admin-guide/cgroup-v2.rst,
/// `pids.events`).
fn refused_forks(host: &dyn SystemReader) -> u64 {
    let files = ["/sys/fs/cgroup/pids.events", "/sys/fs/cgroup/pids/pids.events"];
    let text = files.iter().find_map(|file| host.read_text(Path::new(file)).ok()).unwrap_or_default();
    let max = text.lines().find_map(|line| line.strip_prefix("max ")?.trim().parse().ok());
    max.unwrap_or_default()
}

/// A runtime that cannot start a thread fails with unspecific messages: a limit that refused one meanwhile is the better
/// cause.
fn beside_limit(mut finding: Finding, refused: u64) -> Finding {
    if refused == 0 || finding.cause != Some(causes::CONTAINER_START_FAILED) {
        return finding;
    }
    finding.cause = Some(causes::PIDS_LIMIT_REACHED);
    finding
        .with("pids.events max", refused)
        .hint("this container's own limit of processes refused one: start it with `--pids-limit=-1`, or a higher one")
}

/// Its exit code and its output against what the profile expects.
fn judge_end(wanted: &Container, run: &ContainerRun) -> Vec<Finding> {
    let code = *run.end.as_ref().unwrap_or(&-1);
    let mut findings = Vec::new();
    if code == wanted.exit_code {
        let took = seconds(run.took);
        findings.push(Finding::pass(format!("a container ran and ended with {code} in {took}")));
    } else {
        let wrong = if run.oom_killed { causes::OOM_KILLED } else { causes::CONTAINER_WRONG_EXIT_CODE };
        let unrunnable = workload::unrunnable(&String::from_utf8_lossy(&run.stderr));
        let what = format!("the container ended with {code}, and {} was expected", wanted.exit_code);
        let finding = match unrunnable.map(|advice| advice.or(wrong)) {
            Some((cause, hint)) => Finding { hint, ..Finding::fail(cause, what) },
            None => Finding::fail(wrong, what),
        };
        findings.push(with_text(with_text(finding, "stdout", &run.stdout), "stderr", &run.stderr));
    }
    if let Some(text) = &wanted.output {
        let printed = String::from_utf8_lossy(&run.stdout);
        if !printed.contains(text) {
            let what = format!("the container did not print `{text}`");
            let finding = Finding::fail(causes::CONTAINER_WRONG_OUTPUT, what);
            findings.push(with_text(with_text(finding, "stdout", &run.stdout), "stderr", &run.stderr));
        }
    }
    if !run.warnings.is_empty() {
        let what = "the daemon warned when it created the container";
        findings.push(Finding::pass(what).with("warnings", run.warnings.join("; ")));
    }
    findings
}

/// What a container printed, short, as evidence.
fn with_text(finding: Finding, key: &'static str, bytes: &[u8]) -> Finding {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    if text.is_empty() {
        return finding;
    }
    finding.with(key, text.chars().take(400).collect::<String>())
}

/// The report of the probe, and where its cgroups are.
fn judge_document(run: &ContainerRun, outer: &Cgroups) -> Vec<Finding> {
    let document = match workload::read(run) {
        Ok(document) => document,
        Err(finding) => return vec![finding],
    };
    let own = run.outside.clone().unwrap_or_else(|| document.cgroup.own.join("\n"));
    let mut findings = vec![summary(&document), judge_cgroups(&own, outer)];
    findings.extend(
        document.layers.faults().into_iter().map(|fault| {
            Finding::fail(causes::CONTAINER_FILESYSTEM_WRONG, format!("in the container {fault}"))
        }),
    );
    findings
}

/// Its cgroups: below this container's own in every hierarchy that the outer engine manages.
fn judge_cgroups(own: &str, outer: &Cgroups) -> Finding {
    let inner: Vec<(&str, &str)> = own.lines().filter_map(split_line).collect();
    let beside = |hierarchy: &&Hierarchy| {
        let name = hierarchy.controllers.join(",");
        let path = inner.iter().find(|(controllers, _)| *controllers == name).map(|(_, path)| *path);
        !outer.is_unmanaged(hierarchy)
            && path.is_some_and(|path| !is_within(path, outer.container_root(hierarchy)))
    };
    let mut strays: Vec<String> = outer.hierarchies.iter().filter(beside).map(Hierarchy::dir).collect();
    let unified = inner.iter().find(|(controllers, _)| controllers.is_empty()).map(|(_, path)| *path);
    if let (true, Some(path), Some(own)) = (outer.hierarchies.is_empty(), unified, &outer.v2_path) {
        strays.extend((!is_within(path, outer.of_container(own))).then(|| "the unified tree".to_owned()));
    }
    let finding = if strays.is_empty() {
        Finding::pass("the inner container's cgroup is below this container's own")
    } else {
        let cause = if outer.hierarchies.is_empty() {
            causes::CGROUP_HOST_NAMESPACE
        } else {
            causes::CGROUP_V1_FOREIGN_ROOT
        };
        Finding::warn(
            cause,
            format!(
                "the inner container's cgroup is outside of this container's own in {}: the limits of the outer container do not apply to it",
                strays.join(", ")
            ),
        )
    };
    let devices = inner.iter().find(|(name, _)| name.split(',').any(|one| one == "devices"));
    let shown = devices.or(inner.first()).map_or("?", |(_, path)| path);
    let outer_own = outer.hierarchy_of("devices").map(|hierarchy| hierarchy.path.clone());
    let outer_own = outer_own.or_else(|| outer.v2_path.clone()).unwrap_or_default();
    finding
        .with("cgroup", shown)
        .with("outer_cgroup", outer_own.display())
        .with("cgroups", own.trim().replace('\n', " "))
}

/// `4:memory:/docker/x` as controllers and path.
fn split_line(line: &str) -> Option<(&str, &str)> {
    let mut parts = line.splitn(3, ':').skip(1);
    Some((parts.next()?, parts.next()?))
}

/// Whether a cgroup is the ancestor or below it: in a hierarchy that it does not know (`misc`), an older runc leaves a
/// container in its own cgroup. The kernel shows a cgroup outside of the namespace as `/..` (`cgroup_namespaces(7)`).
fn is_within(path: &str, ancestor: &Path) -> bool {
    let ancestor = ancestor.to_str().unwrap_or_default().trim_end_matches('/');
    path.strip_prefix(ancestor)
        .is_some_and(|rest| (rest.is_empty() || rest.starts_with('/')) && !rest.starts_with("/.."))
}

/// The main results of the probe.
fn summary(document: &Document) -> Finding {
    let identity = &document.identity;
    let namespaces: Vec<_> = identity.namespaces.values().map(String::as_str).collect();
    let interfaces: Vec<_> = document
        .network
        .interfaces
        .iter()
        .map(|one| format!("{} mtu {} {}", one.name, one.mtu, one.addresses.join(" ")))
        .collect();
    Finding::pass(format!("inside, the probe is process {} of user {}", identity.pid, identity.uid))
        .with("hostname", &identity.hostname)
        .with("namespaces", namespaces.join(" "))
        .with("capabilities", &identity.capabilities)
        .with("seccomp", &identity.seccomp)
        .with("interfaces", interfaces.join("; "))
        .with("gateway", document.network.gateway.as_deref().unwrap_or("none"))
        .with("resolvers", document.network.resolvers.join(" "))
        .with("mounts", document.mounts.len())
        .with("root", root_of(document))
        .with("clock_ms", document.clock_ms)
}

/// The file system of its root.
fn root_of(document: &Document) -> String {
    let root = document.mounts.iter().rfind(|line| line.starts_with("/ "));
    root.map_or("?", String::as_str).to_owned()
}

#[cfg(test)]
mod tests;

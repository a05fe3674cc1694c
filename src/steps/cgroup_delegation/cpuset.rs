//! Checks that the v1 cpuset of this container is initialised: one without CPUs or memory nodes refuses processes (ENOSPC).

use std::path::Path;

use crate::diagnosis::causes;
use crate::facts::cgroup::Cgroups;
use crate::finding::{Finding, quoted};
use crate::host::SystemReader;

/// Checks the container's own cpuset, if it is mounted; runc copies these values to its children.
pub(super) fn check(host: &dyn SystemReader, cgroups: &Cgroups) -> anyhow::Result<Vec<Finding>> {
    let shown = |m: &&crate::facts::mounts::Mount| m.fstype == "cgroup" && m.super_options.contains("cpuset");
    let Some(mount) = cgroups.mounts.0.iter().rfind(shown).filter(|m| !m.super_options.contains("noprefix"))
    else {
        return Ok(vec![Finding::pass("cgroup v1: nothing needs to be delegated")]);
    };
    let mut findings = Vec::new();
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let path = mount.target.join(file);
        let Some(finding) = judge(file, host.read_if_there(&path)?.as_deref()) else { continue };
        findings.push(finding.with("path", path.display()).hint(fill(host, &mount.target)?));
    }
    if findings.is_empty() {
        findings
            .push(Finding::pass("cgroup v1: nothing needs to be delegated, and the cpuset is initialised"));
    }
    Ok(findings)
}

/// The commands that give it what this process itself may use (proc_pid_status(5)).
fn fill(host: &dyn SystemReader, mount: &Path) -> anyhow::Result<String> {
    let status = host.read_text(Path::new("/proc/self/status"))?;
    let allowed = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map_or("0", str::trim);
    let fill = |file: &str, value: &str| format!("echo {value} > {}", quoted(&mount.join(file)));
    let (cpus, mems) = (allowed("Cpus_allowed_list:"), allowed("Mems_allowed_list:"));
    Ok(format!("`{}; {}`", fill("cpuset.cpus", cpus), fill("cpuset.mems", mems)))
}

/// An empty value refuses every process.
fn judge(file: &str, value: Option<&str>) -> Option<Finding> {
    let cause = causes::CGROUP_V1_CPUSET_NOT_INITIALISED;
    match value {
        Some(value) if value.trim().is_empty() => Some(Finding::fail(
            cause,
            format!("{file} of this container is empty, so its cpuset refuses every process"),
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn only_an_empty_value_fails() {
        assert!(judge("cpuset.cpus", Some("\n")).is_some());
        assert!(judge("cpuset.cpus", Some("0-1\n")).is_none());
        assert!(judge("cpuset.cpus", None).is_none());
    }
}

//! Negotiates the API version and compares `docker info` with what was measured.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::diagnosis::causes;
use crate::engine::Versions;
use crate::facts::cgroup::{Cgroups, Mode};
use crate::finding::{Finding, Level};
use crate::step::{Cx, Phase, Step};

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "daemon-info",
    title: "Daemon information",
    why: "A daemon with another API version, storage driver or cgroup version than expected fails later, in another step.",
    phase: Phase::Daemon,
    worst: Level::Fail,
    needs: &[],
    rests_on: &["daemon-start"],
    check,
    repair: None,
};

/// The deadline of each request. Even a busy daemon answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let disagrees = causes::DAEMON_INFO_DISAGREES;
    let versions = match cx.engine.negotiate(PATIENCE) {
        Ok(versions) => versions,
        Err(error) => {
            return Ok(vec![error.into_finding(causes::API_VERSION_MISMATCH, causes::DAEMON_HANGS)?]);
        }
    };
    cx.environment.borrow_mut().engine = Some(versions.engine.clone());
    cx.environment.borrow_mut().api.clone_from(&versions.used);
    let mut findings = vec![judge_versions(&versions)];
    let info = match cx.engine.info(PATIENCE) {
        Ok(info) => info,
        Err(error) => {
            findings.push(error.into_finding(disagrees, causes::DAEMON_HANGS)?);
            return Ok(findings);
        }
    };
    let mode = Cgroups::read(cx.host).ok().map(|cgroups| cgroups.mode);
    cx.environment.borrow_mut().storage_driver = text(&info, "Driver").map(ToOwned::to_owned);
    findings.extend(judge_storage(&info));
    let systemd = cx.host.exists(Path::new("/run/systemd/system"))?;
    findings.extend(judge_cgroup(&info, mode, systemd));
    findings.extend(judge_warnings(&info, &cx.options.profile.controllers));
    Ok(findings)
}

/// A text of `/info`, if it is not empty.
fn text<'i>(info: &'i Value, key: &str) -> Option<&'i str> {
    info.get(key)?.as_str().filter(|text| !text.is_empty())
}

/// The API version that both sides support.
fn judge_versions(versions: &Versions) -> Finding {
    let finding = match &versions.used {
        Some(used) => Finding::pass(format!("Docker {} answers at API {used}", versions.engine)),
        None => Finding::fail(
            causes::API_VERSION_MISMATCH,
            format!(
                "Docker {} supports API {} to {}, dindcheck 1.24 to 1.52",
                versions.engine, versions.min, versions.max
            ),
        ),
    };
    finding.with("api_min", &versions.min).with("api_max", &versions.max)
}

/// The storage driver. dockerd falls back to vfs without an error.
fn judge_storage(info: &Value) -> Vec<Finding> {
    let Some(driver) = text(info, "Driver") else {
        return Vec::new();
    };
    let root = text(info, "DockerRootDir").unwrap_or("?");
    let finding = if driver == "vfs" {
        Finding::warn(
            causes::VFS_STORAGE_DRIVER,
            "the daemon uses the vfs storage driver: slow, and every layer is a full copy",
        )
    } else {
        Finding::pass(format!("the storage driver is {driver}"))
    };
    let mut finding = finding.with("driver", driver).with("data_root", root);
    for pair in info.get("DriverStatus").and_then(Value::as_array).into_iter().flatten() {
        let word = |index: usize| pair.get(index).and_then(Value::as_str);
        if word(0) == Some("Backing Filesystem") {
            finding = finding.with("backing_filesystem", word(1).unwrap_or_default());
        }
    }
    vec![finding]
}

/// The daemon's cgroup version against the mounted one. Docker 20.10 and later report it.
fn judge_cgroup(info: &Value, mode: Option<Mode>, systemd: bool) -> Vec<Finding> {
    let Some(version) = text(info, "CgroupVersion") else {
        return Vec::new();
    };
    let driver = text(info, "CgroupDriver").unwrap_or("?");
    let expected = match mode {
        Some(Mode::V2) => Some("2"),
        Some(Mode::V1 | Mode::Hybrid) => Some("1"),
        Some(Mode::None) | None => None,
    };
    let finding = match expected {
        Some(expected) if expected != version => Finding::warn(
            causes::DAEMON_INFO_DISAGREES,
            format!("the daemon reports cgroup v{version}, but v{expected} is mounted here"),
        ),
        _ => Finding::pass(format!("the daemon uses cgroup v{version} with the {driver} driver")),
    };
    let mut findings = vec![finding.with("cgroup_version", version).with("cgroup_driver", driver)];
    if driver == "systemd" && !systemd {
        findings.push(Finding::fail(
            causes::SYSTEMD_CGROUP_DRIVER_WITHOUT_SYSTEMD,
            "the daemon uses the systemd cgroup driver, but systemd does not run here",
        ));
    }
    findings
}

/// Fields of `/info` and the controller behind each (moby `pkg/sysinfo`).
const LIMITS: &[(&str, &str)] =
    &[("MemoryLimit", "memory"), ("PidsLimit", "pids"), ("CpuCfsQuota", "cpu"), ("CPUSet", "cpuset")];

/// Limits that the daemon cannot give, and its own warnings.
fn judge_warnings(info: &Value, wanted: &crate::profile::Controllers) -> Vec<Finding> {
    let lacks = LIMITS.iter().filter(|(key, _)| info.get(*key).and_then(Value::as_bool) == Some(false));
    let mut findings: Vec<Finding> = lacks
        .filter_map(|(key, controller)| {
            let is_in = |list: &[String]| list.iter().any(|name| name == controller);
            let what = format!("the daemon cannot limit {controller}: it drops such limits without an error");
            let cause = causes::CGROUP_LIMIT_CONTROLLER_UNAVAILABLE;
            let finding = match (is_in(&wanted.required), is_in(&wanted.wanted)) {
                (true, _) => Finding::fail(cause, what),
                (false, true) => Finding::warn(cause, what),
                (false, false) => return None,
            };
            Some(finding.with("info", format!("{key}=false")))
        })
        .collect();
    let warnings: Vec<_> = info
        .get("Warnings")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if !warnings.is_empty() {
        let counted = format!("the daemon has {} warnings about its environment", warnings.len());
        findings.push(Finding::pass(counted).with("warnings", warnings.join("; ")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::finding::Level;
    use crate::profile::Controllers;

    fn wanted(required: &[&str], wanted: &[&str]) -> Controllers {
        let words = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Controllers { required: words(required), wanted: words(wanted) }
    }

    #[test]
    fn no_common_api_version_fails() {
        let versions = Versions { engine: "99".into(), max: "1.90".into(), min: "1.80".into(), used: None };
        let finding = judge_versions(&versions);
        assert_eq!(finding.level, Level::Fail);
        assert!(finding.what.contains("1.80 to 1.90"), "{}", finding.what);
    }

    #[test]
    fn vfs_warns() {
        let finding = &judge_storage(&json!({"Driver": "vfs", "DockerRootDir": "/d"}))[0];
        assert_eq!(finding.level, Level::Warn);
        let status = json!({"Driver": "overlay2", "DriverStatus": [["Backing Filesystem", "extfs"]]});
        let finding = &judge_storage(&status)[0];
        assert_eq!(finding.level, Level::Pass);
        assert!(finding.evidence.contains(&("backing_filesystem", "extfs".into())));
        assert!(judge_storage(&json!({})).is_empty());
    }

    #[test]
    fn other_cgroup_version_than_mounted_fails() {
        let info = json!({"CgroupVersion": "1", "CgroupDriver": "cgroupfs"});
        assert_eq!(judge_cgroup(&info, Some(Mode::Hybrid), false)[0].level, Level::Pass);
        assert_eq!(judge_cgroup(&info, Some(Mode::V2), false)[0].level, Level::Warn);
        assert_eq!(judge_cgroup(&info, None, false)[0].level, Level::Pass);
    }

    #[test]
    fn missing_limit_counts_as_the_profile_says() {
        let info = json!({"MemoryLimit": false, "PidsLimit": false, "CpuCfsQuota": true});
        let levels = |required: &[&str], also: &[&str]| {
            judge_warnings(&info, &wanted(required, also)).iter().map(|f| f.level).collect::<Vec<_>>()
        };
        assert_eq!(levels(&["memory"], &["pids"]), [Level::Fail, Level::Warn]);
        assert_eq!(levels(&[], &[]), []);
        let warned = judge_warnings(&json!({"Warnings": ["WARNING: x", "WARNING: y"]}), &wanted(&[], &[]));
        assert_eq!((warned.len(), warned[0].level), (1, Level::Pass));
    }
}

//! Checks that the v1 device cgroup of this container allows what inner containers ask for: a child cannot get a device that
//! its parent lacks (Documentation/admin-guide/cgroup-v1/devices.rst).

use std::path::Path;

use crate::diagnosis::{CauseId, causes};
use crate::facts::cgroup::Cgroups;
use crate::facts::confinement::UserNamespace;
use crate::facts::programs::{self, Place, Said, VERSION};
use crate::facts::version::Version;
use crate::finding::Finding;
use crate::step::Cx;
use crate::steps::container_privileged;

const DENIED: CauseId = causes::OUTER_DEVICE_CGROUP_DENIES_DEVICE;

/// The rule that allows everything, which an inner `--privileged` container asks for.
const EVERYTHING: &str = "a *:* rwm";
/// What runc and dockerd allow in every container (runc libcontainer/specconv, `AllowedDevices`; moby
/// oci/devices/defaults).
const ASKED: &[&str] = &[
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:1 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
];
/// runc before 1.2.0 also allows /dev/net/tun.
const TUN: &str = "c 10:200 rwm";

/// Checks the list of this container's own cgroup.
pub(super) fn check(cx: &Cx<'_>, cgroups: &Cgroups) -> anyhow::Result<Option<Finding>> {
    let devices = cgroups.hierarchy_of("devices");
    let mount = devices.and_then(|devices| cgroups.mounts.0.iter().rfind(|mount| devices.is_shown_by(mount)));
    // In a user namespace runc does not set device rules.
    if mount.is_none() || UserNamespace::read(cx.host)? != UserNamespace::Initial {
        return Ok(None);
    }
    let path = mount.map(|mount| mount.target.join("devices.list")).unwrap_or_default();
    let Some(list) = cx.host.read_if_there(&path)? else { return Ok(None) };
    if list.trim().is_empty() || list.lines().any(|line| line.trim() == EVERYTHING) {
        return Ok(None);
    }
    let tun = runc(cx)?.is_none_or(|version| version < Version::new(1, 2, 0)).then_some(TUN);
    let missing: Vec<&str> =
        ASKED.iter().copied().chain(tun).filter(|rule| !is_granted(&list, rule)).collect();
    let privileged = cx.options.runs(container_privileged::STEP.id);
    Ok(Some(
        judge(&missing, privileged)
            .with("path", path.display())
            .with("list", list.trim().replace('\n', ", ")),
    ))
}

/// The version of runc; `binaries` has already asked for it.
fn runc(cx: &Cx<'_>) -> anyhow::Result<Option<Version>> {
    let Place::At(path) = programs::find(cx.host, "runc", &programs::path_dirs(cx.host))? else {
        return Ok(None);
    };
    Ok(match programs::ask(cx.host, Path::new(&path), VERSION, &[0]) {
        Said::Answered(version, _) => version,
        _ => None,
    })
}

/// Whether one line of the list grants the whole rule.
fn is_granted(list: &str, rule: &str) -> bool {
    let words = |line: &str| -> Option<[String; 4]> {
        let mut words = line.split_whitespace();
        let (kind, numbers, access) = (words.next()?, words.next()?, words.next()?);
        let (major, minor) = numbers.split_once(':')?;
        Some([kind, major, minor, access].map(ToOwned::to_owned))
    };
    let Some([kind, major, minor, access]) = words(rule) else { return false };
    list.lines().filter_map(words).any(|[of, from, to, may]| {
        (of == "a" || of == kind)
            && (from == "*" || from == major)
            && (to == "*" || to == minor)
            && access.chars().all(|one| may.contains(one))
    })
}

/// Whether every container fails, or only one with `--privileged`.
fn judge(missing: &[&str], privileged: bool) -> Finding {
    if !missing.is_empty() {
        let what = format!(
            "the device cgroup of this container lacks {} of the rules that every inner container gets ({}): no container starts",
            missing.len(),
            missing.join(", ")
        );
        return Finding::fail(DENIED, what);
    }
    let what = "the device cgroup of this container allows only a list of devices: no inner --privileged container starts";
    if privileged { Finding::fail(DENIED, what) } else { Finding::warn(DENIED, what) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Level;

    #[test]
    fn rule_is_granted_by_one_line_that_contains_it() {
        let list = "c *:* m\nc 1:3 rwm\nc 136:* rw\n";
        assert!(is_granted(list, "c 1:3 rwm") && is_granted(list, "c *:* m") && is_granted(list, "c 5:1 m"));
        assert!(!is_granted(list, "c 136:* rwm") && !is_granted(list, "b *:* m") && !is_granted("", TUN));
        assert!(is_granted("c *:* rwm\n", TUN));
    }

    #[test]
    fn complete_list_fails_privileged_containers_only() {
        assert_eq!(judge(&[TUN], false).level, Level::Fail);
        assert_eq!([judge(&[], true).level, judge(&[], false).level], [Level::Fail, Level::Warn]);
    }
}

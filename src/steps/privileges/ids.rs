//! Checks that this user namespace maps the ids that an engine and its images need.

use std::path::Path;

use crate::diagnosis::{CauseId, causes};
use crate::facts::confinement::UserNamespace;
use crate::facts::daemon::Daemon;
use crate::facts::daemon::hosts::Listen;
use crate::finding::Finding;
use crate::host::HostResult;
use crate::step::Cx;

const USER_NAMESPACE: CauseId = causes::USER_NAMESPACE;
const NARROW_MAP: CauseId = causes::IMAGE_UID_OUTSIDE_MAPPED_RANGE;

/// The group of dockerd's unix socket, unless `--group` names another.
const DEFAULT_GROUP: &str = "docker";
const GROUPS: &str = "/etc/group";
const GID_MAP: &str = "/proc/self/gid_map";

/// The name and number of a group.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    name: String,
    gid: u64,
}

/// The group of dockerd's unix socket, if its id is not mapped: then chown(2) fails with EINVAL and dockerd exits
/// (go-connections sockets/unix_socket_unix.go). If the group does not exist, dockerd uses 0.
pub(super) fn unmapped_group(cx: &Cx<'_>) -> HostResult<Option<Group>> {
    let settings = Daemon::read(cx.host, &cx.options.daemon()).ok().map(|daemon| daemon.settings);
    let unix = |listen: &Listen| matches!(listen, Listen::Unix(_));
    if settings.as_ref().is_some_and(|settings| !settings.hosts.iter().any(unix)) {
        return Ok(None);
    }
    let named = settings.as_ref().and_then(|settings| settings.values.text("group"));
    let name = named.unwrap_or(DEFAULT_GROUP);
    let groups = cx.host.read_if_there(Path::new(GROUPS))?.unwrap_or_default();
    let map = cx.host.read_if_there(Path::new(GID_MAP))?.unwrap_or_default();
    Ok(number(&groups, name)
        .filter(|gid| !is_mapped(&map, *gid))
        .map(|gid| Group { name: name.to_owned(), gid }))
}

/// The number of a group: third field of group(5), or the name itself.
fn number(groups: &str, name: &str) -> Option<u64> {
    let line = groups.lines().find(|line| line.split(':').next() == Some(name));
    line.and_then(|line| line.split(':').nth(2)?.trim().parse().ok()).or_else(|| name.parse().ok())
}

/// Whether a map of user_namespaces(7) contains the id; a kernel without user namespaces has no map.
fn is_mapped(map: &str, id: u64) -> bool {
    let holds = |line: &str| {
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
        let (first, count) = (numbers.next()?, numbers.nth(1)?);
        Some(id >= first && id - first < count)
    };
    map.trim().is_empty() || map.lines().filter_map(holds).any(|held| held)
}

/// Docker works in a user namespace, with the ids that are mapped there.
pub(super) fn judge(user_namespace: &UserNamespace, group: Option<&Group>) -> Option<Finding> {
    let UserNamespace::Mapped(map) = user_namespace else { return None };
    let ids: u64 = map.split(", ").filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum();
    let seen = |finding: Finding| finding.with("path", "/proc/self/uid_map").with("map", map);
    if let Some(Group { name, gid }) = group {
        let what = format!(
            "the group {name} ({gid}) is not mapped in this user namespace: dockerd cannot chown its socket and exits"
        );
        let hint = format!("map group {gid}, or start dockerd with --group 0");
        return Some(seen(Finding::fail(NARROW_MAP, what)).with("groups", GID_MAP).hint(hint));
    }
    let (cause, effect) = if ids < 65_536 {
        (NARROW_MAP, "images with files of unmapped owners cannot be unpacked")
    } else {
        (USER_NAMESPACE, "device rules of inner containers are not enforced")
    };
    Some(seen(Finding::warn(cause, format!("this is a user namespace of {ids} ids: {effect}"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Level;
    use crate::host::fake::Fake;
    use crate::testing::{check_with, problems};

    const STATUS: &str =
        "CapEff:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\nNoNewPrivs:\t0\nSeccomp:\t0\n";

    fn seen(map: &str, args: &[&str]) -> Vec<(Level, &'static str)> {
        let host = Fake::new()
            .file("/proc/self/status", STATUS)
            .file("/proc/self/uid_map", map)
            .file(GID_MAP, map)
            .file(GROUPS, "root:x:0:\ndocker:x:103:\nstaff:x:50:\n")
            .variable("PATH", "/usr/bin")
            .program("/usr/bin/dockerd --version", 0, "Docker version 28.5.2, build 1");
        problems(&check_with(&super::super::STEP, &host, args).unwrap())
    }

    #[test]
    fn unmapped_group_of_the_socket_fails() {
        assert_eq!(seen("0 1000 1\n", &[]), [(Level::Fail, "image-uid-outside-mapped-range")]);
        assert_eq!(seen("0 1000 104\n", &[]), [(Level::Warn, "image-uid-outside-mapped-range")]);
        assert_eq!(
            seen("0 1000 60\n", &["--group=staff"]),
            [(Level::Warn, "image-uid-outside-mapped-range")]
        );
        assert_eq!(seen("0 1000 1\n", &["-G", "0"]), [(Level::Warn, "image-uid-outside-mapped-range")]);
        let tcp = ["-H", "tcp://127.0.0.1:2375"];
        assert_eq!(seen("0 1000 1\n", &tcp), [(Level::Warn, "image-uid-outside-mapped-range")]);
        assert_eq!(seen("0 1000 1\n1 100000 65536\n", &[]), [(Level::Warn, "user-namespace")]);
    }

    #[test]
    fn group_is_found_by_name_or_number() {
        let groups = "docker:x:103:a,b\n";
        assert_eq!(
            [number(groups, "docker"), number(groups, "7"), number("", "docker")],
            [Some(103), Some(7), None]
        );
        assert!(is_mapped("", 7) && is_mapped("0 0 4294967295\n", 103) && !is_mapped("0 5 2\n", 2));
    }
}

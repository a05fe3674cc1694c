//! Checks quotas of the host that all containers share: kernel keys and inotify watches.

use std::path::Path;

use crate::diagnosis::{CauseId, causes};
use crate::finding::Finding;
use crate::host::{HostResult, SystemReader};

const KEYS_USED_UP: CauseId = causes::KEYRING_QUOTA_EXCEEDED;
const FEW_KEYS: CauseId = causes::KEYRING_QUOTA_LOW;
const FEW_WATCHES: CauseId = causes::INOTIFY_LIMIT_LOW;

/// Keys in use by user (security/keys/proc.c, `proc_key_users_show`).
const KEY_USERS: &str = "/proc/key-users";
/// The quota of root, which dockerd raises at start if it may.
const ROOT_MAXKEYS: &str = "/proc/sys/kernel/keys/root_maxkeys";
/// runc makes a keyring for each container; a lower quota is used up soon (kubelet sets 1000000).
const ENOUGH_KEYS: u64 = 10_000;
/// The kernel's defaults since 2.6.
const WATCHES: &[(&str, u64)] =
    &[("/proc/sys/fs/inotify/max_user_instances", 128), ("/proc/sys/fs/inotify/max_user_watches", 8192)];

pub(super) fn judge(host: &dyn SystemReader) -> HostResult<Vec<Finding>> {
    let mut findings = Vec::new();
    findings.extend(keys_in_use(host)?);
    let number = |path: &str| -> HostResult<Option<u64>> {
        Ok(host.read_if_there(Path::new(path))?.and_then(|text| text.trim().parse().ok()))
    };
    if let Some(keys) = number(ROOT_MAXKEYS)?.filter(|keys| *keys < ENOUGH_KEYS) {
        findings.push(
            Finding::warn(
                FEW_KEYS,
                format!("the quota of root is {keys} kernel keys, and each inner container uses one or two"),
            )
            .with("path", ROOT_MAXKEYS)
            .hint(
                "on the host: `sysctl -w kernel.keys.root_maxkeys=1000000 kernel.keys.root_maxbytes=25000000`",
            ),
        );
    }
    for (path, usual) in WATCHES {
        if let Some(value) = number(path)?.filter(|value| value < usual) {
            findings.push(
                Finding::warn(FEW_WATCHES, format!("{path} is {value}, below the default of the kernel, {usual}: programs that watch files may fail"))
                    .with("path", path)
                    .with("value", value)
                    .hint(format!("on the host: `sysctl -w {}={usual}`", path.trim_start_matches("/proc/sys/").replace('/', "."))),
            );
        }
    }
    Ok(findings)
}

/// The row of user 0: `0: usage nkeys/nikeys qnkeys/maxkeys qnbytes/maxbytes`.
fn keys_in_use(host: &dyn SystemReader) -> HostResult<Option<Finding>> {
    let Some(text) = host.read_if_there(Path::new(KEY_USERS))? else { return Ok(None) };
    let row = text.lines().find_map(|line| line.trim_start().strip_prefix("0:"));
    let quotas = row.map(|row| row.split_whitespace().skip(2).filter_map(quota).collect::<Vec<_>>());
    let full = quotas.into_iter().flatten().find(|(used, most)| used >= most);
    Ok(full.map(|(used, most)| {
        Finding::fail(
            KEYS_USED_UP,
            format!("user 0 has used up its quota of kernel keys ({used} of {most}): no container can start"),
        )
        .with("path", KEY_USERS)
        .hint("on the host: `sysctl -w kernel.keys.root_maxkeys=1000000 kernel.keys.root_maxbytes=25000000`")
    }))
}

/// `4/1000000`.
fn quota(field: &str) -> Option<(u64, u64)> {
    let (used, most) = field.split_once('/')?;
    Some((used.parse().ok()?, most.parse().ok()?))
}

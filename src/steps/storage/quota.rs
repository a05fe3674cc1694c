//! Checks the size limit of containers (`overlay2.size`, `size` of vfs), which needs project quotas of the file system.

use super::directory::about;
use super::driver;
use super::look::Seen;
use crate::diagnosis::causes;
use crate::facts::daemon::Store;
use crate::facts::filesystem::{self, XFS};
use crate::finding::Finding;

/// The option with the limit, if it is set to more than nothing.
fn limit<'s>(seen: &'s Seen, driver: &str) -> Option<(&'static str, &'s str)> {
    let key = match driver {
        "overlay2" => "overlay2.size",
        "vfs" => "size",
        _ => return None,
    };
    let mut values = seen.options.iter().filter_map(|option| option.split_once('='));
    let (_, value) = values.rfind(|(name, _)| name.trim().eq_ignore_ascii_case(key))?;
    let digits = value.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic());
    (digits.trim().parse::<f64>().is_ok_and(|size| size > 0.0)).then_some((key, value))
}

/// The finding where the limit cannot be kept: dockerd does not start (`Init` of graphdriver/overlay2).
pub(super) fn judge(seen: &Seen) -> Option<Finding> {
    if !matches!(seen.store, Store::Graph(_)) {
        return None;
    }
    let driver = driver::expected(seen);
    if let (Store::Graph(None), "vfs", Some((key, value))) = (&seen.store, driver, limit(seen, "overlay2")) {
        let what = format!(
            "storage-opt `{key}={value}` is refused by vfs, which dockerd falls back to here: dockerd does not start"
        );
        let finding = about(seen, Finding::fail(causes::STORAGE_QUOTA_UNSUPPORTED, what));
        return Some(finding.hint(remedy(seen, key)));
    }
    let (key, value) = limit(seen, driver)?;
    let kind = filesystem::name(seen.fs.magic);
    let is_xfs = seen.fs.magic & 0xffff_ffff == XFS;
    let quota = |word: &str| seen.mount.as_ref().is_some_and(|mount| mount.super_options.contains(word));
    let base = seen.base.display();
    let why = if !is_xfs {
        format!("{base} is on {kind}")
    } else if !["prjquota", "pquota", "pqnoenforce"].into_iter().any(quota) {
        format!("{base} is on xfs that is mounted without pquota")
    } else {
        return None;
    };
    let what = format!(
        "storage-opt `{key}={value}` needs xfs that is mounted with pquota, and {why}: dockerd does not start"
    );
    let finding = Finding::fail(causes::STORAGE_QUOTA_UNSUPPORTED, what);
    Some(about(seen, finding).hint(remedy(seen, key)))
}

/// Without the limit, or with a file system that keeps it.
fn remedy(seen: &Seen, key: &str) -> String {
    let named =
        |(option, _): &&(String, String)| option.split('=').next().is_some_and(|name| name.trim() == key);
    let undo = seen.options_undo.iter().find(named).map_or("do without the limit", |(_, undo)| undo.as_str());
    format!("{undo}; or mount xfs with `-o pquota` at {}", seen.data_root.display())
}

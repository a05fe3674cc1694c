//! A disk below the data root that takes long for an fsync(2): databases, package managers and the engine itself wait for it.

use crate::diagnosis::causes;
use crate::finding::Finding;
use crate::probe::storage::Storage;

/// A small file is on the disk in this many microseconds, or the disk is called slow: a disk of rotating platters takes 10 to
/// 30 ms, a network volume 5 to 50 ms.
const SLOW_US: u64 = 100_000;

/// A warning where the median is above that, in the root or in a volume.
pub(super) fn judge(storage: &Storage) -> Option<Finding> {
    let times = [("the root", storage.sync_root_us), ("a volume", storage.sync_volume_us)];
    let slow: Vec<_> = times
        .into_iter()
        .filter_map(|(place, us)| {
            us.filter(|us| *us > SLOW_US).map(|us| format!("{} ms in {place}", us / 1000))
        })
        .collect();
    let what = format!("an fsync of a small file in an inner container takes {}", slow.join(", "));
    (!slow.is_empty()).then(|| Finding::warn(causes::DATA_ROOT_SLOW, what).with("limit", "100 ms"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Level;
    use crate::host::trial::TrialReport;
    use crate::probe::storage::Life;

    #[test]
    fn disk_that_takes_more_than_100_ms_is_a_warning_with_the_figure() {
        let took = |root, volume| Storage {
            life: Life::First,
            tried: TrialReport::default(),
            sync_root_us: root,
            sync_volume_us: volume,
        };
        assert_eq!(judge(&took(Some(100_000), None)), None);
        let slow = judge(&took(Some(2_345_678), Some(900))).unwrap();
        assert_eq!((slow.level, slow.cause), (Level::Warn, Some(causes::DATA_ROOT_SLOW)));
        assert!(slow.what.ends_with("takes 2345 ms in the root"), "{}", slow.what);
    }
}

//! Compares the clock with the time of the engine's files: a clock before that is wrong, and certificates seem not yet valid.

use std::path::Path;

use crate::diagnosis::causes;
use crate::facts::programs::{Dockerd, Place};
use crate::finding::Finding;
use crate::host::SystemReader;

/// A file whose mtime is the clock: the kernel sets it when the inode is first used (fs/proc/base.c,
/// `proc_pid_make_inode`), after this program started. `btime` and the uptime do not serve: a container may show its own.
const MADE_NOW: &str = "/proc/self/status";
/// Nanoseconds of a day: the time in a package may be in another time zone.
const DAY: i64 = 24 * 60 * 60 * 1_000_000_000;

/// The finding if the clock is wrong.
pub(super) fn judge(host: &dyn SystemReader, dockerd: &Dockerd) -> Option<Finding> {
    let Place::At(path) = &dockerd.place else { return None };
    let made = host.stat(path).ok()?.mtime;
    let now = host.stat(Path::new(MADE_NOW)).ok().map(|stat| stat.mtime).filter(|mtime| *mtime > 0)?;
    let days = (made - now) / DAY;
    let what = format!(
        "the clock is at least {days} days slow, earlier than the file {}: certificates of registries may seem not yet valid",
        path.display()
    );
    (days > 0).then(|| {
        Finding::warn(causes::SYSTEM_CLOCK_WRONG, what)
            .with("now", now / 1_000_000_000)
            .with("made", made / 1_000_000_000)
            .hint("check `date -u`; a container has the host's clock, so set it on the host")
    })
}

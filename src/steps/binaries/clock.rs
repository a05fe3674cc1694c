//! Is it later than the engine was made? A clock that says otherwise is wrong, and takes every certificate for not yet
//! valid.

use std::path::Path;

use crate::diagnosis::causes;
use crate::facts::programs::{Dockerd, Place};
use crate::finding::Finding;
use crate::host::SystemReader;

/// The kernel gives it the time at which it was first looked at (fs/proc/base.c, `proc_pid_make_inode`), which is since
/// this program was started; `btime` and the uptime are not the clock where a container shows its own of them.
const MADE_NOW: &str = "/proc/self/status";
/// Nanoseconds of a day. What packages say of their time may be that of another time zone.
const DAY: i64 = 24 * 60 * 60 * 1_000_000_000;

/// What is wrong with the clock, if anything can be told.
pub(super) fn judge(host: &dyn SystemReader, dockerd: &Dockerd) -> Option<Finding> {
    let Place::At(path) = &dockerd.place else { return None };
    let made = host.stat(path).ok()?.mtime;
    let now = host.stat(Path::new(MADE_NOW)).ok().map(|stat| stat.mtime).filter(|mtime| *mtime > 0)?;
    let days = (made - now) / DAY;
    let what = format!(
        "the clock is at least {days} days slow, it is earlier than the file {}: no certificate of a registry may be valid yet",
        path.display()
    );
    (days > 0).then(|| {
        Finding::warn(causes::SYSTEM_CLOCK_WRONG, what)
            .with("now", now / 1_000_000_000)
            .with("made", made / 1_000_000_000)
            .hint("date -u says what this machine takes for now; containers have the machine's clock, so set it there")
    })
}

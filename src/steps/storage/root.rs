//! Checks the path of the data root itself, before what is on it.

use crate::diagnosis::causes;
use crate::facts::daemon::{Daemon, Settings};
use crate::facts::directories::Obstacle;
use crate::finding::{Finding, quoted_text};
use crate::host::{HostResult, SystemReader};

/// What keeps dockerd from making or finding its data root: a relative path, which containerd and runc resolve from another
/// directory (measured: no container starts, and 20.10 hangs), a dangling link, a loop, a file.
pub(super) fn judge(host: &dyn SystemReader, settings: &Settings) -> HostResult<Option<Finding>> {
    let root = &settings.data_root;
    let fail =
        |what: String| Finding::fail(causes::DATA_ROOT_NOT_WRITABLE, what).with("path", root.display());
    if root.is_relative() {
        let what =
            format!("the data root `{}` is a relative path: no container starts there", root.display());
        return Ok(Some(fail(what).hint("set an absolute path: `--data-root=/var/lib/docker`")));
    }
    Ok(Obstacle::find(host, root)?.filter(|obstacle| !matches!(obstacle, Obstacle::NotADirectory(_))).map(
        |obstacle| {
            obstacle.add_to(fail(format!(
                "dockerd cannot make its data root {}: {}",
                root.display(),
                obstacle.why()
            )))
        },
    ))
}

/// The directory of temporary files in the data root, if it is a mount of its own: dockerd does not start where it cannot
/// write there. A file or link of that name is renamed.
pub(super) fn temporary(host: &dyn SystemReader, daemon: &Daemon) -> anyhow::Result<Option<Finding>> {
    let dir = daemon.settings.data_root.join("tmp");
    if host.env_os("DOCKER_TMPDIR").is_some_and(|dir| !dir.is_empty()) {
        return Ok(None);
    }
    let mounts = crate::facts::mounts::Mounts::read(host)?;
    let Some(mount) = mounts.at(&dir) else { return Ok(None) };
    if mount.is_read_only() || mount.is_super_read_only() {
        let what = format!("{} is read-only, and dockerd does not start without it", dir.display());
        let hint = format!("`umount {}`", quoted_text(&dir.to_string_lossy()));
        return Ok(Some(
            Finding::fail(causes::DATA_ROOT_READ_ONLY, what).with("path", dir.display()).hint(hint),
        ));
    }
    let fs = host.statfs(&dir)?;
    Ok((fs.size > 0 && fs.free < 4096 || fs.inodes > 0 && fs.inodes_free == 0).then(|| {
        let what = format!("{} is full, and dockerd unpacks images there", dir.display());
        let hint = format!("`umount {}`, or remove files below it", quoted_text(&dir.to_string_lossy()));
        Finding::fail(causes::DISK_FULL, what)
            .with("path", dir.display())
            .with("free_bytes", fs.free)
            .hint(hint)
    }))
}

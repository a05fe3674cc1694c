//! Finds another daemon that uses the data root, and leftovers of a killed dindcheck in it.

use std::path::PathBuf;

use crate::diagnosis::causes;
use crate::facts::daemon::{Containerd, Daemon, store};
use crate::facts::{filesystem, locks};
use crate::finding::{Finding, quoted};
use crate::host::{HostResult, SystemReader};
use crate::step::Cx;

/// The prefix of directories that a trial makes in a data root.
const OURS: &str = ".dindcheck-";

/// Checks the databases that a running daemon keeps locked, and looks for leftovers of dindcheck.
pub(super) fn check(cx: &Cx<'_>, daemon: &Daemon) -> anyhow::Result<Vec<Finding>> {
    let shared = locked(cx.host, daemon)?.map(|database| {
        let root = daemon.settings.data_root.display();
        let what = format!("another daemon uses {root}: it holds a lock on {}", database.display());
        let finding =
            Finding::fail(causes::DATA_ROOT_SHARED_BY_TWO_DAEMONS, what).with("path", database.display());
        finding.hint(match locks::users(cx.host, &database) {
            none if none.is_empty() => {
                "stop the other daemon, in whichever container it runs, or give each a data root of its own (`--data-root`, one volume per container)".to_owned()
            }
            pids => format!("stop the other daemon: `{}`, or give each a data root of its own", locks::end(&pids)),
        })
    });
    Ok(shared.into_iter().chain(leftovers(cx, daemon)?).collect())
}

/// The first database on which a daemon of any pid namespace holds a lock.
pub(super) fn locked(host: &dyn SystemReader, daemon: &Daemon) -> HostResult<Option<PathBuf>> {
    let settings = &daemon.settings;
    let mut databases = vec![settings.data_root.join("volumes/metadata.db")];
    if settings.containerd == Containerd::Managed {
        let root = store::containerd_root(host, daemon.version, settings);
        databases.push(root.join("io.containerd.metadata.v1.bolt/meta.db"));
    }
    for database in databases {
        match host.is_locked(&database) {
            Ok(true) => return Ok(Some(database)),
            Ok(false) => {}
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Directories of earlier runs; a run removes only its own.
fn leftovers(cx: &Cx<'_>, daemon: &Daemon) -> anyhow::Result<Option<Finding>> {
    let (base, _) = filesystem::nearest(cx.host, &daemon.settings.data_root)?;
    let names = match cx.host.list(&base) {
        Ok(names) => names,
        Err(error) if error.errno() == nix::errno::Errno::ENOTDIR => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let left: Vec<_> = names
        .iter()
        .filter(|name| name.as_encoded_bytes().starts_with(OURS.as_bytes()))
        .map(|name| base.join(name))
        .collect();
    let Some(first) = left.first() else { return Ok(None) };
    let what = format!("{} is left over from a dindcheck that was killed", first.display());
    let paths = left.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
    let words = left.iter().map(|path| quoted(path)).collect::<Vec<_>>().join(" ");
    Ok(Some(
        Finding::warn(causes::LEFTOVERS_REMAIN, what).with("paths", &paths).hint(format!("rm -r {words}")),
    ))
}

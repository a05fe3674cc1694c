//! Which files and directories does dockerd leave outside its data root?
//!
//! Its run-time directory and that of its containerd, its pid file and socket (after SIGKILL), the key of
//! 20.10 in /etc/docker, the directory that containerd's `opt` plug-in makes, and the lock of legacy iptables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Restored, real, remove_tree};
use crate::facts::daemon::Layout;
use crate::facts::daemon::settings::SYSTEM_CONTAINERD;
use crate::facts::endpoint::Endpoint;
use crate::host::{FileKind, HostError, SystemReader, SystemWriter};

/// More entries than this below one place are not looked through: it is not the place we take it for.
const MOST: usize = 20_000;

/// The places that dockerd writes to, and what was there before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Files(Vec<Place>);

/// One place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    path: PathBuf,
    before: BTreeSet<PathBuf>,
}

impl Files {
    /// Looks.
    pub(super) fn take(host: &dyn SystemReader, layout: &Layout) -> Self {
        let mut places = vec![
            layout.exec_root.clone(),
            layout.pidfile.clone(),
            PathBuf::from("/etc/docker"),
            PathBuf::from("/opt/containerd"),
            PathBuf::from("/run/xtables.lock"),
        ];
        if let Endpoint::Unix(socket) = &layout.endpoint {
            places.push(socket.clone());
        }
        // What lies beside a containerd that is not dockerd's own is not ours.
        let is_own =
            layout.containerd.is_none() && !host.exists(Path::new(SYSTEM_CONTAINERD)).unwrap_or(true);
        if is_own {
            places.push(PathBuf::from("/run/containerd"));
        }
        let mut files = Self::default();
        // An empty path is no file, as of a daemon without a pid file.
        for path in places.iter().filter(|path| !path.as_os_str().is_empty()) {
            let path = real(host, path);
            let mut before = BTreeSet::new();
            collect(host, &path, &mut before);
            if before.len() < MOST && files.0.iter().all(|place| place.path != path) {
                files.0.push(Place { path, before });
            }
        }
        files
    }

    /// Removes what is new.
    pub(super) fn restore(&self, host: &dyn SystemReader, machine: &dyn SystemWriter, done: &mut Restored) {
        for place in &self.0 {
            let mut now = BTreeSet::new();
            collect(host, &place.path, &mut now);
            // A directory comes before what is in it, and takes it along.
            let mut gone: Option<&PathBuf> = None;
            for path in now.difference(&place.before) {
                if gone.is_some_and(|above| path.starts_with(above)) {
                    continue;
                }
                gone = Some(path);
                let mut failed = Vec::new();
                remove_tree(host, machine, path, &mut failed);
                let error: Option<HostError> = failed.into_iter().next();
                done.note(path.display().to_string(), error.map_or(Ok(()), Err));
            }
        }
    }
}

/// Everything at and below a path, links not followed.
fn collect(host: &dyn SystemReader, path: &Path, found: &mut BTreeSet<PathBuf>) {
    let Ok(stat) = host.lstat(path) else {
        return;
    };
    found.insert(path.to_owned());
    if stat.kind != FileKind::Dir {
        return;
    }
    for name in host.list(path).unwrap_or_default() {
        if found.len() >= MOST {
            return;
        }
        collect(host, &path.join(name), found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::daemon::Layout;
    use crate::host::fake::Fake;

    fn world() -> Fake {
        Fake::new()
            .link("/var/run", "/run")
            .file("/etc/docker/daemon.json", "{}")
            .file("/run/docker/plugins/mine.sock", "")
    }

    #[test]
    fn only_what_is_new_goes() {
        let host = world();
        let files = Files::take(&host, &Layout::read(&host, &[]));
        for path in ["/run/docker/containerd/containerd.pid", "/run/docker.pid", "/run/containerd/s/x"] {
            host.set(path, "");
        }
        host.set("/etc/docker/key.json", "");
        let mut done = Restored::default();
        files.restore(&host, &host, &mut done);
        assert_eq!(
            done.removed,
            ["/run/docker/containerd", "/run/docker.pid", "/etc/docker/key.json", "/run/containerd"]
        );
        assert!(done.left.is_empty());
        assert!(host.exists(Path::new("/run/docker/plugins/mine.sock")).unwrap());
        assert!(host.exists(Path::new("/etc/docker/daemon.json")).unwrap());
    }

    #[test]
    fn a_daemon_without_a_pid_file_does_not_make_the_root_directory_its_own() {
        let host = world();
        let files = Files::take(&host, &Layout::read(&host, &["--pidfile=".to_owned()]));
        host.set("/theirs", "");
        let mut done = Restored::default();
        files.restore(&host, &host, &mut done);
        assert_eq!(done, Restored::default());
    }

    #[test]
    fn beside_a_system_containerd_nothing_is_touched() {
        let host = world().file(SYSTEM_CONTAINERD, "");
        let files = Files::take(&host, &Layout::read(&host, &[]));
        host.set("/run/containerd/io.containerd/new", "");
        let mut done = Restored::default();
        files.restore(&host, &host, &mut done);
        assert_eq!(done, Restored::default());
    }

    #[test]
    fn what_cannot_be_removed_is_told() {
        let host = world().fails("remove_file", "/run/docker.pid", nix::errno::Errno::EROFS, None);
        let files = Files::take(&host, &Layout::read(&host, &[]));
        host.set("/run/docker.pid", "7");
        let mut done = Restored::default();
        files.restore(&host, &host, &mut done);
        assert_eq!((done.removed.len(), done.left.len()), (0, 1));
    }
}

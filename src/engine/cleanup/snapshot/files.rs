//! Files and directories that dockerd leaves outside its data root.
//!
//! They are its exec root and that of its containerd, its pid file and socket (after SIGKILL), the key of 20.10 in
//! /etc/docker, the directory of containerd's `opt` plug-in, and the lock of legacy iptables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Restored, real, remove_tree};
use crate::facts::daemon::Layout;
use crate::facts::daemon::settings::SYSTEM_CONTAINERD;
use crate::facts::endpoint::Endpoint;
use crate::host::{FileKind, HostError, SystemReader, SystemWriter};

/// A directory with more entries than this is left alone: it is not the one that dockerd writes to.
const MAX_ENTRIES: usize = 20_000;

/// The paths that dockerd writes to, and what was there before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Files(Vec<Before>);

/// One path, and everything at and below it before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    path: PathBuf,
    #[serde(rename = "before")]
    entries: BTreeSet<PathBuf>,
}

impl Files {
    /// Takes the snapshot.
    pub(super) fn take(host: &dyn SystemReader, layout: &Layout) -> Self {
        let mut paths = vec![
            layout.exec_root.clone(),
            layout.pidfile.clone(),
            PathBuf::from("/etc/docker"),
            PathBuf::from("/opt/containerd"),
            PathBuf::from("/run/xtables.lock"),
        ];
        if let Endpoint::Unix(socket) = &layout.endpoint {
            paths.push(socket.clone());
        }
        // What lies beside a containerd that is not dockerd's own is not ours.
        let is_own =
            layout.containerd.is_none() && !host.exists(Path::new(SYSTEM_CONTAINERD)).unwrap_or(true);
        if is_own {
            paths.push(PathBuf::from("/run/containerd"));
        }
        let mut files = Self::default();
        // An empty path is no file, as of a daemon without a pid file.
        for path in paths.iter().filter(|path| !path.as_os_str().is_empty()) {
            let path = real(host, path);
            let mut entries = BTreeSet::new();
            collect(host, &path, &mut entries);
            if entries.len() < MAX_ENTRIES && files.0.iter().all(|known| known.path != path) {
                files.0.push(Before { path, entries });
            }
        }
        files
    }

    /// Removes what is new.
    pub(super) fn restore(&self, host: &dyn SystemReader, machine: &dyn SystemWriter, done: &mut Restored) {
        for before in &self.0 {
            let mut now = BTreeSet::new();
            collect(host, &before.path, &mut now);
            // A directory sorts before what is in it, and is removed with it.
            let mut removed: Option<&PathBuf> = None;
            for path in now.difference(&before.entries) {
                if removed.is_some_and(|above| path.starts_with(above)) {
                    continue;
                }
                removed = Some(path);
                let mut failed = Vec::new();
                remove_tree(host, machine, path, &mut failed);
                let error: Option<HostError> = failed.into_iter().next();
                done.note(path.display().to_string(), error.map_or(Ok(()), Err));
            }
        }
    }
}

/// Collects everything at and below a path, without following links.
fn collect(host: &dyn SystemReader, path: &Path, found: &mut BTreeSet<PathBuf>) {
    let Ok(stat) = host.lstat(path) else {
        return;
    };
    found.insert(path.to_owned());
    if stat.kind != FileKind::Dir {
        return;
    }
    for name in host.list(path).unwrap_or_default() {
        if found.len() >= MAX_ENTRIES {
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
    fn only_what_is_new_is_removed() {
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
    fn the_directory_of_a_system_containerd_is_left_alone() {
        let host = world().file(SYSTEM_CONTAINERD, "");
        let files = Files::take(&host, &Layout::read(&host, &[]));
        host.set("/run/containerd/io.containerd/new", "");
        let mut done = Restored::default();
        files.restore(&host, &host, &mut done);
        assert_eq!(done, Restored::default());
    }

    #[test]
    fn a_file_that_cannot_be_removed_is_reported() {
        let host = world().fails("remove_file", "/run/docker.pid", nix::errno::Errno::EROFS, None);
        let files = Files::take(&host, &Layout::read(&host, &[]));
        host.set("/run/docker.pid", "7");
        let mut done = Restored::default();
        files.restore(&host, &host, &mut done);
        assert_eq!((done.removed.len(), done.left.len()), (0, 1));
    }
}

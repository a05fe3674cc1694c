//! Mounts that dockerd leaves: network namespaces below its exec root, and after SIGKILL the roots of containers below its
//! data root.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Restored, real};
use crate::facts::daemon::Layout;
use crate::facts::mounts::Mounts;
use crate::host::{SystemReader, SystemWriter};

/// The number of mounts on each target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Targets(BTreeMap<PathBuf, usize>);

impl Targets {
    /// Takes the snapshot.
    pub(super) fn take(host: &dyn SystemReader) -> Self {
        let mut targets = BTreeMap::new();
        for mount in Mounts::read(host).unwrap_or_default().0 {
            *targets.entry(mount.target).or_default() += 1;
        }
        Self(targets)
    }

    /// Unmounts the new mounts below the daemon's directories, the latest first.
    pub(super) fn restore(
        &self,
        host: &dyn SystemReader,
        machine: &dyn SystemWriter,
        layout: &Layout,
        done: &mut Restored,
    ) {
        let roots = [real(host, &layout.exec_root), real(host, &layout.data_root)];
        let mut left = self.0.clone();
        let now = Mounts::read(host).unwrap_or_default().0;
        let mut new = Vec::new();
        for mount in now {
            match left.get_mut(&mount.target).filter(|count| **count > 0) {
                Some(count) => *count -= 1,
                None => new.push(mount.target),
            }
        }
        for target in new.into_iter().rev().filter(|target| roots.iter().any(|root| target.starts_with(root)))
        {
            done.note(format!("mount on {}", target.display()), machine.unmount(&target));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::daemon::Layout;
    use crate::host::fake::Fake;

    const BEFORE: &str = "20 1 254:0 / / rw - ext4 /dev/vda rw\n\
                          21 20 254:0 /v /var/lib/docker rw - ext4 /dev/vda rw\n";

    #[test]
    fn new_mounts_below_the_daemons_directories_are_unmounted_the_latest_first() {
        let host = Fake::new().file("/proc/self/mountinfo", BEFORE).dir("/run").link("/var/run", "/run");
        let targets = Targets::take(&host);
        host.set(
            "/proc/self/mountinfo",
            &format!(
                "{BEFORE}22 21 0:5 / /var/lib/docker rw - ext4 /dev/vda rw\n\
                 23 20 0:4 net:[1] /run/docker/netns/x rw - nsfs nsfs rw\n\
                 24 20 0:9 / /mnt/theirs rw - tmpfs tmpfs rw\n"
            ),
        );
        let mut done = Restored::default();
        targets.restore(&host, &host, &Layout::read(&host, &[]), &mut done);
        assert_eq!(done.removed, ["mount on /run/docker/netns/x", "mount on /var/lib/docker"]);
    }
}

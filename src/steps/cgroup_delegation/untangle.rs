//! How does a root that an engine has made `domain threaded` become a plain domain again?
//!
//! It is one as long as it has threaded children, or gives threaded controllers to children beside processes of
//! its own (cgroup-v2.rst, "Threads"): runc enables what it can, one controller at a time. So empty children go
//! and those controllers are withdrawn. Threads that run in a threaded child keep everything as it is; that is
//! found out before anything is changed.

use std::path::{Path, PathBuf};

use anyhow::ensure;

use super::v2::{NAMED, Root, is_domain, named};
use crate::finding::Undo;
use crate::host::{FileKind, SystemReader};
use crate::repair_log::RepairLog;

/// Takes back what made the root threaded.
pub(super) fn untangle(
    host: &dyn SystemReader,
    root: &Root,
    hands: &mut RepairLog<'_>,
) -> anyhow::Result<()> {
    let children = children(host, &root.dir)?;
    let mut threads = Vec::new();
    for child in children.iter().filter(|child| is_threaded(host, child)) {
        gather(host, child, &mut threads)?;
    }
    ensure!(
        threads.is_empty(),
        "threads of inner containers run in threaded cgroups, which keeps the root threaded: {}; stop those \
         containers first",
        threads.iter().take(NAMED).map(|pid| named(host, *pid)).collect::<Vec<_>>().join(", ")
    );
    for child in &children {
        remove_empty(host, child, hands)?;
    }
    let control = root.dir.join("cgroup.subtree_control");
    for controller in root.enabled.iter().filter(|name| !is_domain(name)) {
        hands.scaffold().write(&control, format!("-{controller}").as_bytes())?;
        hands.note(
            format!("withdrew {controller} from the children"),
            Undo::Restore(control.clone(), format!("+{controller}").into()),
        );
    }
    Ok(())
}

/// The cgroups directly below one.
fn children(host: &dyn SystemReader, dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let paths = host.list(dir)?.into_iter().map(|name| dir.join(name));
    // One that goes meanwhile is not in the way.
    Ok(paths.filter(|path| host.lstat(path).is_ok_and(|stat| stat.kind == FileKind::Dir)).collect())
}

fn is_threaded(host: &dyn SystemReader, dir: &Path) -> bool {
    host.read_line(&dir.join("cgroup.type")).is_ok_and(|kind| kind == "threaded")
}

/// The threads in a cgroup and below it.
fn gather(host: &dyn SystemReader, dir: &Path, threads: &mut Vec<i32>) -> anyhow::Result<()> {
    let text = host.read_if_there(&dir.join("cgroup.threads"))?.unwrap_or_default();
    threads.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    for child in children(host, dir)? {
        gather(host, &child, threads)?;
    }
    Ok(())
}

/// Removes a cgroup with all below it where none of them holds a process. What the kernel still refuses to remove
/// is in nobody's way until a write says so.
fn remove_empty(host: &dyn SystemReader, dir: &Path, hands: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let events = host.read_if_there(&dir.join("cgroup.events"))?.unwrap_or_default();
    if !events.lines().any(|line| line == "populated 0") {
        return Ok(());
    }
    for child in children(host, dir)? {
        remove_empty(host, &child, hands)?;
    }
    if hands.scaffold().remove_dir(dir).is_ok() {
        hands.note(format!("removed the empty cgroup {}", dir.display()), Undo::MakeDir(dir.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    const ROOT: &str = "/sys/fs/cgroup";

    /// A root that an engine's first container has spoiled.
    fn machine(populated: u32, threads: &str) -> (Fake, Root) {
        let container = format!("{ROOT}/docker/abc");
        let mut fake = Fake::new().dir(ROOT).dir(&container);
        for (dir, populated) in [(format!("{ROOT}/docker"), populated), (container.clone(), populated)] {
            fake = fake
                .dir(&dir)
                .file(&format!("{dir}/cgroup.type"), "threaded\n")
                .file(&format!("{dir}/cgroup.events"), &format!("populated {populated}\nfrozen 0\n"));
        }
        let fake = fake
            .file(&format!("{container}/cgroup.threads"), threads)
            .file("/proc/77/stat", "77 (sleep) S 1 77 77")
            .file(&format!("{ROOT}/cgroup.subtree_control"), "cpuset cpu pids\n");
        let enabled = ["cpuset", "cpu", "pids"].map(ToOwned::to_owned).to_vec();
        let kind = Some("domain threaded".to_owned());
        (fake, Root { dir: ROOT.into(), kind, enabled, ..Root::default() })
    }

    #[test]
    fn empty_children_go_from_below_and_controllers_are_withdrawn() {
        let (fake, root) = machine(0, "");
        let mut hands = RepairLog::new(&fake);
        untangle(&fake, &root, &mut hands).unwrap();
        let did: Vec<_> = hands.changes().iter().map(|change| change.did.as_str()).collect();
        let expected = [
            "removed the empty cgroup /sys/fs/cgroup/docker/abc",
            "removed the empty cgroup /sys/fs/cgroup/docker",
            "withdrew cpuset from the children",
            "withdrew cpu from the children",
            "withdrew pids from the children",
        ];
        assert_eq!(did, expected);
    }

    #[test]
    fn a_thread_in_a_threaded_child_is_named_and_nothing_is_touched() {
        let (fake, root) = machine(1, "77\n");
        let mut hands = RepairLog::new(&fake);
        let error = untangle(&fake, &root, &mut hands).unwrap_err();
        assert!(error.to_string().contains("77 (sleep, S)"), "{error}");
        assert!(hands.changes().is_empty() && fake.changes().is_empty());
    }
}

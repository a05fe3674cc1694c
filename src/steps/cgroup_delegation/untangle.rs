//! Turns a root cgroup that an engine made `domain threaded` into a plain domain again.
//!
//! It stays threaded as long as it has threaded children, or enables threaded controllers for children while it contains
//! processes (cgroup-v2.rst, "Threads"): runc enables what it can, one controller at a time. So empty children are removed
//! and those controllers are disabled. If threads run in a threaded child, nothing is changed.

use std::path::{Path, PathBuf};

use anyhow::ensure;

use super::v2::{NAMED, Root, is_domain, named};
use crate::finding::Undo;
use crate::host::{FileKind, SystemReader};
use crate::repair_log::RepairLog;

/// Undoes what made the root threaded.
pub(super) fn untangle(host: &dyn SystemReader, root: &Root, log: &mut RepairLog<'_>) -> anyhow::Result<()> {
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
        remove_empty(host, child, log)?;
    }
    let control = root.dir.join("cgroup.subtree_control");
    for controller in root.enabled.iter().filter(|name| !is_domain(name)) {
        log.scaffold().write(&control, format!("-{controller}").as_bytes())?;
        log.note(
            format!("disabled {controller} for children"),
            Undo::Restore(control.clone(), format!("+{controller}").into()),
        );
    }
    Ok(())
}

/// The cgroups directly below one.
fn children(host: &dyn SystemReader, dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let paths = host.list(dir)?.into_iter().map(|name| dir.join(name));
    // It may be removed meanwhile.
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

/// Removes a cgroup and everything below it if none contains a process. Cgroups that the kernel does not remove stay: the
/// write that follows fails if they matter.
fn remove_empty(host: &dyn SystemReader, dir: &Path, log: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let events = host.read_if_there(&dir.join("cgroup.events"))?.unwrap_or_default();
    if !events.lines().any(|line| line == "populated 0") {
        return Ok(());
    }
    for child in children(host, dir)? {
        remove_empty(host, &child, log)?;
    }
    if log.scaffold().remove_dir(dir).is_ok() {
        log.note(format!("removed the empty cgroup {}", dir.display()), Undo::MakeDir(dir.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    const ROOT: &str = "/sys/fs/cgroup";

    /// A root that the first container of an engine made threaded.
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
    fn empty_children_are_removed_and_controllers_disabled() {
        let (fake, root) = machine(0, "");
        let mut log = RepairLog::new(&fake);
        untangle(&fake, &root, &mut log).unwrap();
        let did: Vec<_> = log.changes().iter().map(|change| change.did.as_str()).collect();
        let expected = [
            "removed the empty cgroup /sys/fs/cgroup/docker/abc",
            "removed the empty cgroup /sys/fs/cgroup/docker",
            "disabled cpuset for children",
            "disabled cpu for children",
            "disabled pids for children",
        ];
        assert_eq!(did, expected);
    }

    #[test]
    fn thread_in_a_threaded_child_is_named_and_nothing_changes() {
        let (fake, root) = machine(1, "77\n");
        let mut log = RepairLog::new(&fake);
        let error = untangle(&fake, &root, &mut log).unwrap_err();
        assert!(error.to_string().contains("77 (sleep, S)"), "{error}");
        assert!(log.changes().is_empty() && fake.changes().is_empty());
    }
}

//! Reads the state of this container's root cgroup and checks that it can enable controllers for children.

use std::path::{Path, PathBuf};

use crate::diagnosis::causes;
use crate::facts::cgroup::Cgroups;
use crate::finding::Finding;
use crate::host::SystemReader;

/// Controllers that may be enabled for threads; enabling one while it contains processes makes the root `domain
/// threaded` (cgroup-v2.rst, "Threads").
const THREADED: &[&str] = &["cpu", "cpuset", "perf_event", "pids"];
/// The uid of an owner that is not mapped into the user namespace (/proc/sys/kernel/overflowuid).
const OVERFLOW_UID: u32 = 65534;
/// The most processes that are named; the others are counted.
pub(super) const NAMED: usize = 8;

/// The state of this container's root cgroup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Root {
    /// Its directory.
    pub dir: PathBuf,
    /// `cgroup.type`; the root of the hierarchy has none.
    pub kind: Option<String>,
    /// Pids in it; 0 stands for a process of another pid namespace.
    pub processes: Vec<i32>,
    /// `pid (name, state)` of the first of them.
    pub named: Vec<String>,
    /// `cgroup.controllers`: what its parent enables for it.
    pub offered: Vec<String>,
    /// `cgroup.subtree_control`: what it enables for children.
    pub enabled: Vec<String>,
    /// The owner of `cgroup.procs`.
    pub owner: u32,
}

impl Root {
    /// Reads the mounted root.
    pub(super) fn read(host: &dyn SystemReader, cgroups: &Cgroups) -> anyhow::Result<Self> {
        Self::of(host, &cgroups.v2_dir())
    }

    /// Reads the cgroup in that directory.
    pub(super) fn of(host: &dyn SystemReader, dir: &Path) -> anyhow::Result<Self> {
        let words = |file: &str| -> anyhow::Result<Vec<String>> {
            Ok(host.read_text(&dir.join(file))?.split_whitespace().map(ToOwned::to_owned).collect())
        };
        let kind = host.read_if_there(&dir.join("cgroup.type"))?.map(|text| text.trim().to_owned());
        // A threaded cgroup does not list its processes (EOPNOTSUPP).
        let processes = if kind.as_deref() == Some("threaded") { Vec::new() } else { words("cgroup.procs")? };
        let processes: Vec<i32> = processes.iter().filter_map(|pid| pid.parse().ok()).collect();
        Ok(Self {
            dir: dir.to_owned(),
            kind,
            named: processes.iter().take(NAMED).map(|pid| named(host, *pid)).collect(),
            processes,
            offered: words("cgroup.controllers")?,
            enabled: words("cgroup.subtree_control")?,
            owner: host.stat(&dir.join("cgroup.procs"))?.uid,
        })
    }

    /// Controllers that are available but not enabled for children.
    pub(super) fn withheld(&self) -> Vec<&str> {
        self.offered.iter().filter(|name| !self.enabled.contains(name)).map(String::as_str).collect()
    }

    /// Whether it is in a state in which new children are invalid.
    pub(super) fn is_threaded(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| kind != "domain")
    }

    /// The processes, the first few by name.
    pub(super) fn occupants(&self) -> String {
        let more = self.processes.len().saturating_sub(self.named.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", self.named.join(", "))
    }
}

/// Whether a controller is a domain controller, which is refused while the cgroup contains processes.
pub(super) fn is_domain(controller: &str) -> bool {
    !THREADED.contains(&controller)
}

/// `17 (dockerd, S)`.
pub(super) fn named(host: &dyn SystemReader, pid: i32) -> String {
    if pid == 0 {
        return "a process of another pid namespace".to_owned();
    }
    let stat = host.read_text(Path::new(&format!("/proc/{pid}/stat"))).unwrap_or_default();
    let name = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')'));
    match name {
        Some((name, rest)) => format!("{pid} ({name}, {})", rest.trim().chars().next().unwrap_or('?')),
        None => format!("{pid} (gone)"),
    }
}

/// The findings on the root of a cgroup namespace.
pub(super) fn judge(root: &Root) -> Vec<Finding> {
    let finding = if root.kind.is_none() {
        Finding::pass("this is the root of the cgroup hierarchy, which may contain processes and children")
    } else if root.owner == OVERFLOW_UID {
        not_delegated(root)
    } else if root.is_threaded() {
        threaded(root)
    } else if root.processes.is_empty() {
        Finding::pass(format!(
            "the root cgroup contains no processes; {} can be enabled for children",
            listed(&root.offered)
        ))
    } else if root.withheld().into_iter().any(is_domain) {
        occupied(root)
    } else {
        Finding::pass(format!("{} are enabled for children", listed(&root.enabled)))
    };
    vec![finding.with("path", root.dir.display())]
}

/// A list of controllers, or "no controllers".
fn listed(words: &[String]) -> String {
    if words.is_empty() { "no controllers".to_owned() } else { words.join(" ") }
}

fn not_delegated(root: &Root) -> Finding {
    let what =
        "the root cgroup belongs to a user outside of this user namespace, so no child can be made in it";
    Finding::fail(causes::CGROUP_V2_NOT_DELEGATED, what).with("cgroup.procs owner", root.owner)
}

fn threaded(root: &Root) -> Finding {
    let kind = root.kind.clone().unwrap_or_default();
    let what = format!(
        "the root cgroup is `{kind}`, so every new child of it is invalid: controllers were enabled while it contained processes"
    );
    Finding::fail(causes::CGROUP_ROOT_THREADED, what)
        .with("cgroup.type", kind)
        .with("cgroup.subtree_control", listed(&root.enabled))
        .with("processes", root.occupants())
}

fn occupied(root: &Root) -> Finding {
    let withheld = root.withheld().join(" ");
    let what = format!(
        "the root cgroup contains {} processes, so {withheld} cannot be enabled for inner containers",
        root.processes.len()
    );
    Finding::fail(causes::CGROUP_V2_ROOT_HAS_PROCESSES, what)
        .with("cgroup.controllers", listed(&root.offered))
        .with("cgroup.subtree_control", listed(&root.enabled))
        .with("processes", root.occupants())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::CauseId;
    use crate::finding::Level;

    fn root() -> Root {
        let words = |text: &str| text.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
        Root { kind: Some("domain".into()), offered: words("cpuset cpu io memory pids"), ..Root::default() }
    }

    fn cause(root: &Root) -> Option<&'static str> {
        judge(root)[0].cause.map(CauseId::as_str)
    }

    #[test]
    fn processes_in_the_root_prevent_domain_controllers() {
        let occupied = Root { processes: vec![1, 7], ..root() };
        assert_eq!(cause(&occupied), Some("cgroup-v2-root-has-processes"));
        let enabled = Root { enabled: occupied.offered.clone(), ..occupied.clone() };
        assert_eq!(judge(&enabled)[0].level, Level::Pass);
        let threaded_only = Root { offered: vec!["cpu".into(), "pids".into()], ..occupied };
        assert_eq!(judge(&threaded_only)[0].level, Level::Pass);
    }

    #[test]
    fn empty_root_passes() {
        assert_eq!(judge(&root())[0].level, Level::Pass);
    }

    #[test]
    fn root_of_the_hierarchy_passes() {
        let real = Root { kind: None, processes: vec![1], ..root() };
        assert_eq!(judge(&real)[0].level, Level::Pass);
    }

    #[test]
    fn threaded_and_foreign_roots_have_their_causes() {
        let threaded = Root { kind: Some("domain threaded".into()), ..root() };
        assert!(judge(&threaded)[0].what.contains("domain threaded"));
        assert_eq!(cause(&Root { owner: OVERFLOW_UID, ..root() }), Some("cgroup-v2-not-delegated"));
    }
}

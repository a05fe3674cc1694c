//! Moves the processes of the root cgroup to a leaf and enables controllers.
//!
//! `docker exec` and health checks can put new processes into the root between the last move and the write that enables a
//! controller, so both are repeated, with a bound. Each controller is enabled by a write of its own, so that an error names
//! it. Only a private cgroup namespace is changed: elsewhere these are the host's processes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::ensure;
use nix::errno::Errno;

use super::untangle::untangle;
use super::v2::{Root, named};
use crate::facts::cgroup::{Cgroups, Mode};
use crate::finding::Undo;
use crate::host::{HostError, SystemReader};
use crate::repair_log::RepairLog;
use crate::step::Cx;

/// The name of the leaf, as in docker's own wrapper script.
const LEAF: &str = "init";
/// The most rounds of moving and enabling.
const ROUNDS: u32 = 200;
/// The most time for them.
const BOUND: Duration = Duration::from_secs(3);

/// Moves the processes and enables the controllers.
pub(super) fn apply(cx: &Cx<'_>, log: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let cgroups = Cgroups::read(cx.host)?;
    if cgroups.mode != Mode::V2 {
        // On v1 only whoever made this container's cgroup can change it.
        return Ok(());
    }
    ensure!(
        cgroups.private_namespace && !cgroups.sees_host_tree(),
        "this container has no cgroup namespace of its own: moving processes would move the host's; start it with \
         --cgroupns=private, or the inner daemon with --cgroup-parent below this container's own cgroup"
    );
    let dir = cgroups.v2_dir();
    let root = Root::of(cx.host, &dir)?;
    if root.is_threaded() {
        untangle(cx.host, &root, log)?;
    }
    let leaf = leaf(cx.host, &dir, log)?;
    Evacuation { host: cx.host, dir, leaf, moved: Vec::new(), enabled: Vec::new() }.run(log)
}

/// The leaf, which may exist already.
fn leaf(host: &dyn SystemReader, dir: &Path, log: &mut RepairLog<'_>) -> anyhow::Result<PathBuf> {
    let leaf = dir.join(LEAF);
    if !host.exists(&leaf)? {
        log.create_dir(&leaf)?;
    }
    Ok(leaf)
}

/// Whether moving the process may succeed later.
fn passes(error: &HostError) -> bool {
    matches!(error.errno(), Errno::EBUSY | Errno::EAGAIN)
}

/// A running evacuation.
struct Evacuation<'h> {
    host: &'h dyn SystemReader,
    dir: PathBuf,
    leaf: PathBuf,
    moved: Vec<i32>,
    enabled: Vec<String>,
}

impl Evacuation<'_> {
    /// Moves and enables until every controller is enabled; the error says what prevents it.
    fn run(mut self, log: &mut RepairLog<'_>) -> anyhow::Result<()> {
        let end = Instant::now() + BOUND;
        let mut outcome = Ok(());
        for round in 0..ROUNDS {
            let stuck = self.move_all(log)?;
            let for_good = stuck.as_ref().is_some_and(|(_, error)| !passes(error));
            outcome = self.enable_all(log, stuck);
            if outcome.is_ok() || for_good || Instant::now() > end {
                break;
            }
            // A process that is just starting can be moved a moment later.
            std::thread::sleep(Duration::from_millis(u64::from(round.min(20))));
        }
        self.record(log);
        outcome
    }

    /// Moves every process; returns the last that could not be moved, with the error.
    fn move_all(&mut self, log: &RepairLog<'_>) -> anyhow::Result<Option<(i32, HostError)>> {
        let mut stuck = None;
        for pid in Root::of(self.host, &self.dir)?.processes {
            // 0 stands for a process of another pid namespace; written, it would mean this process.
            if pid == 0 {
                continue;
            }
            match log.scaffold().write(&self.leaf.join("cgroup.procs"), pid.to_string().as_bytes()) {
                Ok(()) => self.moved.push(pid),
                Err(error) if error.errno() == Errno::ESRCH => {}
                Err(error) => stuck = Some((pid, error)),
            }
        }
        Ok(stuck)
    }

    /// Enables every available controller, one write each.
    fn enable_all(&mut self, log: &RepairLog<'_>, stuck: Option<(i32, HostError)>) -> anyhow::Result<()> {
        let root = Root::of(self.host, &self.dir)?;
        for controller in root.withheld() {
            let write = log
                .scaffold()
                .write(&self.dir.join("cgroup.subtree_control"), format!("+{controller}").as_bytes());
            match write {
                Ok(()) => self.enabled.push(controller.to_owned()),
                Err(error) => return Err(self.obstacle(controller, &error, stuck)),
            }
        }
        Ok(())
    }

    /// What prevents enabling a controller.
    fn obstacle(
        &self,
        controller: &str,
        error: &HostError,
        stuck: Option<(i32, HostError)>,
    ) -> anyhow::Error {
        if let Some((pid, refusal)) = stuck {
            return anyhow::anyhow!("process {} cannot be moved: {refusal}", named(self.host, pid));
        }
        let crowd = Root::of(self.host, &self.dir).map(|root| root.occupants()).unwrap_or_default();
        if error.errno() == Errno::EBUSY && !crowd.is_empty() {
            return anyhow::anyhow!(
                "{controller} cannot be enabled because new processes keep entering the root cgroup: {crowd}"
            );
        }
        anyhow::anyhow!("{controller} cannot be enabled: {error}")
    }

    /// Records the changes, so that they can be undone in reverse order.
    fn record(&self, log: &mut RepairLog<'_>) {
        if !self.moved.is_empty() {
            let did = format!("moved {} processes to {}", self.moved.len(), self.leaf.display());
            log.note(did, Undo::MoveBack(self.moved.clone(), self.dir.join("cgroup.procs")));
        }
        let control = self.dir.join("cgroup.subtree_control");
        for controller in &self.enabled {
            let undo = Undo::Restore(control.clone(), format!("-{controller}").into());
            log.note(format!("enabled {controller} for children"), undo);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    /// A root with two processes; writes behave as in the kernel.
    fn machine(busy_rounds: u32) -> Fake {
        let root = "/sys/fs/cgroup";
        Fake::new()
            .file(&format!("{root}/cgroup.type"), "domain\n")
            .file(&format!("{root}/cgroup.procs"), "1\n7\n")
            .file(&format!("{root}/cgroup.controllers"), "memory pids\n")
            .file(&format!("{root}/cgroup.subtree_control"), "\n")
            .dir(&format!("{root}/init"))
            .file("/proc/7/stat", "7 (sleep) S 1 7 7")
            .fails("write", &format!("{root}/cgroup.subtree_control"), Errno::EBUSY, Some(busy_rounds))
            .reacts(|fake, line| match line {
                "write /sys/fs/cgroup/cgroup.subtree_control +memory" => {
                    fake.set("/sys/fs/cgroup/cgroup.subtree_control", "memory\n");
                }
                "write /sys/fs/cgroup/cgroup.subtree_control +pids" => {
                    fake.set("/sys/fs/cgroup/cgroup.subtree_control", "memory pids\n");
                }
                _ => {}
            })
    }

    fn evacuate(fake: &Fake) -> (anyhow::Result<()>, Vec<String>) {
        let mut log = RepairLog::new(fake);
        let dir = PathBuf::from("/sys/fs/cgroup");
        let leaf = dir.join(LEAF);
        let done = Evacuation { host: fake, dir, leaf, moved: Vec::new(), enabled: Vec::new() }.run(&mut log);
        (done, log.changes().iter().map(|change| change.did.clone()).collect())
    }

    #[test]
    fn each_controller_is_one_write_and_one_change_with_undo() {
        let (done, did) = evacuate(&machine(0));
        done.unwrap();
        assert_eq!(
            did,
            [
                "moved 2 processes to /sys/fs/cgroup/init",
                "enabled memory for children",
                "enabled pids for children"
            ]
        );
    }

    #[test]
    fn race_is_retried_up_to_the_bound() {
        evacuate(&machine(3)).0.unwrap();
    }

    #[test]
    fn process_that_cannot_be_moved_is_named() {
        let fake = machine(u32::MAX).fails("write", "/sys/fs/cgroup/init/cgroup.procs", Errno::EINVAL, None);
        let error = evacuate(&fake).0.unwrap_err();
        assert!(error.to_string().contains("7 (sleep, S)"), "{error}");
    }
}

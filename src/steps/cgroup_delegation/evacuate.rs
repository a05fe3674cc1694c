//! How does the root cgroup get free of processes, and what is in the way if it does not?
//!
//! `docker exec` and health checks put new processes into the root between the last move and the write that
//! enables a controller, so both are repeated, with a bound. One write per controller, so that a refusal is
//! known by name. Only a cgroup namespace of our own is touched: elsewhere these are the host's processes.

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

/// The leaf's name, the one that docker's own wrapper script uses.
const LEAF: &str = "init";
/// At most so many rounds of moving and enabling.
const ROUNDS: u32 = 200;
/// And at most so long.
const BOUND: Duration = Duration::from_secs(3);

/// Evacuates and enables.
pub(super) fn apply(cx: &Cx<'_>, hands: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let cgroups = Cgroups::read(cx.host)?;
    if cgroups.mode != Mode::V2 {
        // What v1 keeps back is given by whoever made this container's cgroup.
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
        untangle(cx.host, &root, hands)?;
    }
    let leaf = leaf(cx.host, &dir, hands)?;
    Evacuation { host: cx.host, dir, leaf, moved: Vec::new(), enabled: Vec::new() }.run(hands)
}

/// The leaf; one that is there already is used.
fn leaf(host: &dyn SystemReader, dir: &Path, hands: &mut RepairLog<'_>) -> anyhow::Result<PathBuf> {
    let leaf = dir.join(LEAF);
    if !host.exists(&leaf)? {
        hands.create_dir(&leaf)?;
    }
    Ok(leaf)
}

/// Whether a refusal to move a process may pass by itself.
fn passes(error: &HostError) -> bool {
    matches!(error.errno(), Errno::EBUSY | Errno::EAGAIN)
}

/// One evacuation under way.
struct Evacuation<'h> {
    host: &'h dyn SystemReader,
    dir: PathBuf,
    leaf: PathBuf,
    moved: Vec<i32>,
    enabled: Vec<String>,
}

impl Evacuation<'_> {
    /// Moves and enables until everything is enabled, or says what is in the way.
    fn run(mut self, hands: &mut RepairLog<'_>) -> anyhow::Result<()> {
        let end = Instant::now() + BOUND;
        let mut outcome = Ok(());
        for round in 0..ROUNDS {
            let stuck = self.move_all(hands)?;
            let for_good = stuck.as_ref().is_some_and(|(_, error)| !passes(error));
            outcome = self.enable_all(hands, stuck);
            if outcome.is_ok() || for_good || Instant::now() > end {
                break;
            }
            // Let a process that is just being started get to where it can be moved.
            std::thread::sleep(Duration::from_millis(u64::from(round.min(20))));
        }
        self.note(hands);
        outcome
    }

    /// Moves every process that is there now; returns what the kernel said against the last that stayed.
    fn move_all(&mut self, hands: &RepairLog<'_>) -> anyhow::Result<Option<(i32, HostError)>> {
        let mut stuck = None;
        for pid in Root::of(self.host, &self.dir)?.processes {
            // 0 is a process of a pid namespace that we cannot see; written, it would mean ourselves.
            if pid == 0 {
                continue;
            }
            match hands.scaffold().write(&self.leaf.join("cgroup.procs"), pid.to_string().as_bytes()) {
                Ok(()) => self.moved.push(pid),
                Err(error) if error.errno() == Errno::ESRCH => {}
                Err(error) => stuck = Some((pid, error)),
            }
        }
        Ok(stuck)
    }

    /// Enables every offered controller, one write each.
    fn enable_all(&mut self, hands: &RepairLog<'_>, stuck: Option<(i32, HostError)>) -> anyhow::Result<()> {
        let root = Root::of(self.host, &self.dir)?;
        for controller in root.withheld() {
            let write = hands
                .scaffold()
                .write(&self.dir.join("cgroup.subtree_control"), format!("+{controller}").as_bytes());
            match write {
                Ok(()) => self.enabled.push(controller.to_owned()),
                Err(error) => return Err(self.in_the_way(controller, &error, stuck)),
            }
        }
        Ok(())
    }

    /// Who or what keeps a controller from being enabled.
    fn in_the_way(
        &self,
        controller: &str,
        error: &HostError,
        stuck: Option<(i32, HostError)>,
    ) -> anyhow::Error {
        if let Some((pid, refusal)) = stuck {
            return anyhow::anyhow!("process {} cannot be moved: {refusal}", named(self.host, pid));
        }
        let crowd = Root::of(self.host, &self.dir).map(|root| root.crowd()).unwrap_or_default();
        if error.errno() == Errno::EBUSY && !crowd.is_empty() {
            return anyhow::anyhow!(
                "{controller} cannot be enabled while processes keep coming into the root cgroup: {crowd}"
            );
        }
        anyhow::anyhow!("{controller} cannot be enabled: {error}")
    }

    /// Writes down what was done, so that it can be taken back in reverse.
    fn note(&self, hands: &mut RepairLog<'_>) {
        if !self.moved.is_empty() {
            let did = format!("moved {} processes to {}", self.moved.len(), self.leaf.display());
            hands.note(did, Undo::MoveBack(self.moved.clone(), self.dir.join("cgroup.procs")));
        }
        let control = self.dir.join("cgroup.subtree_control");
        for controller in &self.enabled {
            let undo = Undo::Restore(control.clone(), format!("-{controller}").into());
            hands.note(format!("enabled {controller} for children"), undo);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    /// A root with two processes, whose writes behave as the kernel's do.
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
        let mut hands = RepairLog::new(fake);
        let dir = PathBuf::from("/sys/fs/cgroup");
        let leaf = dir.join(LEAF);
        let done =
            Evacuation { host: fake, dir, leaf, moved: Vec::new(), enabled: Vec::new() }.run(&mut hands);
        (done, hands.changes().iter().map(|change| change.did.clone()).collect())
    }

    #[test]
    fn one_write_a_controller_and_every_change_with_its_undo() {
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
    fn a_race_is_waited_out_up_to_the_bound() {
        evacuate(&machine(3)).0.unwrap();
    }

    #[test]
    fn a_process_that_stays_is_named() {
        let fake = machine(u32::MAX).fails("write", "/sys/fs/cgroup/init/cgroup.procs", Errno::EINVAL, None);
        let error = evacuate(&fake).0.unwrap_err();
        assert!(error.to_string().contains("7 (sleep, S)"), "{error}");
    }
}

//! How does the live door leave? Nothing of ours stays in the daemon, and no daemon of ours stays here.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::workload::SHORT;
use super::{LiveEngine, Made};
use crate::engine::dockerd::Stopped;
use crate::engine::objects::{self, KINDS, Kind};
use crate::engine::{DaemonEnd, TornDown};
use crate::plan::Plan;

impl LiveEngine {
    /// Removes what is ours; stops the daemon unless it is to be kept.
    pub(super) fn take_down(&self, plan: &Plan, keep_daemon: bool) -> TornDown {
        let mut done = TornDown::default();
        if self.endpoint.get().is_some() && !self.is_dead() {
            self.remove_objects(plan, &mut done);
        }
        if !self.keeps(keep_daemon, &mut done) {
            done.daemon = self.stop(plan.profile.daemon.stop_timeout);
            match (&done.daemon, self.dir.get()) {
                (DaemonEnd::StillThere(pid), _) => done.left.push(format!("dockerd, process {pid}")),
                (_, Some(dir)) => done.left.extend(dir.remove().err().map(|error| error.to_string())),
                (_, None) => {}
            }
        }
        for made in self.made.borrow().iter() {
            done.left.push(format!("{} (its daemon cannot be asked any more)", made.object(&plan.run)));
        }
        self.leftovers.borrow_mut().clone_from(&done.left);
        done
    }

    /// Whether the daemon that we started has ended.
    fn is_dead(&self) -> bool {
        self.daemon.get().is_some_and(|daemon| daemon.borrow_mut().look().is_some())
    }

    /// Keeps the daemon where that is wanted and it lives.
    fn keeps(&self, wanted: bool, done: &mut TornDown) -> bool {
        let alive = self.daemon.get().filter(|_| wanted && !self.is_dead());
        if let Some(daemon) = alive {
            done.daemon = DaemonEnd::Kept { endpoint: self.endpoint(), pid: daemon.borrow().pid() };
        }
        alive.is_some()
    }

    /// Removes everything of ours in the daemon, and what dead runs left there.
    fn remove_objects(&self, plan: &Plan, done: &mut TornDown) {
        let pulled: Vec<_> =
            self.made.borrow().iter().filter(|m| matches!(m, Made::Pulled(_))).cloned().collect();
        for kind in KINDS {
            let mut objects = match self.labelled(kind) {
                Ok(objects) => objects,
                Err(error) => {
                    done.left.push(format!("{}s, perhaps: {error}", kind.name()));
                    continue;
                }
            };
            let dead = BTreeSet::new();
            objects.retain(|object| objects::removable(object, &plan.run, &dead, plan.attach.is_none()));
            if kind == Kind::Image {
                objects.extend(pulled.iter().map(|made| made.object(&plan.run)));
            }
            for object in objects {
                match self.remove(&object) {
                    Ok(()) => done.removed.push(object.to_string()),
                    Err(error) => done.left.push(error.to_string()),
                }
            }
        }
        // What was meant to be made and is not there was never made.
        self.made.borrow_mut().clear();
    }

    /// Those of a kind with our label.
    fn labelled(&self, kind: Kind) -> crate::engine::EngineResult<Vec<objects::Object>> {
        let version = &self.api(SHORT)?.version;
        self.wait_in_peace("list what is ours", SHORT, objects::labelled(&self.endpoint(), version, kind))
    }

    /// Stops the daemon that we started.
    fn stop(&self, patience: Duration) -> DaemonEnd {
        let Some(daemon) = self.daemon.get() else {
            return self.endpoint.get().cloned().map_or(DaemonEnd::None, DaemonEnd::Attached);
        };
        let start = Instant::now();
        let mut daemon = daemon.borrow_mut();
        let dead = daemon.look();
        let stopped = self.runtime.block_on(daemon.stop(patience));
        match (dead, stopped) {
            (Some(death), _) => DaemonEnd::Dead(death),
            (None, Stopped::InTime) => DaemonEnd::Stopped(start.elapsed()),
            (None, Stopped::Killed) => DaemonEnd::Killed(start.elapsed()),
            (None, Stopped::Never) => DaemonEnd::StillThere(daemon.pid()),
        }
    }
}

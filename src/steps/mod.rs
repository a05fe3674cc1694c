//! Which steps are there, and in which order? What rests on what: a step never needs a later one.
//!
//! To add a step: write its file, and its line here.

use anyhow::Context;

use crate::facts::daemon::Daemon;
use crate::facts::programs;
use crate::host::SystemReader;
use crate::options::RunOptions;
use crate::step::{Cx, Step};

pub mod binaries;
pub mod build;
pub mod cgroup_delegation;
pub mod cgroup_mounts;
pub mod container_limits;
pub mod container_network;
pub mod container_privileged;
pub mod container_run;
pub mod container_storage;
pub mod daemon_config;
pub mod daemon_info;
pub mod daemon_start;
pub mod daemon_state;
pub mod image;
pub mod kernel;
pub mod mounts;
pub mod network;
pub mod privileges;
pub mod storage;
pub mod teardown;

/// The ladder.
pub static ALL: &[Step] = &[
    privileges::STEP,
    kernel::STEP,
    mounts::STEP,
    cgroup_mounts::STEP,
    cgroup_delegation::STEP,
    binaries::STEP,
    daemon_config::STEP,
    storage::STEP,
    network::STEP,
    daemon_state::STEP,
    daemon_start::STEP,
    daemon_info::STEP,
    image::STEP,
    container_run::STEP,
    container_limits::STEP,
    container_storage::STEP,
    container_network::STEP,
    container_privileged::STEP,
    build::STEP,
    teardown::STEP,
];

/// The step that starts a daemon, or attaches to one.
pub const DAEMON_START: &str = daemon_start::STEP.id;

/// The step that cleans up; it runs whenever something was started.
pub const TEARDOWN: &str = teardown::STEP.id;

/// Steps that need the version of dockerd.
const ASK_THE_DAEMON: &[&str] =
    &[binaries::STEP.id, daemon_config::STEP.id, storage::STEP.id, network::STEP.id, daemon_state::STEP.id];

/// Starts what takes long and needs no step before it, so that it is done by the time a step asks.
pub fn begin(host: &dyn SystemReader, options: &RunOptions) {
    if options.attach.is_none() && ASK_THE_DAEMON.iter().any(|step| options.runs(step)) {
        programs::ask_ahead(host, &options.profile.daemon.command);
    }
}

/// Starts the trials of the next steps: none of the steps before them repairs anything. An error here is met again, and
/// reported, by the step itself.
fn begin_trials(cx: &Cx<'_>, daemon: &Daemon) {
    if cx.options.runs(storage::STEP.id) {
        let _ = storage::begin(cx, daemon);
    }
    if cx.options.runs(network::STEP.id) {
        let _ = network::begin(cx.host, daemon);
    }
}

/// The step of that id; the error names those that there are.
pub fn find(id: &str) -> anyhow::Result<&'static Step> {
    ALL.iter().find(|step| step.id == id).with_context(|| {
        let known: Vec<_> = ALL.iter().map(|step| step.id).collect();
        format!("there is no step `{id}`; the steps are {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::step::Phase;

    #[test]
    fn ids_are_unique_and_kebab_case() {
        let ids: BTreeSet<_> = ALL.iter().map(|step| step.id).collect();
        assert_eq!(ids.len(), ALL.len());
        for id in ids {
            assert!(
                id.split('-').all(|w| !w.is_empty() && w.chars().all(|c| c.is_ascii_lowercase())),
                "{id}"
            );
        }
    }

    #[test]
    fn phases_follow_each_other() {
        let phases: Vec<Phase> = ALL.iter().map(|step| step.phase).collect();
        assert!(phases.is_sorted());
        assert_eq!(ALL.last().map(|step| step.id), Some(TEARDOWN));
    }

    #[test]
    fn every_step_says_why() {
        for step in ALL {
            assert!(step.why.ends_with('.') && step.why.len() > 20, "{}", step.id);
            assert!(!step.title.ends_with('.') && !step.title.is_empty(), "{}", step.id);
        }
    }
}

//! The ladder: every step, in the order of what rests on what. A step never needs a later one.
//!
//! To add a step, write its file and its line in `ladder!` below. `cargo test` then says what else it needs.

use anyhow::Context;

use crate::facts::daemon::Daemon;
use crate::facts::programs;
use crate::host::SystemReader;
use crate::options::{Need, RunOptions};
use crate::step::{Cx, Phase, Step};

/// Declares the module of each step, and [`ALL`] in the same order.
macro_rules! ladder {
    ($($step:ident,)*) => {
        $(pub mod $step;)*

        /// Every step, in order.
        pub static ALL: &[Step] = &[$($step::STEP),*];
    };
}

// rustfmt does not find modules in a macro: `make fmt` and `make lint` name these files to it.
ladder! {
    privileges,
    kernel,
    mounts,
    cgroup_mounts,
    cgroup_delegation,
    binaries,
    daemon_config,
    storage,
    network,
    daemon_state,
    daemon_start,
    daemon_info,
    image,
    container_run,
    container_limits,
    container_storage,
    container_network,
    container_privileged,
    build,
    teardown,
}

/// The step that starts a daemon, or attaches to one.
pub const DAEMON_START: &str = daemon_start::STEP.id;

/// The step that cleans up; it runs whenever something was started.
pub const TEARDOWN: &str = teardown::STEP.id;

/// The last step that checks the environment.
pub const LAST_OF_ENVIRONMENT: &str = {
    let mut last = 0;
    while matches!(ALL[last + 1].phase, Phase::Environment) {
        last += 1;
    }
    ALL[last].id
};

/// The ids of the steps that check the environment, in order.
pub fn environment() -> Vec<&'static str> {
    ALL.iter().filter(|step| step.phase == Phase::Environment).map(|step| step.id).collect()
}

/// Starts requests that take a while and depend on no step, so that the answers are ready when a step needs them.
pub fn begin(host: &dyn SystemReader, options: &RunOptions) {
    if options.attach.is_none() && options.needs(Need::DockerdVersion) {
        programs::ask_ahead(host, &options.profile.daemon.command);
    }
}

/// Starts the trials of the next steps, since no step before them repairs anything. The step itself meets an error again
/// and reports it.
fn begin_trials(cx: &Cx<'_>, daemon: &Daemon) {
    if cx.options.runs(storage::STEP.id) {
        let _ = storage::begin(cx, daemon);
    }
    if cx.options.runs(network::STEP.id) {
        let _ = network::begin(cx.host, daemon);
    }
}

/// The step with this id; the error lists all ids.
pub fn find(id: &str) -> anyhow::Result<&'static Step> {
    ALL.iter().find(|step| step.id == id).with_context(|| {
        let known: Vec<_> = ALL.iter().map(|step| step.id).collect();
        format!("unknown step `{id}`; the steps are {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

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

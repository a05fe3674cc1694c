//! The steps of the workload on real engines, sound and broken. Needs cgroup v1 on this machine.
//!
//! A fault must be found by the right step with the right cause, within its deadline, and nothing may be left of the run -
//! whether dindcheck starts the daemon, or is attached to one that was broken after its start.

mod containers;
mod images;
mod limits;
mod network;
#[cfg(test)]
mod own_step;
mod sound;
mod storage;
mod third_level;
mod tls;
mod unwell;

use crate::shared::matrix::Matrix;

/// The tables of faults.
fn faults() -> Vec<Matrix> {
    let tables = [
        containers::fault_matrices(),
        images::fault_matrices(),
        limits::fault_matrices(),
        network::fault_matrices(),
        storage::fault_matrices(),
    ];
    tables.into_iter().flatten().collect()
}

/// The name, the step and the cause of each fault.
pub(crate) fn rows() -> Vec<(&'static str, &'static str, &'static str)> {
    let tables = [
        containers::fault_rows(),
        images::fault_rows(),
        limits::fault_rows(),
        network::fault_rows(),
        storage::fault_rows(),
    ];
    tables.into_iter().flatten().collect()
}

/// What `make test` samples of this topic.
pub(crate) fn matrices() -> Vec<Matrix> {
    let worlds = [
        sound::engine_matrices(),
        containers::engine_matrices(),
        limits::engine_matrices(),
        third_level::engine_matrices(),
        tls::matrices(),
    ];
    worlds.into_iter().flatten().chain(faults()).collect()
}

#[test]
fn tables_have_forty_faults_and_no_name_twice() {
    let faults = faults();
    let kinds: std::collections::BTreeSet<_> = faults.iter().map(|fault| &fault.kind).collect();
    assert_eq!(kinds.len(), faults.len());
    assert!(kinds.len() >= 40, "{}", kinds.len());
}

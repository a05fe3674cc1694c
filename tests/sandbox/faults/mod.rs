//! Which faults are there? One table a step, in the order of the ladder; to add a fault is to add a row.

use crate::fault::Fault;

mod binaries;
mod cgroup;
mod daemon_config;
mod daemon_state;
mod kernel;
mod mounts;
mod network;
mod privileges;
mod storage;

/// Every row.
pub(crate) fn all() -> Vec<&'static Fault> {
    let tables: [&'static [Fault]; 9] = [
        privileges::FAULTS,
        kernel::FAULTS,
        mounts::FAULTS,
        cgroup::FAULTS,
        binaries::FAULTS,
        daemon_config::FAULTS,
        storage::FAULTS,
        network::FAULTS,
        daemon_state::FAULTS,
    ];
    tables.into_iter().flatten().collect()
}

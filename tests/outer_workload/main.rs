//! Do the steps of the workload phase tell the truth about real engines, sound and broken? Needs root, the test bed
//! (tests/bed) and a machine with cgroup v1; `DINDCHECK_ENGINE` names the bed's engine.
//!
//! A fault must be told by the right step with the right cause, within its deadline, and nothing may be left of the
//! run - whether dindcheck starts the daemon, or is attached to one that was broken after its start.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests look at the machine and speak for themselves"
)]

#[path = "../bed/mod.rs"]
mod bed;
mod containers;
mod images;
mod limits;
mod network;
mod sound;
mod storage;
mod third_level;
mod tls;
mod world;

#[test]
fn forty_faults_and_more_are_played_and_no_name_twice() {
    let tables =
        [containers::FAULTS, images::FAULTS, limits::FAULTS, network::FAULTS, storage::FAULTS].concat();
    let names: std::collections::BTreeSet<_> = tables.iter().collect();
    assert_eq!(names.len(), tables.len());
    assert!(names.len() >= 40, "{}", names.len());
}

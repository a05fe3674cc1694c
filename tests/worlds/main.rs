//! Real worlds: real privileged outer containers with a real inner dockerd, sound or broken in one way, and what dindcheck
//! makes of them. README.md shows how to add one.
//!
//! They need root and the bed (tests/bed); `make worlds-test` brings it up and runs them.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests look at the machine and print what they measure"
)]

mod daemon;
mod deploy;
mod drops;
mod entrypoint;
mod environment;
mod harm;
mod harness;
mod image;
mod remedies;
#[path = "../harness/mod.rs"]
mod shared;
mod unusual;
mod verify;
mod workload;

use shared::matrix;

#[test]
fn what_make_test_samples_is_documented() {
    let topics = [
        ("verify", verify::matrices()),
        ("environment", environment::matrices()),
        ("daemon", daemon::matrices()),
        ("workload", workload::matrices()),
        ("entrypoint", entrypoint::matrices()),
        ("harm", harm::matrices()),
        ("unusual", unusual::matrices()),
    ];
    let mut all = Vec::new();
    for (topic, matrices) in topics {
        all.extend(matrices.into_iter().map(|matrix| matrix.of_topic(topic)));
    }
    matrix::documented("worlds", &all);
}

#[test]
#[ignore = "compares what the other worlds have noted: scripts/worlds.sh runs it after them"]
fn remedies_read_alike_only_where_the_same_mends() {
    let notes = shared::notes::all(&["worlds"]);
    assert!(notes.len() >= 40, "only {} faults have noted what their reports print", notes.len());
    let alike = shared::notes::alike(&notes);
    assert!(alike.is_empty(), "faults that other things mend read alike: {alike:#?}");
}

//! The steps of the environment in real outer containers, sound and broken in one way each.

mod attached;
mod configuration;
mod mounts;
mod network;
mod privileges;
mod programs;
mod recording;
mod state;
mod storage;

use crate::shared::matrix::Matrix;

/// What `make test` samples of this topic.
pub(crate) fn matrices() -> Vec<Matrix> {
    let topics = [
        privileges::engine_matrices(),
        mounts::engine_matrices(),
        configuration::engine_matrices(),
        programs::engine_matrices(),
        storage::engine_matrices(),
        state::engine_matrices(),
    ];
    topics.into_iter().flatten().collect()
}

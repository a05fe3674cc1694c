//! Only what is provably ours is taken away: what is somebody else's stays as it is, whatever became of a run of ours.

mod census;
mod foreign;
mod images;
mod judge;
mod stories;
mod together;

use census::Answer;

use crate::harness::{Outer, Suite};
use crate::shared::matrix::Matrix;

/// See the functions there.
const TOOLS: &str = include_str!("tools.sh");

/// What `make test` samples of this topic.
pub(crate) fn matrices() -> Vec<Matrix> {
    [foreign::matrices(), images::engine_matrices(), stories::engine_matrices(), together::matrices()]
        .into_iter()
        .flatten()
        .collect()
}

/// Plays a script with the tools; what it prints.
#[track_caller]
fn answer(suite: Suite, script: &str) -> Answer {
    Answer::of(&Outer::new(suite).play(&format!("{TOOLS}\n{script}")))
}

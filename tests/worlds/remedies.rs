//! The remedy of every fault that these worlds show: a text that the report prints and that mends the world, or why no world
//! can show it.

use crate::shared::remedy::Remedy::{self, NotHere};

const REMEDIES: &[(&str, Remedy)] = &[];

/// The remedy of a row.
pub(crate) fn of(name: &str) -> Remedy {
    REMEDIES.iter().find(|(row, _)| *row == name).map_or(NotHere("to be written"), |(_, remedy)| *remedy)
}

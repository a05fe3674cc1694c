//! What a run leaves, what of it is ours, and how it goes away.

pub mod objects;
pub mod rundir;
pub mod snapshot;

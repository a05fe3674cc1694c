//! Cleanup: which objects, processes and files of a run are provably ours, and how they are removed.

pub mod objects;
pub mod rundir;
pub mod snapshot;

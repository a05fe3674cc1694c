//! Cleanup: which objects, processes and files of a run are provably ours, and how they are removed.

pub mod made;
pub mod neighbours;
pub mod objects;
pub mod others;
pub mod paths;
pub mod place;
pub mod processes;
pub mod record;
pub mod rundir;

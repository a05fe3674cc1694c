//! What is so here? Small typed readings that several steps share: on demand, through the door, never kept.

pub mod cgroup;
pub mod mounts;

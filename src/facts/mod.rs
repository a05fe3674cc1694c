//! What is so here? Small typed readings that several steps share: on demand, through the door, never kept.

pub mod caps;
pub mod cgroup;
pub mod confinement;
pub mod daemon;
pub mod endpoint;
pub mod executable;
pub mod filesystem;
pub mod ipv4;
pub mod kernel;
pub mod mounts;
pub mod pidfile;
pub mod process;
pub mod programs;
pub mod routes;
pub mod status;
pub mod version;

//! Small typed readings of the machine that several steps share.
//!
//! Each is parsed from bytes that [`SystemReader`](crate::host::SystemReader) reads on demand. Nothing is cached, so that
//! a check after a repair sees the change.

pub mod caps;
pub mod cgroup;
pub mod confinement;
pub mod daemon;
pub mod directories;
pub mod endpoint;
pub mod executable;
pub mod filesystem;
pub mod firewall;
pub mod ipv4;
pub mod kernel;
pub mod locks;
pub mod mounts;
pub mod oom;
pub mod pidfile;
pub mod process;
pub mod programs;
pub mod reference;
pub mod routes;
pub mod status;
pub mod version;

//! dindcheck reports whether Docker-in-Docker works here, and if not, the first thing that fails, why, and what makes it
//! work.
//!
//! ```text
//!  profiles/*.yaml --+
//!  CLI arguments ----+--> Plan --> runner --> each Step: facts <-- SystemReader (live | recorded | fake)
//!                         |         |         check --> findings -- fail? --> repair --> the SAME check again
//!                    `plan` prints  | events --> progress on stderr
//!                                   +--> Report --> human | json | ... --> exit code
//! ```
//!
//! Steps run in the order of what rests on what, so the first failing step is the cause and everything after it is a
//! consequence. A step only finds ([`step`]); only the [`runner`] concludes; a repair changes the machine through
//! [`repair_log`] alone; the machine is behind [`host`], Docker behind [`engine`]. ARCHITECTURE.md has the layers.

pub mod cli;
pub mod commands;
pub mod engine;
pub mod entrypoint;
pub mod exit;
pub mod facts;
pub mod finding;
pub mod fixture;
pub mod host;
pub mod image_check;
pub mod interrupt;
pub mod kernel_modules;
pub mod options;
pub mod plan;
pub mod probe;
pub mod profile;
pub mod redact;
pub mod repair_log;
pub mod report;
pub mod runner;
pub mod step;
pub mod steps;
pub mod talk;
#[cfg(test)]
pub(crate) mod testing;
pub mod text;
pub mod trial;
pub mod workload;
pub mod yaml;

/// Causes and the diagnosis of logs, a crate of its own.
pub use dindcheck_diagnosis as diagnosis;

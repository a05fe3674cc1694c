//! Does dindcheck tell the truth in a real privileged outer container, with a real inner dockerd?
//!
//! These tests need root and the bed (tests/bed); `make test` brings it up and runs them.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests look at the machine and speak for themselves"
)]

mod acts;
mod bed;
mod deploy;
mod engine;
mod entrypoint;
mod image;
mod packaging;
mod wait;

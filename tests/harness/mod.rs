//! What every kind of world shares: the program under test, the bed's scripts, a report and what is expected of it, and
//! how much of a matrix is played.
//!
//! Included by `tests/worlds`, `tests/sandbox` and `tests/vm`.
#![allow(dead_code, reason = "which parts are used differs between the tests that include this")]

pub(crate) mod bed;
pub(crate) mod matrix;
pub(crate) mod notes;
pub(crate) mod own_step;
pub(crate) mod played;
pub(crate) mod remedy;
pub(crate) mod report;

use std::path::PathBuf;

/// The program under test: the one `make` built, or cargo's own for these tests.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("DINDCHECK_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_dindcheck").into()).into()
}

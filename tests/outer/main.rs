//! Does dindcheck tell the truth in a real privileged outer container, with a real inner dockerd?
//!
//! These tests need root and the bed (tests/bed); `make test` brings it up and runs them.

mod acts;
mod bed;
mod engine;

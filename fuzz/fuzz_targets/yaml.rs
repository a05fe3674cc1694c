//! No YAML text takes long or panics.
#![no_main]

use dindcheck::yaml::{Limits, from_str};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = from_str::<serde_json::Value>(text, Limits::HAND_WRITTEN);
});

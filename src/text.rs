//! How durations read in messages and reports.

use std::time::Duration;

/// A duration in a message: `412 ms`, `1.5 s`.
pub fn seconds(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms < 1000 { format!("{ms} ms") } else { format!("{:.1} s", duration.as_secs_f64()) }
}

/// A duration in a table of a report, from milliseconds: `3.2 ms`, `1.25 s`.
pub fn took(milliseconds: f64) -> String {
    if milliseconds >= 1000.0 {
        format!("{:.2} s", milliseconds / 1000.0)
    } else {
        format!("{milliseconds:.1} ms")
    }
}

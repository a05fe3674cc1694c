//! Small texts that several layers write: durations, bounded output, and text from outside.

use std::time::Duration;

pub mod any_path;
pub mod errors;
pub mod shown;

/// The longest duration that anything may be given: far from where sums of times overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// A duration as it is typed: `60s`, `1m 30s`.
///
/// # Errors
///
/// What is invalid in it, and what is valid.
pub fn duration(text: &str) -> Result<Duration, String> {
    let invalid = |why: String| {
        format!("`{}` is not a valid duration, such as `60s` or `1m 30s`: {why}", shown::one_line(text))
    };
    let duration = humantime::parse_duration(text).map_err(|error| invalid(error.to_string()))?;
    if duration > LONGEST {
        return Err(invalid("it is longer than 365 days".to_owned()));
    }
    Ok(duration)
}

/// A duration in a sentence: `412 ms`, `1.5 s`.
pub fn seconds(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms < 1000 { format!("{ms} ms") } else { format!("{:.1} s", duration.as_secs_f64()) }
}

/// A duration in a table, from milliseconds; one more digit tells quick steps apart: `3.2 ms`, `1.25 s`.
pub fn took(milliseconds: f64) -> String {
    if milliseconds >= 1000.0 {
        format!("{:.2} s", milliseconds / 1000.0)
    } else {
        format!("{milliseconds:.1} ms")
    }
}

/// An amount of data in a sentence: `0.5 MiB`.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Appends as much of `piece` to `kept` as there is room for up to `most` bytes. Returns whether all of it fitted.
pub fn append_up_to(kept: &mut Vec<u8>, piece: &[u8], most: usize) -> bool {
    let room = most.saturating_sub(kept.len());
    kept.extend_from_slice(&piece[..piece.len().min(room)]);
    piece.len() <= room
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_milliseconds_below_a_second() {
        let ms = Duration::from_millis;
        assert_eq!((seconds(ms(412)), seconds(ms(1500))), ("412 ms".into(), "1.5 s".into()));
        assert_eq!((took(3.24), took(1250.0)), ("3.2 ms".into(), "1.25 s".into()));
    }

    #[test]
    fn duration_that_would_overflow_is_refused() {
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        for invalid in ["", "soon", "-1s", "5", "366d", "500000000000y", "1s\u{9b}"] {
            assert!(duration(invalid).unwrap_err().contains("is not a valid duration"), "{invalid}");
        }
    }

    #[test]
    fn amounts_are_mebibytes() {
        assert_eq!((mebibytes(3 << 19), mebibytes(2 << 30)), ("1.5 MiB".into(), "2048.0 MiB".into()));
    }

    #[test]
    fn appending_stops_at_the_limit_and_says_so() {
        let mut kept = b"ab".to_vec();
        assert!(append_up_to(&mut kept, b"c", 3));
        assert!(!append_up_to(&mut kept, b"d", 3));
        assert!(append_up_to(&mut kept, b"", 3));
        assert_eq!(kept, b"abc");
        let mut kept = Vec::new();
        assert!(!append_up_to(&mut kept, b"abcd", 3));
        assert_eq!(kept, b"abc");
    }
}

//! Text in columns for people: folded at 80 columns, continued below its own beginning, or cut to one row.

use std::time::Duration;

/// The width of the text, for terminals of 80 columns.
const WIDTH: usize = 80;
/// Columns of the labels of a block.
const LABEL: usize = 15;

/// A space at which a row is not folded.
pub(super) const TIE: char = '\u{a0}';

/// Text behind a head that is `indent` columns wide, its further rows indented to the same column.
pub(super) fn hang(head: &str, indent: usize, text: &str) -> String {
    let rows = fold(text, WIDTH - indent);
    let below = format!("\n{:indent$}", "");
    format!("{head}{}", rows.join(&below)).trim_end().to_owned()
}

/// A line `label  value` of a block, folded.
pub(super) fn labelled(label: &str, value: &str) -> String {
    hang(&format!("  {label:<LABEL$}"), LABEL + 2, value) + "\n"
}

/// A text cut to what a row has room for behind so many columns.
pub(super) fn shortened(text: &str, behind: usize) -> String {
    let room = WIDTH - 1 - behind;
    match text.chars().count() {
        count if count <= room => text.to_owned(),
        _ => text.chars().take(room - 1).chain(['…']).collect(),
    }
}

/// A duration that is not parted from its unit: `0.4 ms`, `1.83 s`.
pub(super) fn duration(duration: Duration) -> String {
    crate::text::took(duration.as_secs_f64() * 1000.0).replace(' ', &TIE.to_string())
}

/// Words in rows of at most `width` characters; a longer word has a row of its own.
fn fold(text: &str, width: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in text.split_ascii_whitespace() {
        let row = rows.last_mut().map_or("", |row| row.as_str());
        if !row.is_empty() && row.chars().count() + 1 + word.chars().count() > width {
            rows.push(word.to_owned());
        } else if let Some(row) = rows.last_mut() {
            if !row.is_empty() {
                row.push(' ');
            }
            row.push_str(word);
        }
    }
    rows.iter().map(|row| row.replace(TIE, " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_a_long_one_stays_whole() {
        assert_eq!(fold("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(fold("abcdefgh i", 4), ["abcdefgh", "i"]);
    }

    #[test]
    fn a_duration_is_not_parted_from_its_unit() {
        assert_eq!(fold(&format!("a {}", duration(Duration::from_millis(1250))), 4), ["a", "1.25 s"]);
    }
}

//! Shows text from outside: with control characters escaped, and without a line that a CI runner takes for a command.
//!
//! A terminal obeys escape sequences (ECMA-48, also in their 8-bit form U+0080 to U+009F), and reorders text at bidirectional
//! controls (Unicode Technical Report 36). The runner of GitHub Actions takes a line for a command that begins with `::`
//! after white space, or has `##[` anywhere (actions/runner, `ActionCommand.cs`); that of Azure Pipelines looks for `##vso[`.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Whether a character is a control, or cannot be seen, or reorders its neighbours.
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// A text from outside in one line: a line break or a tab is a space, other hidden characters are escaped (`\u{1b}`).
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.trim_end_matches(['\n', '\r']).replace("\r\n", "\n").chars() {
        match character {
            '\n' | '\r' | '\t' => shown.push(' '),
            other => push_shown(&mut shown, other),
        }
    }
    Cow::Owned(shown)
}

/// A text from outside that keeps its lines.
pub fn lines(text: &str) -> String {
    text.lines().map(one_line).collect::<Vec<_>>().join("\n")
}

/// A path, of which bytes that are not UTF-8 are escaped as well (`\xff`).
pub fn path(path: &Path) -> String {
    let mut shown = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        chunk.valid().chars().for_each(|character| push_shown(&mut shown, character));
        chunk.invalid().iter().for_each(|byte| {
            let _ = write!(shown, "\\x{byte:02x}");
        });
    }
    shown
}

/// A page that is about to be written: our own lines and colours stay, all other hidden characters are escaped, and no line
/// is a command of a CI runner.
pub fn page(text: &str) -> Cow<'_, str> {
    guarded(visible(text))
}

/// The same for lines that are meant to be commands.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(|character| is_hidden(character) && character != '\n') {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|character| is_hidden(character) && character != '\n') {
        shown.push_str(&rest[..at]);
        rest = &rest[at..];
        let kept = colour(rest);
        shown.push_str(&rest[..kept]);
        if let (0, Some(character)) = (kept, rest.chars().next()) {
            push_shown(&mut shown, character);
            rest = &rest[character.len_utf8()..];
        }
        rest = &rest[kept..];
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// JSON text in which every hidden character of a string is escaped as JSON does it, so that its meaning stays the same.
pub fn json(text: &str) -> Cow<'_, str> {
    let is_raw = |character| is_hidden(character) && character != '\n';
    if !text.contains(is_raw) && !text.contains("##") {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_raw(character) {
            character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(shown, "\\u{unit:04x}");
            });
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown.replace("##[", "##\\u005b").replace("##vso[", "##vso\\u005b"))
}

/// A character, escaped if it is hidden.
fn push_shown(shown: &mut String, character: char) {
    match character {
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        hidden if is_hidden(hidden) => shown.extend(hidden.escape_unicode()),
        plain => shown.push(plain),
    }
}

/// The length of the colour sequence (SGR) that a text begins with; 0 if it begins with none.
fn colour(text: &str) -> usize {
    let Some(parameters) = text.strip_prefix("\u{1b}[") else { return 0 };
    let length = parameters.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
    if parameters[length..].starts_with('m') { 2 + length + 1 } else { 0 }
}

/// A backslash breaks what a CI runner would take for a command.
fn guarded(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains("::") && !text.contains("##") {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let start = start_of(line);
        shown.push_str(&line[..start]);
        if line[start..].starts_with("::") {
            shown.push('\\');
        }
        shown.push_str(&line[start..].replace("##[", "##\\[").replace("##vso[", "##vso\\["));
    }
    Cow::Owned(shown)
}

/// Where the first character of a line is that is neither white space nor part of a colour sequence.
fn start_of(line: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = &line[at..];
        let space = rest.len() - rest.trim_start().len();
        let step = if space > 0 { space } else { colour(rest) };
        if step == 0 {
            return at;
        }
        at += step;
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use proptest::prelude::{any, proptest};

    use super::*;

    const HOSTILE: &str = "a\u{9b}31m\u{1b}]0;x\u{7}\u{202e}b\u{2028}c\r\n::error::d\u{200b}";

    #[test]
    fn hidden_characters_are_escaped_and_line_breaks_are_spaces() {
        let shown = one_line(HOSTILE);
        assert_eq!(shown, "a\\u{9b}31m\\u{1b}]0;x\\u{7}\\u{202e}b\\u{2028}c ::error::d\\u{200b}");
        assert!(matches!(one_line("é 日本 ✔"), Cow::Borrowed("é 日本 ✔")));
        assert_eq!(one_line("one line\n"), "one line");
    }

    #[test]
    fn path_shows_each_byte_that_is_not_text() {
        assert_eq!(path(Path::new(OsStr::from_bytes(b"/a\xff\n\xc3\xa9b"))), "/a\\xff\\n\u{e9}b");
    }

    #[test]
    fn page_keeps_own_colours_and_breaks_commands() {
        let page_of = |text: &str| page(text).into_owned();
        assert_eq!(page_of("\u{1b}[1;31mred\u{1b}[0m\u{1b}[2J"), "\u{1b}[1;31mred\u{1b}[0m\\u{1b}[2J");
        assert_eq!(page_of("x\n  \u{1b}[31m::error::y"), "x\n  \u{1b}[31m\\::error::y");
        assert_eq!(page_of("a ##[add-mask]x ##vso[task]"), "a ##\\[add-mask]x ##vso\\[task]");
        assert_eq!(page_of("listens on ::1"), "listens on ::1");
    }

    #[test]
    fn json_means_the_same() {
        let value = serde_json::json!({ HOSTILE: [HOSTILE, "\u{e0001}##[x]##vso[y]"] });
        let text = json(&serde_json::to_string_pretty(&value).unwrap()).into_owned();
        assert!(text.chars().all(|character| character == '\n' || !is_hidden(character)), "{text}");
        assert!(!text.contains("##[") && !text.contains("##vso["), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    proptest! {
        #[test]
        fn no_text_puts_a_hidden_character_or_a_command_on_a_page(text in any::<String>(), tail in "[:#\\[\n \u{1b}m;1a]{0,30}") {
            let text = text + &tail;
            let line = one_line(&text);
            assert!(!line.contains(is_hidden), "{line:?}");
            let whole = page(&text).into_owned();
            let plain = anstream::adapter::strip_str(&whole).to_string();
            assert!(plain.chars().all(|character| character == '\n' || !is_hidden(character)), "{plain:?}");
            assert!(!plain.lines().any(|line| line.trim_start().starts_with("::") || line.contains("##[")), "{plain:?}");
        }
    }
}

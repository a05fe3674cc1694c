//! Reads a line of a log: its level and its message, without wrappers and escapes.
//!
//! A message of dockerd is logfmt, JSON, the short format of old versions, or bare; journald, compose, Kubernetes, a
//! build or a CI runner may have put a prefix before it. Prefixes are removed until the message is left.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::logfmt;

/// The level of a line, in ascending order of severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `trace`, `debug`, `info`, `notice`.
    Quiet,
    /// `warning`.
    Warning,
    /// No level: output of a client, a script, a tool.
    Unmarked,
    /// `error`.
    Error,
    /// `fatal`, `panic`.
    Fatal,
}

/// A line of a log without its wrappers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its level.
    pub level: Level,
    /// Message and fields, without escapes.
    pub text: String,
    /// Whether it has a format of its own (logfmt, JSON, the short format), so that it continues no earlier line.
    pub formed: bool,
}

const WRAPPINGS: usize = 8;

/// Reads a line. Any text is accepted.
pub fn read(line: &str) -> Record {
    let plain = without_escapes(line);
    let mut rest = plain.trim_end_matches(['\r', '\n', ' ']);
    let mut level = Level::Unmarked;
    for _ in 0..WRAPPINGS {
        if let Some(record) = structured(rest) {
            return record;
        }
        let Some((wrapped, inner)) = peel(rest) else { break };
        level = wrapped.or_level(level);
        rest = inner;
    }
    let formed = level != Level::Unmarked;
    Record { level, text: free(rest.trim_start()).into_owned(), formed }
}

fn structured(rest: &str) -> Option<Record> {
    let rest = rest.trim_start();
    if rest.starts_with('{') {
        return json(rest);
    }
    logfmt::read(rest).map(|fields| Record {
        level: fields.level,
        text: free(&fields.text).into_owned(),
        formed: true,
    })
}

/// JSON of the json-file driver, of journald's export, or of a logger.
fn json(text: &str) -> Option<Record> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let object = value.as_object()?;
    let text_of = |names: &[&str]| names.iter().find_map(|name| object.get(*name)?.as_str());
    let bytes = object.get("MESSAGE").and_then(of_bytes);
    let message = bytes
        .as_deref()
        .or_else(|| text_of(&["log", "MESSAGE", "msg", "message", "Message", "textPayload", "line"]))?;
    let message = &*without_escapes(message);
    let level = text_of(&["level", "severity", "lvl"]).map_or(Level::Unmarked, level_of);
    let inner = read_inner(message);
    let mut text = inner.text;
    for name in ["error", "err", "error-response"] {
        if let Some(error) = object.get(name).and_then(serde_json::Value::as_str) {
            text = format!("{text} {name}={}", free(error));
        }
    }
    let level = if inner.formed { inner.level } else { level };
    Some(Record { level, text, formed: inner.formed || level != Level::Unmarked })
}

/// journald writes a message with control characters, such as colours, as numbers.
fn of_bytes(value: &serde_json::Value) -> Option<String> {
    let bytes: Option<Vec<u8>> =
        value.as_array()?.iter().map(|byte| byte.as_u64()?.try_into().ok()).collect();
    Some(String::from_utf8_lossy(&bytes?).into_owned())
}

/// A line as it is shown: verbatim, with a message that journald exports as numbers decoded.
pub(super) fn shown(raw: &str) -> String {
    let numbers = || {
        let value: serde_json::Value = serde_json::from_str(raw.trim()).ok()?;
        of_bytes(value.get("MESSAGE")?)
    };
    let letters = (raw.starts_with('{') && raw.contains("\"MESSAGE\"")).then(numbers).flatten();
    without_escapes(letters.as_deref().unwrap_or(raw)).trim_end().to_owned()
}

/// The message in a wrapper may be wrapped again; JSON inside of JSON is not opened.
fn read_inner(message: &str) -> Record {
    let message = message.trim_end_matches(['\r', '\n']);
    if message.trim_start().starts_with('{') {
        return Record { level: Level::Unmarked, text: free(message).into_owned(), formed: false };
    }
    read(message)
}

/// The level that a wrapper carries.
enum Wrapped {
    Nothing,
    Level(Level),
}

impl Wrapped {
    fn or_level(self, level: Level) -> Level {
        match self {
            Self::Nothing => level,
            Self::Level(level) => level,
        }
    }
}

static WRAPPERS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let parts = [
        r"(?P<short>DEBU|INFO|WARN|ERRO|FATA|PANI|TRAC)\[[^\]]*\]\s+",
        r"\[(?P<word>DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|TRACE)\s*\]:?\s+",
        r"(?P<klog>[IWEF])\d{4} \d\d:\d\d:\d\d\.\d+\s+\d+ [^\]]{1,80}\] ",
        r"##\[[a-z]+\]",
        r"MESSAGE=",
        r"::(error|warning|notice)[^:]*::",
        r"\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d([.,]\d+)?( ?(Z|UTC|[+-]\d\d:?\d\d))?\]?:?\s+(\d\d[OE][+ ])?",
        r"\[[\d;]{1,8}m",
        r"[A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d(\.\d+)? [\w.-]+ [\w./@-]+(\[\d+\])?: ",
        r"[A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d(\.\d+)? ",
        r"\[?\d\d:\d\d:\d\d([.,]\d+)?\]? +",
        r"<\d{1,3}>(1 )?",
        r"[\w.-]+ [\w./@-]+ (\d+|-) (\w+|-) - ",
        r"[\w.-]+ [\w./@-]+\[\d+\]: ",
        r"[\w./@-]+\[\d+\]: ",
        r"(stdout|stderr)( [FP] |: )",
        r"section_(start|end):\d+:\w+(\[[^\]]*\])?",
        r"[\w./-]{1,80} +\|(\[0?m)? ",
        r"\[(pod/)?[\w./-]+\] ?\|? ",
        r"\[[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ [^\]]{1,40}\] ",
        r"\[ *\d+(\.\d+)?s?\] ",
        r"#\d+ (\d+\.\d+ )?",
        r"[|>\u{2502}]+ ",
        r"\s+",
    ];
    Regex::new(&format!("^(?:{})", parts.join("|"))).ok()
});

fn peel(rest: &str) -> Option<(Wrapped, &str)> {
    let captures = WRAPPERS.as_ref()?.captures(rest)?;
    let end = captures.get(0)?.end();
    let named = ["short", "word", "klog"].iter().find_map(|name| captures.name(name));
    let wrapped = named.map_or(Wrapped::Nothing, |name| Wrapped::Level(level_of(name.as_str())));
    (end > 0).then(|| (wrapped, &rest[end..]))
}

/// The level by any of its names.
pub(super) fn level_of(name: &str) -> Level {
    match name.as_bytes().first().map(u8::to_ascii_lowercase) {
        Some(b'w') => Level::Warning,
        Some(b'e') => Level::Error,
        Some(b'f' | b'p' | b'c') => Level::Fatal,
        _ => Level::Quiet,
    }
}

/// The line without ANSI sequences and other control characters.
pub fn without_escapes(line: &str) -> Cow<'_, str> {
    if !line.bytes().any(|byte| byte < b' ' && byte != b'\t') {
        return Cow::Borrowed(line);
    }
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => skip_sequence(&mut characters),
            '\t' => plain.push('\t'),
            '\r' => plain.push(' '),
            control if control < ' ' => {}
            other => plain.push(other),
        }
    }
    Cow::Owned(plain)
}

fn skip_sequence(characters: &mut std::str::Chars<'_>) {
    match characters.next() {
        Some('[') => {
            characters.find(|character| ('@'..='~').contains(character));
        }
        Some(']') => {
            characters.find(|&character| character == '\u{7}');
        }
        _ => {}
    }
}

/// The text without the backslashes of any number of quoting layers; a quoted line break becomes a space.
fn free(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut freed = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '\\' {
            freed.push(character);
            continue;
        }
        match characters.peek() {
            Some('\\' | '"' | '\'') => {}
            Some('n' | 't' | 'r') => {
                characters.next();
                freed.push(' ');
            }
            _ => freed.push('\\'),
        }
    }
    Cow::Owned(freed)
}

#[cfg(test)]
mod tests {
    use super::{Level, read};

    #[track_caller]
    fn says(line: &str, level: Level, text: &str) {
        let record = read(line);
        assert_eq!((record.level, record.text.as_str()), (level, text), "{line}");
    }

    #[test]
    fn every_form_of_dockerd() {
        says(r#"time="2024-01-02T03:04:05Z" level=error msg="a \"b\" c""#, Level::Error, r#"a "b" c"#);
        says("ERRO[2019-09-12T06:11:01.38Z] bad thing  driver=x", Level::Error, "bad thing  driver=x");
        says("FATA[0000] bad", Level::Fatal, "bad");
        says("failed to start daemon: x", Level::Unmarked, "failed to start daemon: x");
    }

    #[test]
    fn wrappers_are_peeled() {
        for wrapper in [
            "Jun 22 19:23:34 host dockerd[180]: ",
            "2024-05-01T10:00:00.000000000Z ",
            "2024-05-01T10:00:00.000000000Z stderr F ",
            "dind-1  | ",
            "[pod/dind-0/dind] ",
            "#8 2.452 ",
            "dockerd[5375]: ",
            "2024-05-01T10:00:00+0200 host dockerd[12]: ",
            "\u{1b}[31m",
            "##[error]",
            "MESSAGE=",
            "<27>May  1 10:00:00 host dockerd[12]: ",
            "<30>1 2024-05-01T10:00:00Z host dockerd 12 - - ",
            "10:00:00 ",
            "[10:00:00.123] ",
            "stderr: ",
            "section_start:1560896352:build\r\u{1b}[0K",
            "\u{2502} ",
            "[36mdind_1  |[0m ",
        ] {
            let line = format!("{wrapper}time=\"2024-01-02T03:04:05Z\" level=fatal msg=\"x y\"\r");
            says(&line, Level::Fatal, "x y");
            says(&format!("{wrapper}cannot do it"), Level::Unmarked, "cannot do it");
        }
    }

    #[test]
    fn json_is_opened() {
        says(r#"{"log":"level=error msg=\"x \\\"y\\\"\"\n","stream":"stderr"}"#, Level::Error, r#"x "y""#);
        says(r#"{"level":"warn","msg":"a","error":"b"}"#, Level::Warning, "a error=b");
        says(
            r#"{"MESSAGE":"failed to start daemon: z","PRIORITY":"6"}"#,
            Level::Unmarked,
            "failed to start daemon: z",
        );
        says(r#"{"MESSAGE":[27,91,51,49,109,97,32,98,27,91,109],"PRIORITY":"6"}"#, Level::Unmarked, "a b");
        says(r#"{"MESSAGE":[300],"msg":"c"}"#, Level::Unmarked, "c");
        says(r#"{"broken": "#, Level::Unmarked, r#"{"broken":"#);
    }
}

//! Decodes the bytes of a log to UTF-8, and recognises bytes that are no log.
//!
//! PowerShell 5 writes UTF-16 with a byte order mark (`dockerd > log`), and other programs without one. Zeros are left out: a
//! log that was truncated while its writer did not append begins with a hole of them, and `>>` of PowerShell 5 mixes UTF-16
//! into a file of bytes.

use std::borrow::Cow;

use memchr::memchr;

/// So many bytes decide; fewer if the log has no more.
const SAMPLE: usize = 4096;
/// More zeros than this at the beginning are a hole.
const HOLE: usize = 3;

/// The first bytes of files that are no text.
const MAGIC: &[(&[u8], NotALog)] = &[
    (b"\x1f\x8b", NotALog::Packed("compressed with gzip", "zcat")),
    (b"\x28\xb5\x2f\xfd", NotALog::Packed("compressed with zstd", "zstdcat")),
    (b"\xfd7zXZ\0", NotALog::Packed("compressed with xz", "xzcat")),
    (b"BZh", NotALog::Packed("compressed with bzip2", "bzcat")),
    (b"\x04\x22\x4d\x18", NotALog::Packed("compressed with lz4", "lz4cat")),
    (b"PK\x03\x04", NotALog::Packed("a ZIP archive", "unzip -p")),
    (b"LPKSHHRH", NotALog::Packed("a journal of systemd", "journalctl --file")),
    (b"\xff\xfe\0\0", NotALog::Packed("UTF-32", "iconv -f UTF-32 -t UTF-8")),
    (b"\0\0\xfe\xff", NotALog::Packed("UTF-32", "iconv -f UTF-32 -t UTF-8")),
];

/// Why bytes are no log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotALog {
    /// They hold one in another form: what it is, and the command that, before the name of the file, prints it as text.
    Packed(&'static str, &'static str),
    /// They are no text.
    Binary,
}

/// Decodes a stream that comes in pieces of any size.
#[derive(Debug, Clone, Default)]
pub(super) struct Decoder {
    /// How the bytes are read; none until enough of them are there to decide.
    encoding: Option<Encoding>,
    not_a_log: Option<NotALog>,
    /// The first bytes, until they decide.
    sample: Vec<u8>,
    /// Whether a hole came before them.
    hole: bool,
}

/// How bytes are read.
#[derive(Debug, Clone)]
enum Encoding {
    /// As UTF-8, or anything that has ASCII in it.
    Bytes,
    Utf16(Utf16),
}

/// Decodes UTF-16.
#[derive(Debug, Clone)]
struct Utf16 {
    big_endian: bool,
    /// The first byte of a unit whose second has not come.
    byte: Option<u8>,
    /// The first unit of a pair whose second has not come.
    unit: Option<u16>,
}

impl Decoder {
    /// The text of the next bytes, as far as it is known.
    pub(super) fn push<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        if let Some(encoding) = &mut self.encoding {
            return encoding.decode(bytes);
        }
        self.sample.extend_from_slice(bytes);
        self.skip_hole();
        if self.sample.len() < SAMPLE { Cow::Borrowed(&[]) } else { Cow::Owned(self.decide()) }
    }

    /// Whether what the bytes are is known.
    pub(super) fn has_decided(&self) -> bool {
        self.encoding.is_some()
    }

    /// Whether bytes have been kept because they do not decide yet.
    pub(super) fn is_undecided(&self) -> bool {
        self.encoding.is_none() && !self.sample.is_empty()
    }

    /// Decides by the bytes that have come, and returns their text.
    pub(super) fn decide(&mut self) -> Vec<u8> {
        let sample = std::mem::take(&mut self.sample);
        let head = &sample[..sample.len().min(SAMPLE)];
        self.not_a_log = not_a_log(head);
        let (mut encoding, mark) = encoding(head);
        let text = encoding.decode(&sample[mark..]).into_owned();
        self.encoding = Some(encoding);
        text
    }

    /// Why the bytes so far are no log.
    pub(super) fn not_a_log(&self) -> Option<NotALog> {
        match self.encoding {
            Some(_) => self.not_a_log,
            None if self.sample.is_empty() => self.hole.then_some(NotALog::Binary),
            None => not_a_log(&self.sample),
        }
    }

    /// Drops the zeros of a hole at the beginning.
    fn skip_hole(&mut self) {
        let zeros = self.sample.iter().take_while(|byte| **byte == 0).count();
        if zeros > HOLE || (self.hole && zeros > 0) {
            self.hole = true;
            self.sample.drain(..zeros);
        }
    }
}

impl Encoding {
    fn decode<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        match self {
            Self::Bytes if memchr(0, bytes).is_none() => Cow::Borrowed(bytes),
            Self::Bytes => Cow::Owned(bytes.iter().copied().filter(|byte| *byte != 0).collect()),
            Self::Utf16(decoder) => Cow::Owned(decoder.decode(bytes).into_bytes()),
        }
    }
}

impl Utf16 {
    fn decode(&mut self, bytes: &[u8]) -> String {
        let all: Vec<u8> = self.byte.take().into_iter().chain(bytes.iter().copied()).collect();
        let pairs = all.chunks_exact(2);
        self.byte = pairs.remainder().first().copied();
        let unit = |pair: &[u8]| {
            let pair = [pair[0], pair[1]];
            if self.big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        };
        let mut units: Vec<u16> = self.unit.into_iter().chain(pairs.map(unit)).collect();
        self.unit = units.pop_if(|last| (0xd800..0xdc00).contains(last));
        let characters = char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER));
        characters.filter(|character| *character != '\0').collect()
    }
}

/// How a log with this beginning is read, and the length of its byte order mark.
fn encoding(head: &[u8]) -> (Encoding, usize) {
    let utf16 = |big_endian| Encoding::Utf16(Utf16 { big_endian, byte: None, unit: None });
    match head {
        [0xef, 0xbb, 0xbf, ..] => (Encoding::Bytes, 3),
        [0xff, 0xfe, ..] => (utf16(false), 2),
        [0xfe, 0xff, ..] => (utf16(true), 2),
        _ => (unmarked_utf16(head).map_or(Encoding::Bytes, utf16), 0),
    }
}

/// Whether bytes are UTF-16 without a mark, and if so whether big-endian: every other byte of ASCII text is zero then.
fn unmarked_utf16(head: &[u8]) -> Option<bool> {
    let pairs = head.len() / 2;
    let zeros = |at: usize| head.chunks_exact(2).filter(|pair| pair[at] == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    let is = |many: usize, few: usize| many * 10 >= pairs * 4 && few * 10 <= pairs;
    match (is(first, second), is(second, first)) {
        _ if pairs < 2 => None,
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// Why bytes with this beginning are no log.
fn not_a_log(head: &[u8]) -> Option<NotALog> {
    if let Some((_, packed)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(*packed);
    }
    let (mut encoding, mark) = encoding(head);
    is_binary(&encoding.decode(&head[mark..])).then_some(NotALog::Binary)
}

/// Whether too much is neither text nor what terminals get: 5 % of control characters, or 30 % with what is not UTF-8. A log
/// in another encoding of ASCII's family has less of either.
fn is_binary(head: &[u8]) -> bool {
    let is_control = |byte: &&u8| matches!(byte, 1..=6 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f);
    let controls = head.iter().filter(is_control).count();
    let invalid: usize = head.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    controls > 2 + head.len() / 20 || controls + invalid > 4 + head.len() * 3 / 10
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "level=info msg=\"\u{e9} \u{1f600}\"\r\nfailed to find runc binary\n";

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    /// The text of these bytes in pieces of a size.
    fn decoded(bytes: &[u8], piece: usize) -> String {
        let mut decoder = Decoder::default();
        let mut text: Vec<u8> =
            bytes.chunks(piece).flat_map(|piece| decoder.push(piece).into_owned()).collect();
        if decoder.is_undecided() {
            text.extend(decoder.decide());
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    #[test]
    fn every_encoding_gives_the_same_text_in_pieces_of_any_size() {
        let long = LOG.repeat(200);
        let marked = format!("\u{feff}{long}");
        for bytes in [
            marked.clone().into_bytes(),
            utf16(&marked, u16::to_le_bytes),
            utf16(&marked, u16::to_be_bytes),
            utf16(&long, u16::to_le_bytes),
            utf16(&long, u16::to_be_bytes),
            [vec![0; 10_000], long.clone().into_bytes()].concat(),
        ] {
            for piece in [1, 2, 3, 100, SAMPLE - 1, SAMPLE, 1 << 20] {
                assert_eq!(decoded(&bytes, piece), long, "{:?} {piece}", &bytes[..4]);
            }
        }
    }

    #[test]
    fn utf16_that_was_appended_to_bytes_is_read() {
        let mixed = [b"starting\n".repeat(600), utf16("failed\n", u16::to_le_bytes)].concat();
        assert!(decoded(&mixed, 1 << 20).ends_with("starting\nfailed\n"));
    }

    #[test]
    fn texts_are_logs() {
        let latin1: Vec<u8> =
            "d\u{e9}marrage du d\u{e9}mon \u{e9}chou\u{e9}\n".chars().map(|c| c as u8).collect();
        for text in ["", "x", "\0", "a\0b\n", "\u{1b}[31mred\u{1b}[0m\r\n", "日本語\n", LOG] {
            assert_eq!(not_a_log(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(not_a_log(&latin1.repeat(20)), None);
    }

    #[test]
    fn packed_and_binary_bytes_are_no_log() {
        assert_eq!(not_a_log(b"\x1f\x8b\x08\0"), Some(NotALog::Packed("compressed with gzip", "zcat")));
        let mut state = 1_u32;
        let random: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .take(10_000)
        .collect();
        for bytes in [
            &random[..],
            &random[..100],
            &random[5000..5040],
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0\x01\0\0\0\x10",
        ] {
            assert_eq!(not_a_log(bytes), Some(NotALog::Binary), "{:?}", &bytes[..20]);
        }
        let mut decoder = Decoder::default();
        decoder.push(&[0; 5000]);
        assert_eq!(decoder.not_a_log(), Some(NotALog::Binary));
    }
}

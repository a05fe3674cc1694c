//! Cuts the message of a Go program into the parts of its chain of errors.

use super::Errno;

/// The parts of a message, the outermost first. There is at least one.
pub(super) struct Chain<'m> {
    pub(super) parts: Vec<&'m str>,
}

/// Parts that say nothing: the code of gRPC, and the status of a program whose words stand before it.
fn is_empty(part: &str) -> bool {
    let part = part.trim().trim_end_matches('.');
    part.is_empty()
        || part == "unknown"
        || part.starts_with("exit status ")
        || part.starts_with("(exit status")
}

/// Advice that runc appends to the errno.
fn is_advice(part: &str) -> bool {
    part.trim_start().starts_with("Are you trying to mount")
}

/// The last part without the fields of a line of dockerd's log, which stand behind its message: `storage-driver=overlay2`.
fn without_fields(part: &str) -> &str {
    let is_field = |word: &str| {
        word.split_once('=').is_some_and(|(key, _)| {
            !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        })
    };
    let mut rest = part;
    while let Some((before, last)) = rest.rsplit_once(' ') {
        if !is_field(last) || Errno::of(rest).is_some() {
            break;
        }
        rest = before;
    }
    if Errno::of(rest).is_some() { rest } else { part }
}

impl<'m> Chain<'m> {
    /// Cuts at each `: ` outside of quotes and parentheses, which quote other messages.
    pub(super) fn of(message: &'m str) -> Self {
        let (mut parts, mut from, mut depth, mut quoted) = (Vec::new(), 0, 0_u32, false);
        for (at, character) in message.char_indices() {
            match character {
                '"' => quoted = !quoted,
                '(' if !quoted => depth += 1,
                ')' if !quoted => depth = depth.saturating_sub(1),
                // `flags: 0x5000` is one word.
                ':' if !quoted
                    && depth == 0
                    && !message[..at].ends_with("flags")
                    && message[at + 1..].starts_with([' ', '\n']) =>
                {
                    parts.push(message[from..at].trim());
                    from = at + 1;
                }
                '\n' if depth == 0 => {
                    quoted = false;
                    parts.push(message[from..at].trim());
                    from = at + 1;
                }
                _ => {}
            }
        }
        parts.push(without_fields(message[from..].trim()));
        Self { parts }
    }

    /// The last part that says something.
    pub(super) fn end(&self) -> usize {
        let says = |part: &&str| !is_empty(part) && !is_advice(part);
        self.parts.iter().rposition(says).unwrap_or_default()
    }

    /// The last part that is an errno, with nothing but empty parts and advice behind it.
    pub(super) fn errno(&self) -> Option<(usize, Errno)> {
        let end = self.end();
        Some((end, Errno::of(self.parts[end])?))
    }

    /// The parts from one to another, as they stood in the message.
    pub(super) fn joined(&self, from: usize, to: usize) -> String {
        self.parts[from..=to].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(": ")
    }
}

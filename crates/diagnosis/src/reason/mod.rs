//! The innermost part of an error message of Docker: which operation failed, on what, and with which errno.
//!
//! Go programs wrap an error by writing their own words and `: ` before it, so a message is a chain: `OCI runtime create
//! failed: runc create failed: ...: error mounting "/a" to rootfs at "/b": mount /a:/b: not a directory: unknown`. What
//! stands before the errno is the operation that the kernel refused.

mod advice;
mod chain;
mod errno;
mod rules;

pub use advice::{Advice, advise};
pub use errno::Errno;

use chain::Chain;

/// Why an operation of dockerd, containerd or runc failed, by its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What was tried: `mkdir`, `mount`, `setns`, `connect`; several words where the message has no system call.
    pub operation: String,
    /// What it was tried on: a path, or the address of a connection.
    pub path: Option<String>,
    /// Why the kernel refused it; `None` where the program itself did.
    pub errno: Option<Errno>,
    /// The program that was to be executed, as the message names it.
    pub program: Option<String>,
    /// The innermost part of the message as it is.
    pub innermost: String,
}

/// Words that stand before the name of a system call or of what was done.
const FILLERS: &[&str] = &["error", "failed", "to", "unable", "cannot", "could", "not", "while", "during"];

impl Reason {
    /// The reason that a message ends in.
    pub fn of(message: &str) -> Self {
        let chain = Chain::of(message);
        let end = chain.end();
        let Some((at, errno)) = chain.errno() else {
            let innermost = chain.joined(end.saturating_sub(usize::from(chain.parts[end].len() < 30)), end);
            let operation = chain.parts[end].to_owned();
            return Self {
                operation,
                path: path_in(chain.parts[end]),
                errno: None,
                program: None,
                innermost,
            };
        };
        let program = (0..=at).rev().find_map(|index| executed(&chain, index));
        let mut from = at.saturating_sub(1);
        let mut operation = operation_of(chain.parts[from]);
        let mut path = path_in(chain.parts[from]);
        // `dial tcp 127.0.0.1:1: connect`, `listen unix /x: bind`, `exec: "x"`: the operand stands one part before.
        if from > 0 && path.is_none() && is_bare(chain.parts[from]) {
            from -= 1;
            path = path_in(chain.parts[from]).or_else(|| address_in(chain.parts[from]));
        }
        if program.is_some() && from > 0 && chain.parts[from - 1].ends_with("exec") {
            from -= 1;
            "exec".clone_into(&mut operation);
        }
        Self { operation, path, errno: Some(errno), program, innermost: chain.joined(from, at) }
    }

    /// Whether the kernel refused it with one of these errnos.
    pub fn failed_with(&self, names: &[&str]) -> bool {
        self.errno.is_some_and(|errno| errno.is(names))
    }
}

/// A part that only names an operation: `connect`, `setns`, `"x"`.
fn is_bare(part: &str) -> bool {
    !part.trim().contains(' ')
}

/// The operation that a part names: its first word that is none of the words of every error.
fn operation_of(part: &str) -> String {
    let part = part.trim();
    if part.starts_with('"') {
        return "exec".to_owned();
    }
    let mut words = part.split_whitespace().filter(|word| !FILLERS.contains(&word.to_lowercase().as_str()));
    let first = words.next().unwrap_or(part);
    match first {
        "mounting" => "mount".to_owned(),
        _ => first.trim_matches(|c: char| !c.is_alphanumeric() && c != '/' && c != '_').to_owned(),
    }
}

/// The program of `exec: "x"`, `fork/exec /x` or `exec /x`, if the part at this index is such a one.
fn executed(chain: &Chain<'_>, index: usize) -> Option<String> {
    let part = chain.parts[index].trim();
    if let Some(path) = part.strip_prefix("fork/exec ").or_else(|| part.strip_prefix("exec ")) {
        return path.starts_with(['/', '"']).then(|| path.trim_matches('"').to_owned());
    }
    let quoted = part.strip_prefix('"')?.strip_suffix('"')?;
    let before = index.checked_sub(1).map(|before| chain.parts[before].trim())?;
    (before == "exec" || before.ends_with(" exec")).then(|| quoted.to_owned())
}

/// The path that a part is about: the destination of a mount, else the last absolute path in it.
fn path_in(part: &str) -> Option<String> {
    if let Some((_, rest)) = part.split_once("dst=") {
        return rest.split(',').next().map(ToOwned::to_owned);
    }
    let part = part.split_once(" (via ").map_or(part, |(before, _)| before);
    let is_path = |word: &&str| word.starts_with('/') && word.len() > 1;
    let mut words =
        part.split([' ', '"', '\'', '(', ')', ',', '`']).map(|word| word.trim_end_matches(['.', ';']));
    let found = words.rfind(is_path)?;
    // `mount /source:/target`
    let found = found.rsplit(':').find(|piece| piece.starts_with('/')).unwrap_or(found);
    Some(found.to_owned())
}

/// The address of `dial tcp 127.0.0.1:24224`.
fn address_in(part: &str) -> Option<String> {
    let mut words = part.split_whitespace().rev();
    let (last, before) = (words.next()?, words.next()?);
    ["tcp", "tcp4", "tcp6", "udp", "unix", "unixgram"].contains(&before).then(|| last.to_owned())
}

#[cfg(test)]
mod tests;

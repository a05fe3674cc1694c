//! Changes of a repair, and the commands that undo them, quoted for a POSIX shell.

use std::borrow::Cow;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A change that a repair made, and its undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What was done, in the past tense.
    pub did: String,
    /// What undoes it.
    pub undo: Undo,
}

/// What undoes a change. Its text is a command that can be pasted into a POSIX shell: paths and values are quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Unmount a mount point.
    Unmount(PathBuf),
    /// Remove a directory that was created.
    RemoveDir(PathBuf),
    /// Remove a file or link that was created.
    RemoveFile(PathBuf),
    /// Write back the former content of a file.
    Restore(PathBuf, Vec<u8>),
    /// Create a directory again that was removed.
    MakeDir(PathBuf),
    /// Write these process IDs to a `cgroup.procs`, one per write(2).
    MoveBack(Vec<i32>, PathBuf),
    /// Mount read-only again, by a bind remount with these `MS_*` flags.
    Remount(PathBuf, u64),
    /// A command for people, quoted by whoever writes it; dindcheck does not run it.
    Manual(String),
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmount(path) => write!(f, "umount {}", quoted(path)),
            Self::RemoveDir(path) => write!(f, "rmdir {}", quoted(path)),
            Self::RemoveFile(path) => write!(f, "rm {}", quoted(path)),
            Self::Restore(path, bytes) => {
                write!(f, "printf %s {} > {}", word(bytes.trim_ascii_end()), quoted(path))
            }
            Self::MakeDir(path) => write!(f, "mkdir {}", quoted(path)),
            Self::MoveBack(pids, procs) => {
                let pids: Vec<_> = pids.iter().map(ToString::to_string).collect();
                write!(f, "for pid in {}; do echo $pid > {}; done", pids.join(" "), quoted(procs))
            }
            Self::Remount(path, _) => write!(f, "mount -o remount,bind,ro {}", quoted(path)),
            Self::Manual(command) => f.write_str(command),
        }
    }
}

/// A path as one word of a POSIX shell, which is no option either.
pub fn quoted(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    if bytes.starts_with(b"-") { word(&[b"./", bytes].concat()) } else { word(bytes) }
}

/// A text as one word of a POSIX shell.
pub fn quoted_text(text: &str) -> String {
    word(text.as_bytes())
}

/// Bytes as one word. What a report cannot show as it is (control characters, what is not UTF-8) is written in octal, for
/// printf(1). A substitution loses the line feeds at its end, so they follow it as they are. A shell cannot hold a NUL: it
/// is left out.
fn word(bytes: &[u8]) -> String {
    let bytes: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    let is_shown = |text: &str| !text.chars().any(char::is_control);
    if let Some(text) = std::str::from_utf8(&bytes).ok().filter(|text| is_shown(text)) {
        return shlex::try_quote(text).map(Cow::into_owned).unwrap_or_default();
    }
    let end = bytes.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last + 1);
    let (start, feeds) = bytes.split_at(end);
    let octal = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b' ' => char::from(*byte).to_string(),
        other => format!("\\{other:03o}"),
    };
    let encoded: String = start.iter().map(octal).collect();
    let feeds = if feeds.is_empty() { String::new() } else { format!("'{}'", "\n".repeat(feeds.len())) };
    format!("\"$(printf '{encoded}')\"{feeds}")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "runs a shell in a directory of its own")]

    use std::ffi::{OsStr, OsString};

    use super::*;

    /// Names that a shell would split, expand or run, or that a terminal does not show.
    fn odd_names() -> Vec<OsString> {
        let texts = [
            "it's a $(touch gone) `x` \"y\" \\ * é;",
            "a\nb",
            "ends\n",
            "\n\n",
            "-rf",
            "--",
            "~",
            "$HOME",
            "a\tb",
            "\u{1b}[31m",
            "a && b | c > d < e",
            "!x!",
            "#c",
            "{a,b}",
            "[ab]?",
            "%s%n\\101",
            " lead and trail ",
            "'",
            "\"",
            "\\",
            "\u{9b}x",
            "=",
        ];
        let bytes = [&b"a\xff\xfeb"[..], b"\xc3", b"it's \x80 $(x)\n"];
        let texts = texts.into_iter().map(OsString::from);
        texts.chain(bytes.into_iter().map(|bytes| OsStr::from_bytes(bytes).to_owned())).collect()
    }

    /// Runs an undo as a shell reads it, in a directory whose name a shell would split or interpret.
    fn paste(name: &OsStr, undo: impl Fn(&Path) -> Undo, before: impl Fn(&Path)) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join(name);
        std::fs::create_dir(&odd).unwrap();
        before(&odd);
        run(&undo(&odd).to_string(), dir.path());
        dir
    }

    fn run(command: &str, dir: &Path) {
        let status =
            std::process::Command::new("sh").args(["-c", command]).current_dir(dir).status().unwrap();
        assert!(status.success(), "{command}");
    }

    /// The only entry of a directory.
    fn only(dir: &Path) -> PathBuf {
        let all: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    #[test]
    fn odd_word_is_the_same_in_a_shell() {
        let dir = tempfile::tempdir().unwrap();
        for name in odd_names() {
            let word = quoted(Path::new(&name));
            assert!(!word.trim_end_matches(['\n', '\'']).contains(char::is_control), "{word:?}");
            // Relative, so that a leading dash counts.
            run(&format!("mkdir {word} && rmdir {word} && printf %s {word} > out"), dir.path());
            let said = std::fs::read(dir.path().join("out")).unwrap();
            let said = said.strip_prefix(b"./").unwrap_or(&said);
            assert_eq!(said, name.as_bytes(), "{word}");
        }
        assert_eq!((quoted_text(""), quoted_text("a\0b")), ("''".to_owned(), "ab".to_owned()));
    }

    #[test]
    fn plain_path_is_not_quoted() {
        assert_eq!(Undo::Unmount("/sys/fs/cgroup".into()).to_string(), "umount /sys/fs/cgroup");
        assert_eq!(Undo::Restore("/p".into(), b"1\n".to_vec()).to_string(), "printf %s 1 > /p");
        assert_eq!(Undo::Restore("/p".into(), Vec::new()).to_string(), "printf %s '' > /p");
    }

    #[test]
    fn path_with_spaces_and_quotes_is_one_word() {
        for (undo, expected) in [
            (Undo::Unmount("/a b".into()), "umount '/a b'"),
            (Undo::Remount("/a b".into(), 0), "mount -o remount,bind,ro '/a b'"),
            (
                Undo::MoveBack(vec![1, 2], "/a b/cgroup.procs".into()),
                "for pid in 1 2; do echo $pid > '/a b/cgroup.procs'; done",
            ),
            (Undo::RemoveFile("/it's".into()), "rm \"/it's\""),
        ] {
            assert_eq!(undo.to_string(), expected);
        }
    }

    #[test]
    fn pasted_undo_acts_on_the_odd_path_alone() {
        for name in odd_names() {
            let dir = paste(&name, |odd| Undo::RemoveDir(odd.to_owned()), |_| {});
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
            let with_file = |odd: &Path| std::fs::write(odd.join("f"), "").unwrap();
            let dir = paste(&name, |odd| Undo::RemoveFile(odd.join("f")), with_file);
            assert_eq!(std::fs::read_dir(only(dir.path())).unwrap().count(), 0);
            let made = paste(&name, |odd| Undo::MakeDir(odd.join("new dir")), |_| {});
            assert!(only(made.path()).join("new dir").is_dir());
        }
    }

    #[test]
    fn pasted_restore_writes_the_same_value() {
        for value in [&b"it's 50% \"of\" $HOME \\n `x`"[..], b"a\nb", b"-n", b"\xff\x01"] {
            let dir = paste(OsStr::new("a b"), |odd| Undo::Restore(odd.join("f"), value.into()), |_| {});
            assert_eq!(std::fs::read(only(dir.path()).join("f")).unwrap(), value);
        }
    }

    #[test]
    fn move_back_writes_each_pid() {
        let dir =
            paste(OsStr::new("a b"), |odd| Undo::MoveBack(vec![7, 8], odd.join("cgroup.procs")), |_| {});
        assert_eq!(std::fs::read_to_string(only(dir.path()).join("cgroup.procs")).unwrap(), "8\n");
    }
}

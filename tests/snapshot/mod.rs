//! Text that a file of this package holds and the program makes: compared, or written anew by `make snapshots`.

use std::path::Path;

/// Compares the text with what the file holds. With `UPDATE_SNAPSHOTS` set, writes it there instead.
pub(crate) fn check(path: &Path, made: &str) {
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, made).unwrap();
        return;
    }
    let held = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        held == made,
        "{} is out of date:\n{}\nIf the new text is right, write it with `make snapshots`.",
        path.display(),
        difference(&held, made)
    );
}

/// The first line that differs, as it is held and as it is made.
fn difference(held: &str, made: &str) -> String {
    let (mut held, mut made) = (held.lines(), made.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (held.next(), made.next()) {
            (None, None) => return "the last line end".to_owned(),
            (old, new) if old != new => {
                return format!("line {number}\n- {}\n+ {}", old.unwrap_or("(end)"), new.unwrap_or("(end)"));
            }
            _ => {}
        }
    }
}

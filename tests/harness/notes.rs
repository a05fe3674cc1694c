//! What the reports of all fault worlds print to be done, noted for the test that compares them: two faults that different
//! things mend must not read alike.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::remedy::Remedy;

/// A row and what it printed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) row: String,
    pub(crate) cause: String,
    /// What mends it; rows with the same are mended alike.
    pub(crate) action: String,
    /// Whether it was applied to a world.
    pub(crate) applied: bool,
    pub(crate) printed: String,
}

/// Where the notes of one kind of worlds are.
fn file(kind: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("remedies-{kind}.jsonl"))
}

/// Forgets the notes of an earlier run.
pub(crate) fn clear(kind: &str) {
    let _ = std::fs::remove_file(file(kind));
}

/// Adds one. A line is written at once, so that tests that run side by side do not mix theirs.
pub(crate) fn add(kind: &str, row: &str, cause: &str, remedy: Remedy, printed: &str) {
    let note = Note {
        row: row.to_owned(),
        cause: cause.to_owned(),
        // One package mends whichever of its files is missing or broken.
        action: if let Remedy::Install(text, _) = remedy { text.to_owned() } else { format!("{remedy:?}") },
        applied: remedy.text().is_some(),
        printed: printed.to_owned(),
    };
    let line = serde_json::to_string(&note).expect("JSON") + "\n";
    let mut notes = std::fs::OpenOptions::new().create(true).append(true).open(file(kind)).expect("notes");
    notes.write_all(line.as_bytes()).expect("notes");
}

/// All notes of these kinds of worlds.
pub(crate) fn all(kinds: &[&str]) -> Vec<Note> {
    let text = |kind: &&str| std::fs::read_to_string(file(kind)).unwrap_or_default();
    let lines: String = kinds.iter().map(text).collect();
    lines.lines().map(|line| serde_json::from_str(line).expect("a note")).collect()
}

/// Prints the groups of rows that read alike, and how many causes are mended; names the groups that other things mend.
pub(crate) fn alike(notes: &[Note]) -> Vec<String> {
    let mut groups: BTreeMap<&str, Vec<&Note>> = BTreeMap::new();
    for note in notes {
        groups.entry(&note.printed).or_default().push(note);
    }
    let mut wrong = Vec::new();
    for (printed, group) in groups.iter().filter(|(_, group)| group.len() > 1) {
        let rows: Vec<_> = group.iter().map(|note| format!("{} ({})", note.row, note.action)).collect();
        println!("alike: {printed}\n    {}", rows.join("\n    "));
        if group.iter().any(|note| note.action != group[0].action) {
            wrong.push(format!("`{printed}`: {}", rows.join(", ")));
        }
    }
    let applied: std::collections::BTreeSet<_> =
        notes.iter().filter(|note| note.applied).map(|note| note.cause.as_str()).collect();
    println!("remedies of {} causes were applied, and their worlds are sound", applied.len());
    wrong
}

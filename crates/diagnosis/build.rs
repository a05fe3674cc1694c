//! Generates the constants and the table of causes from causes.yaml.
//!
//! An entry that is not whole stops the build with its id: unknown or missing keys, empty texts, an id that is
//! not kebab-case or occurs twice, a neighbour that does not exist. Whether the regular expressions compile is
//! left to a test, which has the options they are compiled with.

use std::collections::HashSet;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

const VOCABULARY: &str = "causes.yaml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    stage: String,
    meaning: String,
    remedy: String,
    source: String,
    shows: Option<String>,
    live: Option<String>,
    #[serde(default)]
    neighbours: Vec<String>,
    #[serde(default)]
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    text: String,
    unless: Option<String>,
    #[serde(default)]
    weak: bool,
    #[serde(default)]
    quiet: bool,
}

#[expect(clippy::disallowed_methods, reason = "a build script reads its input and writes its output")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={VOCABULARY}");
    println!("cargo::rerun-if-changed=build.rs");
    let entries: Vec<Entry> = serde_yaml::from_str(&std::fs::read_to_string(VOCABULARY)?)?;
    validate(&entries).map_err(|error| format!("{VOCABULARY}: {error}"))?;
    let folder = std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    std::fs::write(Path::new(&folder).join("causes.rs"), constants(&entries)?)?;
    std::fs::write(Path::new(&folder).join("table.rs"), table(&entries)?)?;
    Ok(())
}

fn validate(entries: &[Entry]) -> Result<(), String> {
    let mut ids = HashSet::new();
    for entry in entries {
        let id = entry.id.as_str();
        if !is_kebab_case(id) {
            return Err(format!("`{id}` is not kebab-case"));
        }
        if !ids.insert(id) {
            return Err(format!("{id} occurs twice"));
        }
        if let Some(text) = texts(entry).find(|text| text.trim().is_empty()) {
            return Err(format!("{id} has an empty text: {text:?}"));
        }
    }
    let neighbours =
        entries.iter().flat_map(|entry| entry.neighbours.iter().map(move |other| (entry, other)));
    match neighbours.into_iter().find(|(_, other)| !ids.contains(other.as_str())) {
        Some((entry, other)) => Err(format!("{}: the neighbour {other} does not exist", entry.id)),
        None => Ok(()),
    }
}

/// Small letters and digits in words that are joined by single hyphens, and begin with a letter.
fn is_kebab_case(id: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    id.starts_with(|first: char| first.is_ascii_lowercase()) && id.split('-').all(is_word)
}

fn texts(entry: &Entry) -> impl Iterator<Item = &String> {
    let required = [&entry.stage, &entry.meaning, &entry.remedy, &entry.source];
    let patterns = entry.signatures.iter().flat_map(|one| [Some(&one.text), one.unless.as_ref()]).flatten();
    required.into_iter().chain(&entry.shows).chain(&entry.live).chain(patterns)
}

/// `cgroup-not-mounted` as `CGROUP_NOT_MOUNTED`.
fn constant(id: &str) -> String {
    id.to_ascii_uppercase().replace('-', "_")
}

/// One documented constant a cause.
fn constants(entries: &[Entry]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for (index, entry) in entries.iter().enumerate() {
        let documentation = format!("`{}` ({}): {}", entry.id, entry.stage, entry.meaning);
        writeln!(text, "#[doc = {documentation:?}]")?;
        writeln!(text, "pub const {}: CauseId = CauseId({index});", constant(&entry.id))?;
    }
    Ok(text)
}

/// All causes, as an array expression.
fn table(entries: &[Entry]) -> Result<String, std::fmt::Error> {
    let mut text = String::from("&[\n");
    for entry in entries {
        write!(text, "Cause {{ id: causes::{}, name: {:?}, ", constant(&entry.id), entry.id)?;
        write!(text, "stage: {:?}, meaning: {:?}, ", entry.stage, entry.meaning)?;
        write!(text, "remedy: {:?}, source: {:?}, ", entry.remedy, entry.source)?;
        write!(text, "shows: {:?}, live: {:?}, neighbours: &[", entry.shows, entry.live)?;
        for other in &entry.neighbours {
            write!(text, "causes::{}, ", constant(other))?;
        }
        text.push_str("], signatures: &[");
        for Signature { text: pattern, unless, weak, quiet } in &entry.signatures {
            write!(text, "Signature {{ text: {pattern:?}, unless: {unless:?}, ")?;
            write!(text, "weak: {weak}, quiet: {quiet} }}, ")?;
        }
        text.push_str("] },\n");
    }
    text.push(']');
    Ok(text)
}

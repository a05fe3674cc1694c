//! The vocabulary and the steps: each cause that a step is said to find is named by the source.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the test reads the source of this package"
)]

use std::collections::HashSet;
use std::path::Path;

use dindcheck::{diagnosis, steps};

#[test]
fn every_cause_of_a_step_is_named_by_the_source() {
    let source = folder_text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let steps: HashSet<&str> = steps::ALL.iter().map(|step| step.id).collect();
    for cause in diagnosis::all() {
        let Some(step) = cause.live else { continue };
        assert!(steps.contains(step), "{}: there is no step {step}", cause.id);
        let constant = cause.id.as_str().to_uppercase().replace('-', "_");
        let named = source.contains(&format!("causes::{constant}"));
        assert!(named, "{}: nothing in src names causes::{constant}", cause.id);
    }
}

/// The text of all Rust files below a folder.
fn folder_text(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = entries.map(|path| match path.extension() {
        _ if path.is_dir() => folder_text(&path),
        Some(extension) if extension == "rs" => std::fs::read_to_string(&path).unwrap(),
        _ => String::new(),
    });
    texts.collect()
}

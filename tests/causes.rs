//! Every cause that a source or a test names exists, and every cause of a step is named by a source.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests read the source of this package"
)]

use std::collections::HashSet;
use std::path::Path;

use dindcheck::{diagnosis, steps};
use regex::Regex;

#[test]
fn every_cause_of_a_step_is_named_by_the_source() {
    let source = text_below("src") + &text_below("crates/diagnosis/src");
    let steps: HashSet<&str> = steps::ALL.iter().map(|step| step.id).collect();
    for cause in diagnosis::all() {
        let Some(step) = cause.live else { continue };
        assert!(steps.contains(step), "{}: {step} is not a step", cause.id);
        let constant = cause.id.as_str().to_uppercase().replace('-', "_");
        let named = source.contains(&format!("causes::{constant}"));
        assert!(named, "{}: no source in src names causes::{constant}", cause.id);
    }
}

/// Worlds need root, so their tests would find a misspelt cause late.
#[test]
fn every_cause_that_a_world_expects_exists() {
    let tables = Regex::new(
        r#"(?:(?:fails|warns)\W+"[a-z-]+"\W+|cause: |"cause"\]?(?:\["id"\])?[,:] )"([a-z0-9-]+)""#,
    )
    .unwrap();
    let source = text_below("tests");
    let expected: HashSet<&str> = tables.captures_iter(&source).map(|row| row.extract::<1>().1[0]).collect();
    assert!(expected.len() > 100, "only {} causes are found in the tables", expected.len());
    let missing: Vec<_> = expected.into_iter().filter(|id| diagnosis::find(id).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The text of all Rust files below a folder of the package.
fn text_below(folder: &str) -> String {
    folder_text(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
}

fn folder_text(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = entries.map(|path| match path.extension() {
        _ if path.is_dir() => folder_text(&path),
        Some(extension) if extension == "rs" => std::fs::read_to_string(&path).unwrap(),
        _ => String::new(),
    });
    texts.collect()
}

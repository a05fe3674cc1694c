//! What each step has besides its file: a row in the README, and a test that breaks it.
//!
//! The environment's steps have their faults in `tests/sandbox`, which has a registry of its own.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "reads the files of this package")]

use std::path::{Path, PathBuf};

use dindcheck::step::{Phase, Step};
use dindcheck::{diagnosis, steps};
use regex::Regex;

mod readme;
mod snapshot;

#[test]
fn readme_table_lists_every_step() {
    readme::check("steps", &table());
}

/// The ladder in Markdown.
fn table() -> String {
    let head = "| phase | step | what it checks | repair (reach) |\n|---|---|---|---|\n";
    steps::ALL.iter().fold(head.to_owned(), |table, step| table + &row(step))
}

/// One step of it.
fn row(step: &Step) -> String {
    let repair = step.repair.as_ref();
    let repair = repair.map(|repair| format!("{} ({})", repair.title, repair.reach.name()));
    format!("| {} | `{}` | {} | {} |\n", step.phase.name(), step.id, step.title, repair.unwrap_or_default())
}

#[test]
fn every_step_after_the_environment_has_a_test_that_breaks_it() {
    let tests = text_below(&package().join("tests"));
    for step in steps::ALL.iter().filter(|step| step.phase != Phase::Environment) {
        let pair = Regex::new(&format!(r#""{}"\W+"([a-z0-9-]+)""#, step.id)).unwrap();
        let broken = pair.captures_iter(&tests).any(|found| diagnosis::find(&found[1]).is_some());
        assert!(
            broken,
            "step `{0}` has no test in which it finds a cause: add a row `=> fails \"{0}\" \"CAUSE\";` (or `warns`) to a \
             table in tests/outer_workload (`make outer-test`, as root), or a test with a faked engine to \
             tests/ladder.rs (`cargo test --test ladder`)",
            step.id
        );
    }
}

/// The folder of this package.
fn package() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// The text of all Rust files below a folder.
fn text_below(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = entries.map(|path| match path.extension() {
        _ if path.is_dir() => text_below(&path),
        Some(extension) if extension == "rs" => std::fs::read_to_string(&path).unwrap(),
        _ => String::new(),
    });
    texts.collect()
}

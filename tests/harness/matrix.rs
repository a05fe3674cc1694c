//! How much of a matrix is played: a sample of it by `make test`, all of it by `make test-all`.
//!
//! What only `make test-all` plays is of a kind that `make test` plays too; tests/README.md lists both, and `documented`
//! keeps that list.

use super::bed::Suite;

/// Whether everything is played (`DINDCHECK_FULL=1`).
pub(crate) fn full() -> bool {
    std::env::var_os("DINDCHECK_FULL").is_some_and(|value| value == "1")
}

/// The sample, or everything.
pub(crate) fn chosen<T: Copy>(sample: &[T], all: &[T]) -> Vec<T> {
    if full() { all.to_vec() } else { sample.to_vec() }
}

/// The engine that plays a row of a table in `make test`, of those that the row is about: another one from row to row.
pub(crate) fn sample_engine(name: &str, engines: &[Suite]) -> Suite {
    // FNV-1a: the same on every machine, and no neighbour's choice changes it.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let turn = usize::try_from((hash >> 32) % engines.len() as u64).expect("an index");
    engines[turn]
}

/// Cases of one kind.
pub(crate) struct Matrix {
    pub(crate) kind: String,
    /// What `make test` plays.
    pub(crate) sample: Vec<String>,
    /// What only `make test-all` plays.
    pub(crate) rest: Vec<String>,
}

impl Matrix {
    /// With its topic before its kind.
    pub(crate) fn of_topic(self, topic: &str) -> Self {
        Self { kind: format!("{topic}: {}", self.kind), ..self }
    }

    /// One of engines.
    pub(crate) fn of_engines(kind: &str, sample: &[Suite], all: &[Suite]) -> Self {
        let versions =
            |suites: Vec<&Suite>| suites.into_iter().map(|suite| suite.engine().to_owned()).collect();
        let rest = all.iter().filter(|suite| !sample.contains(suite)).collect();
        Self { kind: kind.to_owned(), sample: versions(sample.iter().collect()), rest: versions(rest) }
    }
}

/// Fails unless tests/README.md lists these matrices under that heading, as they are, and each has a sample.
/// `DINDCHECK_BLESS=1` writes the list instead.
pub(crate) fn documented(heading: &str, matrices: &[Matrix]) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/README.md");
    let text = std::fs::read_to_string(path).expect("tests/README.md");
    let (open, close) =
        (format!("<!-- matrices: {heading} -->\n"), format!("<!-- /matrices: {heading} -->\n"));
    let (before, tail) = text.split_once(&open).unwrap_or_else(|| panic!("no {open} in {path}"));
    let (listed, after) = tail.split_once(&close).unwrap_or_else(|| panic!("no {close} in {path}"));
    let table = table(matrices);
    if listed != table && std::env::var_os("DINDCHECK_BLESS").is_some() {
        std::fs::write(path, [before, &open, &table, &close, after].concat()).expect("write tests/README.md");
    } else {
        assert!(
            listed == table,
            "tests/README.md does not list what is played; DINDCHECK_BLESS=1 cargo test --test {heading} documented"
        );
    }
}

/// A table of those that are not played as a whole.
fn table(matrices: &[Matrix]) -> String {
    let mut table = "| kind | `make test` | only `make test-all` |\n|---|---|---|\n".to_owned();
    for Matrix { kind, sample, rest } in matrices.iter().filter(|matrix| !matrix.rest.is_empty()) {
        assert!(!sample.is_empty(), "{kind}: make test plays none of it");
        table += &format!("| {kind} | {} | {} |\n", sample.join(", "), rest.join(", "));
    }
    table
}

//! The parts of the README that the program makes.

use std::path::Path;

use crate::snapshot;

/// Compares the text between `<!-- name -->` and `<!-- /name -->` in the README, or writes it there as [`snapshot::check`] does.
pub(crate) fn check(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let parts = text.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) =
        parts.unwrap_or_else(|| panic!("README.md has no lines `{}` and `{end}`", begin.trim()));
    snapshot::check(&path, &format!("{before}{begin}{made}{end}{after}"));
}

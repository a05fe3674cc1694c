//! The order of the layers of `src/`: a module uses only what stands below it, and no folders use each other in a circle.
//! Test code (`mod tests`, `tests.rs`, `testing.rs`) may look up and is left out.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "reads the sources of this package")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, the lowest first. Modules of one row stand beside each other and do not use each other.
const LAYERS: &[&[&str]] = &[
    &["diagnosis"],
    &["exit", "text", "fixture", "interrupt", "yaml", "redact"],
    &["talk", "finding"],
    &["host"],
    &["facts", "repair_log"],
    &["probe"],
    &["trial"],
    &["profile"],
    &["options"],
    &["engine"],
    &["image_check", "entrypoint", "workload"],
    &["step"],
    &["kernel_modules"],
    &["steps"],
    &["report"],
    &["plan"],
    &["runner"],
    &["cli"],
    &["commands"],
];

/// One use of a module by another: where it is written, and the module path that it names.
struct Use {
    file: PathBuf,
    line: usize,
    path: Vec<String>,
}

/// Every `crate::…` and `super::…` path outside of comments and test code.
fn uses() -> Vec<Use> {
    let mut found = Vec::new();
    let mut dirs = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(dir) = dirs.pop() {
        for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            match path.file_name().and_then(|name| name.to_str()).unwrap() {
                "tests" | "tests.rs" | "testing.rs" => {}
                _ if path.is_dir() => dirs.push(path),
                _ if path.extension().is_some_and(|kind| kind == "rs") => found.extend(uses_of(&path)),
                _ => {}
            }
        }
    }
    assert!(found.len() > 900, "only {} uses were found: the reader is broken", found.len());
    found
}

/// The same of one file.
fn uses_of(file: &Path) -> Vec<Use> {
    let text = fs::read_to_string(file).unwrap();
    let tests = ["\n#[cfg(test)]\nmod tests", "\n#[cfg(test)]\npub(crate) mod tests"];
    let end = tests.iter().find_map(|start| text.find(start)).unwrap_or(text.len());
    let code: Vec<&str> = text[..end].lines().map(|line| line.split("//").next().unwrap()).collect();
    let code = code.join("\n");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::").chain(code.match_indices("super::")) {
        // Only where a path begins.
        if !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == ':' || c == '_') {
            let line = code[..at].matches('\n').count() + 1;
            let uses = paths(&code[at..]).into_iter().map(|path| absolute(file, &path));
            found.extend(uses.map(|path| Use { file: file.to_owned(), line, path }));
        }
    }
    found
}

/// The paths that begin here: one, or one for each name of a group (`crate::{a, b::{c, d}}` is `crate::a` and `crate::b`).
fn paths(code: &str) -> Vec<String> {
    let end = code.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(code.len());
    let (head, rest) = code.split_at(end);
    let (Some(group), true) = (rest.strip_prefix('{'), head.ends_with("::")) else {
        return vec![head.to_owned()];
    };
    let (mut depth, mut names) = (1, vec![String::new()]);
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(String::new()),
            c if depth == 1 && !c.is_whitespace() => names.last_mut().unwrap().push(c),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names.iter().filter(|name| !name.is_empty()).map(|name| format!("{head}{name}")).collect()
}

/// A path from the root of the crate, without the word `crate`.
fn absolute(file: &Path, path: &str) -> Vec<String> {
    let path: Vec<&str> = path.split("::").filter(|part| !part.is_empty() && *part != "self").collect();
    let ups = path.iter().take_while(|part| **part == "super").count();
    let own = if ups > 0 { module_of(file) } else { Vec::new() };
    let kept = own[..own.len().saturating_sub(ups)].iter().cloned();
    kept.chain(path[ups.max(1)..].iter().map(ToString::to_string)).collect()
}

/// The module path of a file: `engine/docker/http.rs` is `[engine, docker, http]`.
fn module_of(file: &Path) -> Vec<String> {
    let inside =
        file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap().with_extension("");
    let parts = inside.iter().map(|part| part.to_str().unwrap().to_owned());
    parts.filter(|part| part != "mod").collect()
}

/// The folder of a module: the module itself where it is one, else the folder that its file lies in. What stands directly
/// in `src/` counts as a folder of its own.
fn folder_of(module: &[String]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let is_folder = |length: &usize| root.join(module[..*length].join("/")).is_dir();
    let length = (1..=module.len()).rev().find(is_folder).unwrap_or(1);
    module[..length.min(module.len())].to_vec()
}

#[test]
fn a_module_uses_only_layers_below_it() {
    let height = |name: &str| LAYERS.iter().position(|row| row.contains(&name));
    let mut upward = Vec::new();
    for Use { file, line, path } in uses() {
        let (Some(user), Some(used)) = (module_of(&file).first().cloned(), path.first()) else { continue };
        if ["lib", "main"].contains(&user.as_str()) || user == *used {
            continue;
        }
        let above = height(&user).unwrap_or_else(|| panic!("{user} is not in LAYERS: name its place"));
        if height(used).unwrap_or_else(|| panic!("{used} is not in LAYERS: name its place")) >= above {
            let file = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display();
            upward.push(format!("{file}:{line}: {user} uses {used}, which is not below it"));
        }
    }
    assert!(upward.is_empty(), "{}", upward.join("\n"));
}

#[test]
fn no_folders_use_each_other_in_a_circle() {
    let mut below: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for Use { file, path, .. } in uses() {
        let (user, used) = (folder_of(&module_of(&file)), folder_of(&path));
        // A folder and what lies in it are one.
        if !user.starts_with(&used) && !used.starts_with(&user) {
            below.entry(user).or_default().insert(used);
        }
    }
    // What uses nothing that is left, or is used by nothing that is left, is in no circle.
    while let Some(done) = outside(&below) {
        below.remove(&done);
    }
    let circle: Vec<_> = below
        .iter()
        .map(|(user, used)| {
            let kept = used.iter().filter(|used| below.contains_key(*used));
            format!(
                "{} uses {}",
                user.join("::"),
                kept.map(|used| used.join("::")).collect::<Vec<_>>().join(", ")
            )
        })
        .collect();
    assert!(circle.is_empty(), "{}", circle.join("\n"));
}

/// A folder that uses nothing of the others, or is used by none of them.
fn outside(below: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>) -> Option<Vec<String>> {
    let uses_nothing = |used: &BTreeSet<Vec<String>>| used.iter().all(|used| !below.contains_key(used));
    let is_unused = |folder: &Vec<String>| below.values().all(|used| !used.contains(folder));
    below
        .iter()
        .find(|(folder, used)| uses_nothing(used) || is_unused(folder))
        .map(|(folder, _)| folder.clone())
}

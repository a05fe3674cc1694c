//! The files of deploy/: valid YAML and shell, with dindcheck commands that exist. tests/worlds/deploy runs them.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests read files and run programs")]

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser as _;
use dindcheck::cli::Cli;
use serde_json::Value;

/// Every file below deploy/.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn yaml(path: &Path) -> Value {
    serde_yaml::from_str(&std::fs::read_to_string(path).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files with this extension.
fn of_kind(extension: &str) -> Vec<PathBuf> {
    files().into_iter().filter(|path| path.extension().is_some_and(|known| known == extension)).collect()
}

/// Collects every argument vector that begins with dindcheck, and every shell command that does.
fn commands(value: &Value, found: &mut Vec<Vec<String>>) {
    match value {
        Value::Array(items) => {
            let argv: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            let argv: Vec<_> =
                argv.unwrap_or_default().into_iter().skip_while(|item| *item == "CMD").collect();
            if argv.first() == Some(&"dindcheck") {
                found.push(argv.iter().map(ToString::to_string).collect());
            }
            for item in items {
                commands(item, found);
            }
        }
        Value::Object(object) => {
            for item in object.values() {
                commands(item, found);
            }
        }
        Value::String(text) => {
            let lines = text.lines().flat_map(|line| line.split("&&")).map(str::trim);
            let ours = lines.filter(|line| line.starts_with("dindcheck "));
            found.extend(ours.map(|line| line.split_whitespace().map(ToOwned::to_owned).collect()));
        }
        _ => {}
    }
}

#[test]
fn every_dindcheck_command_is_valid() {
    let mut found = Vec::new();
    for path in [of_kind("yaml"), of_kind("yml")].concat() {
        commands(&yaml(&path), &mut found);
    }
    assert!(found.len() >= 7, "{found:?}");
    for argv in found {
        if let Err(error) = Cli::try_parse_from(&argv) {
            panic!("{argv:?}: {error}");
        }
    }
}

#[test]
fn shell_scripts_parse() {
    for path in of_kind("sh") {
        let checked = Command::new("sh").arg("-n").arg(&path).output().unwrap();
        assert!(checked.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&checked.stderr));
    }
}

#[test]
fn readme_links_every_file() {
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/README.md")).unwrap();
    for path in files() {
        let name = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")).unwrap();
        assert!(
            name == Path::new("README.md") || readme.contains(&format!("]({})", name.display())),
            "{name:?}"
        );
    }
}

#[test]
#[ignore = "needs kubernetes-validate (PyPI), which brings the schemas"]
fn manifests_match_the_schemas_of_kubernetes() {
    for path in of_kind("yaml").iter().filter(|path| path.parent().unwrap().ends_with("kubernetes")) {
        let checked = Command::new("kubernetes-validate").arg("--strict").arg(path).output().unwrap();
        let output = [checked.stdout, checked.stderr].concat();
        assert!(checked.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output));
    }
}

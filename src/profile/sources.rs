//! Finds the text of a profile: in a file, in a directory of the image, or in this binary.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::raw::Raw;
use super::{Mode, Profile};
use crate::host::SystemReader;
use crate::text::shown;
use crate::yaml::{self, Limits};

/// The built-in profiles, so that the binary stands alone.
const BUILT_IN: &[(&str, &str)] = &[
    ("default", include_str!("../../profiles/default.yaml")),
    ("ci", include_str!("../../profiles/ci.yaml")),
    ("strict", include_str!("../../profiles/strict.yaml")),
    ("kubernetes", include_str!("../../profiles/kubernetes.yaml")),
    ("nested", include_str!("../../profiles/nested.yaml")),
    ("rootless", include_str!("../../profiles/rootless.yaml")),
    ("legacy", include_str!("../../profiles/legacy.yaml")),
];

/// Where an image may have its own profiles; they take precedence over built-in ones of the same name.
const PROFILE_DIR: &str = "/etc/dindcheck/profiles";

/// The longest chain of `extends`; a longer one is taken for a circle.
const MAX_EXTENDS: usize = 8;

/// The names and descriptions of the built-in profiles.
pub fn built_in() -> Vec<(&'static str, String)> {
    let describe = |text| {
        yaml::from_str::<Raw>(text, Limits::HAND_WRITTEN)
            .ok()
            .and_then(|raw| raw.description)
            .unwrap_or_default()
    };
    BUILT_IN.iter().map(|&(name, text)| (name, describe(text))).collect()
}

/// Whether the built-in default profile skips this step.
pub fn default_skips(step: &str) -> bool {
    let raw = built_in_text("default").map(|text| yaml::from_str::<Raw>(text, Limits::HAND_WRITTEN));
    raw.and_then(Result::ok).is_some_and(|raw| raw.steps.get(step) == Some(&Mode::Skip))
}

/// The text of a built-in profile.
pub fn built_in_text(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Reads the profile of that name or file, and those that it extends.
pub fn load(host: &dyn SystemReader, name: &Path) -> anyhow::Result<Profile> {
    let mut layers = Vec::new();
    let mut next = Some(name.to_owned());
    while let Some(name) = next {
        let shown = shown::path(&name);
        ensure!(
            layers.len() < MAX_EXTENDS,
            "profile {shown}: more than {MAX_EXTENDS} `extends` in a row: a circle?"
        );
        let raw = parse(&shown, &text_of(host, &name)?)?;
        next = raw.extends.as_ref().map(PathBuf::from);
        layers.push(raw);
    }
    Profile::from_layers(&shown::path(name), &layers)
}

/// Parses one layer; errors name the file, the line and the column.
fn parse(name: &str, text: &str) -> anyhow::Result<Raw> {
    yaml::from_str(text, Limits::HAND_WRITTEN).with_context(|| format!("profile {name}"))
}

/// The text of a profile: of a file if the name is a path, else of the image's own profile, else of the built-in one.
fn text_of(host: &dyn SystemReader, name: &Path) -> anyhow::Result<String> {
    let shown = shown::path(name);
    let is_path = name.as_os_str().as_bytes().contains(&b'/') || name.extension().is_some();
    if is_path {
        let text = host.read_input(name).with_context(|| format!("profile {shown} cannot be read"))?;
        return Ok(String::from_utf8_lossy(&text).into_owned());
    }
    let invalid =
        || format!("`{shown}` is not a valid profile: use a file, or one of {}", names().join(", "));
    let name = name.to_str().filter(|name| !name.is_empty()).with_context(invalid)?;
    if let Some(text) = host.read_if_there(&Path::new(PROFILE_DIR).join(format!("{name}.yaml")))? {
        return Ok(text);
    }
    built_in_text(name).map(ToOwned::to_owned).with_context(invalid)
}

/// The built-in names.
fn names() -> Vec<&'static str> {
    BUILT_IN.iter().map(|(name, _)| *name).collect()
}

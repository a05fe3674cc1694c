//! Checks the OCI runtimes: what dockerd refuses about an entry, and whether the programs exist.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::values::refused;
use crate::diagnosis::{CauseId, causes};
use crate::facts::daemon::{Containerd, Daemon};
use crate::facts::programs::{self, Place};
use crate::facts::version::Version;
use crate::finding::{Finding, Level};
use crate::host::{HostResult, SystemReader};

const PROGRAM_MISSING: CauseId = causes::OCI_RUNTIME_PROGRAM_MISSING;

/// The first version that reads `runtimeType`, and the first that checks entries as below (measured with 26.1 and 28.5).
const TYPES: Version = Version::new(23, 0, 0);
const STRICT: Version = Version::new(24, 0, 0);

/// An entry of `runtimes`.
struct Entry<'d> {
    name: &'d str,
    value: &'d Value,
}

impl<'d> Entry<'d> {
    /// A text of the entry that is not empty. A flag gives the path only.
    fn text(&self, key: &str) -> Option<&'d str> {
        let text = match self.value {
            Value::String(path) => (key == "path").then_some(path.as_str()),
            value => value.get(key).and_then(Value::as_str),
        };
        text.filter(|text| !text.is_empty())
    }

    fn has(&self, key: &str) -> bool {
        self.value.get(key).is_some_and(|value| match value {
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
            _ => false,
        })
    }
}

/// The entries.
fn entries(daemon: &Daemon) -> impl Iterator<Item = Entry<'_>> {
    let object = daemon.settings.values.get("runtimes").and_then(Value::as_object);
    object.into_iter().flatten().map(|(name, value)| Entry { name, value })
}

/// The findings.
pub(super) fn judge(host: &dyn SystemReader, daemon: &Daemon) -> HostResult<Vec<Finding>> {
    let mut findings: Vec<Finding> = entries(daemon).filter_map(|entry| invalid(daemon, &entry)).collect();
    if findings.is_empty() {
        let default = daemon.settings.values.text("default-runtime").unwrap_or("runc");
        for entry in entries(daemon) {
            findings.extend(program(host, daemon, &entry, entry.name == default)?);
        }
        if default.starts_with("io.containerd.") && daemon.version >= TYPES {
            findings.extend(shim(host, daemon, default, default, true)?);
        }
    }
    Ok(findings)
}

/// What dockerd refuses about an entry (`setupRuntimes` of daemon/runtime_unix.go).
fn invalid(daemon: &Daemon, entry: &Entry<'_>) -> Option<Finding> {
    let (path, kind) = (entry.text("path"), entry.text("runtimeType"));
    let strict = daemon.version >= STRICT;
    let (why, hint) = match (path, kind) {
        _ if entry.name == "runc" => {
            ("the name is reserved", "give the entry another name, and set default-runtime to it")
        }
        (None, None) if strict => (
            "neither a path nor a runtimeType is set",
            "remove the entry from \"runtimes\", or add `\"path\": \"/usr/bin/...\"` to it",
        ),
        (Some(_), Some(_)) if strict => {
            ("path and runtimeType are both set", "remove one of the two from the entry")
        }
        (None, Some(_)) if strict && entry.has("runtimeArgs") => {
            ("runtimeArgs are set, which belong to a path", "replace runtimeArgs by options")
        }
        (Some(_), None) if strict && entry.has("options") => {
            ("options are set, which belong to a runtimeType", "replace options by runtimeArgs")
        }
        _ => return None,
    };
    Some(refused(daemon, "runtimes", format!("runtime `{}`: {why}", entry.name)).hint(hint))
}

/// Whether the program of an entry exists.
fn program(
    host: &dyn SystemReader,
    daemon: &Daemon,
    entry: &Entry<'_>,
    default: bool,
) -> HostResult<Option<Finding>> {
    if let Some(path) = entry.text("path") {
        let place = programs::find(host, path, &programs::path_dirs(host))?;
        return Ok(missing(daemon, entry.name, path, &place, default));
    }
    match entry.text("runtimeType").filter(|_| daemon.version >= TYPES) {
        Some(kind) => shim(host, daemon, entry.name, kind, default),
        None => Ok(None),
    }
}

/// Whether the shim of a `runtimeType` exists: `io.containerd.NAME.vN` is containerd-shim-NAME-vN in containerd's PATH or
/// beside it. A containerd that dockerd does not start has another PATH.
fn shim(
    host: &dyn SystemReader,
    daemon: &Daemon,
    name: &str,
    kind: &str,
    default: bool,
) -> HostResult<Option<Finding>> {
    let dirs = programs::path_dirs(host);
    let mut parts = kind.rsplit('.');
    let (Some(version), Some(short)) = (parts.next(), parts.next()) else { return Ok(None) };
    if daemon.settings.containerd != Containerd::Managed || kind.contains('/') {
        return Ok(None);
    }
    let program = format!("containerd-shim-{short}-{version}");
    let beside = match programs::find(host, "containerd", &dirs)? {
        Place::At(path) => path.parent().map(Path::to_path_buf),
        _ => None,
    };
    let dirs: Vec<PathBuf> = dirs.into_iter().chain(beside).collect();
    let place = programs::find(host, &program, &dirs)?;
    Ok(missing(daemon, name, &program, &place, default))
}

/// The finding for a program that cannot be run. Another runtime than the default one is only a warning.
fn missing(daemon: &Daemon, name: &str, program: &str, place: &Place, default: bool) -> Option<Finding> {
    let why = match place {
        Place::At(_) => return None,
        Place::NotExecutable(_) => "is not executable",
        Place::Nowhere if program.contains('/') => "does not exist",
        Place::Nowhere => "is not in PATH",
    };
    let then = if default { "no container starts" } else { "no container starts with that runtime" };
    let key = if default { "default-runtime" } else { "runtimes" };
    let what = format!("runtime `{name}`: {program} {why}, so {then}");
    let hint = match place {
        Place::NotExecutable(path) => format!("`chmod +x {}`", crate::finding::quoted(path)),
        _ if default => format!(
            "install {program}, or set `\"default-runtime\": \"runc\"` and remove \"{name}\" from runtimes"
        ),
        _ => format!("install {program}, or remove \"{name}\" from runtimes"),
    };
    let level = if default { Level::Fail } else { Level::Warn };
    Some(
        Finding { cause: Some(PROGRAM_MISSING), level, ..refused(daemon, key, what) }
            .with("program", program)
            .hint(hint),
    )
}

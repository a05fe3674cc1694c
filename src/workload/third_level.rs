//! Specification of the container in which this program runs a dockerd of its own.
//!
//! The built-in image contains only this program. The engine's programs and their libraries are read-only mounts of the
//! outer container; its configuration is not mounted, since a daemon.json with a data root or a subnet would break the inner
//! daemon. The data root is a volume, because overlay cannot be stacked on overlay.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::engine::image::Archive;
use crate::engine::{ContainerSpec, LABEL};
use crate::fixture::PROGRAM;
use crate::host::SystemReader;
use crate::options::RunOptions;
use crate::workload::spec::{self, Wanted};

/// Directories of programs and libraries (hier(7)).
const TREES: [&str; 6] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"];
/// Files of /etc that programs need: alternatives, library paths, users and groups.
const ETC: [&str; 9] = [
    "/etc/alternatives",
    "/etc/group",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/protocols",
    "/etc/services",
];
/// The default data root of dockerd.
const DATA_ROOT: &str = "/var/lib/docker";

/// The container, which verifies up to its own first container and prints the report.
pub fn container(host: &dyn SystemReader, options: &RunOptions, wanted: &Wanted) -> ContainerSpec {
    let path = host.env("PATH").unwrap_or_default();
    let mut mounts: Vec<Value> = borrowed(host, &path).iter().map(|tree| read_only(tree)).collect();
    // An anonymous volume is removed with its container.
    let labels = json!({ LABEL: options.run });
    mounts.push(json!({ "Type": "volume", "Target": DATA_ROOT, "VolumeOptions": { "Labels": labels } }));
    let mut body = json!({
        "Image": Archive::reference(&options.run),
        "Entrypoint": [PROGRAM],
        "Cmd": ["verify", "--until", "container-run", "--format", "json"],
        "Env": [format!("PATH={path}"), "HOME=/root"],
        "HostConfig": { "Privileged": true, "Mounts": mounts, "Tmpfs": { "/run": "exec", "/tmp": "" } },
    });
    spec::keep_users(wanted, &mut body);
    ContainerSpec { role: "third-level", body, ..ContainerSpec::default() }
}

/// A read-only bind mount of a path of the outer container, at the same path.
fn read_only(path: &Path) -> Value {
    json!({ "Type": "bind", "Source": path, "Target": path, "ReadOnly": true })
}

/// The existing directories of programs, the files they need, and the directories of PATH.
fn borrowed(host: &dyn SystemReader, path: &str) -> Vec<PathBuf> {
    let musl = format!("/etc/ld-musl-{}.path", std::env::consts::ARCH);
    let known = TREES.iter().chain(&ETC).copied().chain([musl.as_str()]).map(Path::new);
    let of_path = path.split(':').map(Path::new).filter(|dir| dir.is_absolute() && dir.parent().is_some());
    let mut all: Vec<PathBuf> = Vec::new();
    for wanted in known.chain(of_path) {
        if host.stat(wanted).is_ok() && !all.iter().any(|tree| wanted.starts_with(tree)) {
            all.push(wanted.to_owned());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn programs_of_path_are_mounted_and_no_configuration() {
        let host = Fake::new()
            .file("/usr/bin/dockerd", "")
            .file("/opt/docker/bin/runc", "")
            .file("/etc/passwd", "")
            .file("/etc/docker/daemon.json", "{}");
        let all = borrowed(&host, "/usr/bin:/opt/docker/bin:relative:/:/nowhere");
        assert_eq!(all, ["/usr", "/etc/passwd", "/opt/docker/bin"].map(PathBuf::from));
    }
}

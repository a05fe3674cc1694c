//! What is a container given in which a dockerd of its own runs?
//!
//! The built-in image is this program alone. The engine's programs and their libraries are those of the outer container,
//! mounted read-only; its configuration is not: a daemon.json that names a data root or a subnet would be in the way. The
//! data root is a volume, since overlay does not lie on overlay.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::engine::image::Archive;
use crate::engine::{ContainerSpec, LABEL};
use crate::fixture::PROGRAM;
use crate::host::SystemReader;
use crate::options::RunOptions;

/// Where programs and libraries are (hier(7)).
const TREES: [&str; 6] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"];
/// What of /etc programs need to start: which iptables is meant, where libraries are, who is who.
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
/// dockerd's own data root.
const DATA_ROOT: &str = "/var/lib/docker";

/// The container, which verifies up to a container of its own, and prints the report.
pub fn container(host: &dyn SystemReader, options: &RunOptions) -> ContainerSpec {
    let path = host.env("PATH").unwrap_or_default();
    let mut mounts: Vec<Value> = borrowed(host, &path).iter().map(|tree| read_only(tree)).collect();
    // Without a name it goes with its container.
    let labels = json!({ LABEL: options.run });
    mounts.push(json!({ "Type": "volume", "Target": DATA_ROOT, "VolumeOptions": { "Labels": labels } }));
    let body = json!({
        "Image": Archive::reference(&options.run),
        "Entrypoint": [PROGRAM],
        "Cmd": ["verify", "--until", "container-run", "--format", "json"],
        "Env": [format!("PATH={path}"), "HOME=/root"],
        "HostConfig": { "Privileged": true, "Mounts": mounts, "Tmpfs": { "/run": "exec", "/tmp": "" } },
    });
    ContainerSpec { role: "third-level", body, ..ContainerSpec::default() }
}

/// A path of the outer container, at the same place.
fn read_only(path: &Path) -> Value {
    json!({ "Type": "bind", "Source": path, "Target": path, "ReadOnly": true })
}

/// What is there of programs, of what they need, and of PATH.
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
    fn programs_come_from_wherever_path_says_and_no_configuration_comes() {
        let host = Fake::new()
            .file("/usr/bin/dockerd", "")
            .file("/opt/docker/bin/runc", "")
            .file("/etc/passwd", "")
            .file("/etc/docker/daemon.json", "{}");
        let all = borrowed(&host, "/usr/bin:/opt/docker/bin:relative:/:/nowhere");
        assert_eq!(all, ["/usr", "/etc/passwd", "/opt/docker/bin"].map(PathBuf::from));
    }
}

//! The project's own image: its only file is the binary, and others copy from it.

use std::path::Path;

use crate::harness::{bed, docker_output};
use crate::shared;

/// `docker build -t TAG` with this Dockerfile and the binary where `make dist` puts it.
fn build(tag: &str, dockerfile: &str) {
    let dir = tempfile::tempdir().unwrap();
    let dist = dir.path().join("dist");
    std::fs::create_dir_all(&dist).unwrap();
    std::fs::copy(shared::program(), dist.join("dindcheck")).unwrap();
    std::fs::write(dir.path().join("Dockerfile"), dockerfile).unwrap();
    bed::build(tag, dir.path());
}

#[test]
#[ignore = "needs root and the test bed"]
fn image_has_one_file_and_can_be_copied_from() {
    let dockerfile = Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile");
    build("dindcheck-scratch", &std::fs::read_to_string(dockerfile).unwrap());
    let version = docker_output(&["run", "--rm", "dindcheck-scratch", "--version"]);
    assert_eq!(version, format!("dindcheck {}", env!("CARGO_PKG_VERSION")));
    let layers = docker_output(&["image", "inspect", "-f", "{{len .RootFS.Layers}}", "dindcheck-scratch"]);
    assert_eq!(layers, "1");
    let outer =
        "FROM dindcheck-base:trixie\nCOPY --from=dindcheck-scratch /dindcheck /usr/local/bin/dindcheck\n";
    build("dindcheck-copied", outer);
    let listed = docker_output(&["run", "--rm", "dindcheck-copied", "dindcheck", "list"]);
    assert!(listed.contains("cgroup-mounts"), "{listed}");
    docker_output(&["rmi", "dindcheck-copied", "dindcheck-scratch"]);
}

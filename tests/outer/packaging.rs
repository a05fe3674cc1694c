//! Is the image of ours one whose only file is the binary, and does it serve as a source for others?

use std::path::Path;
use std::process::Output;

use crate::bed::{self, docker};

/// `docker build -t TAG` with this Dockerfile and the binary where `make dist` puts it.
fn build(tag: &str, dockerfile: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let dist = dir.path().join("dist");
    std::fs::create_dir_all(&dist).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_dindcheck"), dist.join("dindcheck")).unwrap();
    std::fs::write(dir.path().join("Dockerfile"), dockerfile).unwrap();
    bed::build(tag, dir.path())
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn the_image_has_one_file_and_can_be_copied_from() {
    let dockerfile =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile")).unwrap();
    build("dindcheck-scratch", &dockerfile);
    let version = docker(&["run", "--rm", "dindcheck-scratch", "--version"]).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&version.stdout),
        format!("dindcheck {}\n", env!("CARGO_PKG_VERSION"))
    );
    let layers =
        docker(&["image", "inspect", "-f", "{{len .RootFS.Layers}}", "dindcheck-scratch"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&layers.stdout).trim(), "1");
    let outer =
        "FROM dindcheck-base:trixie\nCOPY --from=dindcheck-scratch /dindcheck /usr/local/bin/dindcheck\n";
    build("dindcheck-copied", outer);
    let listed = docker(&["run", "--rm", "dindcheck-copied", "dindcheck", "list"]).output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("cgroup-mounts"));
    let removed = docker(&["rmi", "dindcheck-copied", "dindcheck-scratch"]).output().unwrap();
    assert!(removed.status.success());
}

//! How does a test reach the bed? Through its scripts; what containers see as /share holds the binary.
//!
//! Included by the tests that play worlds in outer containers; not every one of them needs everything here.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Debian's suites, oldest engine first.
pub(crate) const SUITES: [&str; 3] = ["bookworm", "trixie", "forky"];

/// Calls a script of the bed; its standard output. Fails the test where the script fails.
pub(crate) fn bed(script: &str, args: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed").join(script);
    let out = Command::new(path).args(args).output().expect("bash");
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{script} {args:?}: {stderr}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// The directory that containers see as /share, with the binary in it and the images made.
pub(crate) fn share() -> &'static PathBuf {
    static SHARE: OnceLock<PathBuf> = OnceLock::new();
    SHARE.get_or_init(|| {
        for suite in SUITES {
            bed("image.sh", &[suite]);
        }
        let status = bed("engine.sh", &["status"]);
        let line = status.lines().find_map(|line| line.strip_prefix("share ")).expect("a share");
        let share = PathBuf::from(line.split(' ').next().expect("a path"));
        // A running binary cannot be overwritten, but another can take its place.
        let aside = share.join(format!("dindcheck.{}", std::process::id()));
        std::fs::copy(env!("CARGO_BIN_EXE_dindcheck"), &aside).expect("copy the binary");
        std::fs::rename(&aside, share.join("dindcheck")).expect("put it into place");
        share
    })
}

/// Whether this machine itself lacks `CAP_SYS_RESOURCE`, and so every container on it.
pub(crate) fn machine_lacks_sys_resource() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let bound = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).expect("CapBnd");
    u64::from_str_radix(bound.trim(), 16).expect("hex") & 1 << 24 == 0
}

//! Checks that the directory is writable and has space.

use std::path::Path;

use nix::errno::Errno;

use super::driver;
use super::look::Seen;
use crate::diagnosis::causes;
use crate::facts::filesystem;
use crate::finding::{Finding, quoted};
use crate::host::{FileKind, HostError};

/// dockerd does not start with less (its databases and containerd's take some MiB).
const HARDLY_ANYTHING: u64 = 8 << 20;

/// Problems of the directory.
pub(super) fn judge(seen: &Seen) -> Vec<Finding> {
    if seen.kind != FileKind::Dir {
        let what =
            format!("{} is not a directory, but {} must be one", seen.base.display(), seen.dir.display());
        return vec![about(seen, Finding::fail(causes::DATA_ROOT_NOT_WRITABLE, what)).hint(volume(seen))];
    }
    let plain = ["directory", "write"];
    let mut attempts = seen.trial.attempts.iter().filter(|attempt| plain.contains(&attempt.name.as_str()));
    if let Some(error) = attempts.find_map(|attempt| attempt.error.as_ref()) {
        return vec![refusal(seen, error)];
    }
    [space(seen), inodes(seen)].into_iter().flatten().collect()
}

/// Why it is not writable.
fn refusal(seen: &Seen, error: &HostError) -> Finding {
    let base = seen.base.display();
    let read_only = seen.mount.as_ref().map(|mount| (mount.is_read_only(), mount.is_super_read_only()));
    let (cause, what) = match (error.errno(), read_only) {
        (Errno::EROFS, Some((true, false))) => {
            (causes::DATA_ROOT_READ_ONLY, format!("{base} is mounted read-only; its file system is not"))
        }
        (Errno::EROFS, _) => (causes::DATA_ROOT_READ_ONLY, format!("the file system of {base} is read-only")),
        (Errno::ENOSPC, _) => (causes::DISK_FULL, format!("{base} is full: a file of 8 KiB does not fit")),
        (Errno::EDQUOT, _) => (causes::DISK_FULL, format!("the quota of {base} is used up")),
        _ => (causes::DATA_ROOT_NOT_WRITABLE, format!("{base} is not writable: {error}")),
    };
    let finding = about(seen, Finding::fail(cause, what)).with("errno", format!("{:?}", error.errno()));
    match read_only {
        Some((true, false)) => finding.hint(format!("`mount -o remount,bind,rw {}`", quoted(target(seen)))),
        _ if error.errno() == Errno::EPERM => finding.hint(format!(
            "`chattr -i -a {0}` where `lsattr -d {0}` shows i or a; else {1}",
            quoted(&seen.base),
            volume(seen)
        )),
        _ => finding.hint(volume(seen)),
    }
}

/// Free space against the profile.
fn space(seen: &Seen) -> Option<Finding> {
    let wanted = seen.wanted.min_free_mib;
    let free = filesystem::free(&seen.fs);
    let (dir, base) = (seen.dir.display(), seen.base.display());
    if seen.fs.free < HARDLY_ANYTHING {
        let what = format!("{dir} has {free} free: dockerd itself needs more");
        return Some(
            about(seen, Finding::fail(causes::DISK_FULL, what))
                .with("free_bytes", seen.fs.free)
                .hint(volume(seen)),
        );
    }
    (seen.fs.free >> 20 < wanted).then(|| {
        let what = format!("{dir} has {free} free, but the profile requires {wanted} MiB");
        about(seen, Finding::warn(causes::LOW_DISK_SPACE, what))
            .with("free_bytes", seen.fs.free)
            .hint(format!("free space below {base}, or {}", volume(seen)))
    })
}

/// Free inodes against the profile, if the file system counts them.
fn inodes(seen: &Seen) -> Option<Finding> {
    let (free, wanted) = (seen.fs.inodes_free, seen.wanted.min_free_inodes);
    (seen.fs.inodes > 0 && free < wanted).then(|| {
        let what =
            format!("{} has {free} inodes free, but the profile requires {wanted}", seen.dir.display());
        about(seen, Finding::warn(causes::LOW_INODES, what)).hint(volume(seen))
    })
}

/// Restrictive flags of the mount. With overlay the containers' root file systems do not get `noexec`, `nodev` and
/// `nosuid`, but volumes do; vfs and native bind-mount the root file system from there, so it gets them as well (measured:
/// 26.1.5, kernel 6.18).
pub(super) fn flags(seen: &Seen) -> Vec<Finding> {
    let Some(mount) = &seen.mount else { return Vec::new() };
    let copies = driver::copies_layers(seen);
    let mut findings = Vec::new();
    if mount.options.contains("noexec") {
        let cause = causes::DATA_ROOT_NOEXEC;
        findings.push(if copies {
            Finding::fail(
                cause,
                format!("{} is mounted noexec: containers cannot run programs", target(seen).display()),
            )
        } else {
            Finding::warn(
                cause,
                format!("{} is mounted noexec: programs on volumes do not run", target(seen).display()),
            )
        });
    }
    for (flag, cause, breaks) in [
        ("nodev", causes::DATA_ROOT_NODEV, "device nodes of images do not work"),
        ("nosuid", causes::DATA_ROOT_NOSUID, "setuid programs such as sudo do not work in containers"),
    ] {
        if copies && mount.options.contains(flag) {
            findings.push(Finding::warn(
                cause,
                format!("{} is mounted {flag}: {breaks}", target(seen).display()),
            ));
        }
    }
    let remount = || format!("`mount -o remount,bind,exec,dev,suid {}`", quoted(target(seen)));
    findings.into_iter().map(|finding| about(seen, finding).hint(remount())).collect()
}

/// What gives the data root a file system of its own, with room.
pub(super) fn volume(seen: &Seen) -> String {
    format!(
        "start the outer container with a volume that has room at the data root: `-v dind-data:{}`",
        seen.data_root.display()
    )
}

/// The mount point of the directory.
fn target(seen: &Seen) -> &Path {
    seen.mount.as_ref().map_or(Path::new("/"), |mount| &mount.target)
}

/// Adds the evidence of every finding about the directory.
pub(super) fn about(seen: &Seen, finding: Finding) -> Finding {
    let finding =
        finding.with("path", seen.base.display()).with("filesystem", filesystem::name(seen.fs.magic));
    match &seen.mount {
        Some(mount) => finding.with("mount", mount.target.display()),
        None => finding,
    }
}

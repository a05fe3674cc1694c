//! Tries overlay in a directory: mount, write, copy-up, whiteout, rename, opaque directories.
//!
//! dockerd itself only tries the mount (daemon/graphdriver/overlayutils), and containerd's snapshotter not even that before
//! the first container. The other attempts show what the file system below lacks.

use crate::host::trial::{DIRECTORY, TrialReport};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::MsFlags;
use nix::sys::stat::Mode;

use super::own_mounts;
use crate::host::{HostError, HostResult};

/// Attempts `directory`, `write`, `d-type` and, where `overlay` is set, `mount-namespace`, `mount`, `read`,
/// `copy-up`, `whiteout`, `rename` and `opaque`. `dir` is empty; the process that requested the trial made it and removes it.
pub(super) fn perform(dir: &Path, overlay: bool, userxattr: bool) -> TrialReport {
    let mut report = TrialReport::default();
    let plain = report.attempt(DIRECTORY, prepare(dir))
        && report.attempt("write", write(&dir.join("lower1/file"), b"lower"))
        && report.attempt("write", write(&dir.join("lower1/dir/inside"), b"lower"))
        && report.attempt("d-type", d_type(dir));
    if !plain || !overlay || !report.attempt("mount-namespace", own_mounts()) {
        return report;
    }
    let merged = dir.join("merged");
    if !report.attempt("mount", mount(dir, userxattr)) {
        return report;
    }
    let _ = report.attempt("read", read(&merged))
        && report.attempt("copy-up", copy_up(dir))
        && report.attempt("whiteout", whiteout(dir))
        && report.attempt("rename", rename(&merged))
        && report.attempt("opaque", opaque(&merged));
    report
}

/// Makes the error of an operation on a path.
fn on<'p>(op: &'static str, path: &'p Path) -> impl FnOnce(std::io::Error) -> HostError + 'p {
    move |error| HostError::io(op, path, &error)
}

/// Creates the directories. Two are lower ones, since overlay2 mounts more than one.
fn prepare(dir: &Path) -> HostResult<()> {
    for name in ["lower1", "lower1/dir", "lower2", "upper", "work", "merged"] {
        let path = dir.join(name);
        #[expect(clippy::disallowed_methods, reason = "in a child process that exists for the trial")]
        fs::create_dir(&path).map_err(on("make the directory", &path))?;
    }
    Ok(())
}

/// Writes a file that is large enough to be allocated, so that a full file system reports it.
fn write(path: &Path, bytes: &[u8]) -> HostResult<()> {
    #[expect(clippy::disallowed_methods, reason = "in a child process that exists for the trial")]
    let mut file = File::create(path).map_err(on("make", path))?;
    file.write_all(bytes).map_err(on("write", path))?;
    file.write_all(&[b'.'; 8192]).map_err(on("write", path))
}

/// Checks that readdir(3) returns the type of entries (`d_type`), by which overlay recognizes whiteouts.
fn d_type(dir: &Path) -> HostResult<()> {
    let failed = |errno| HostError::new("list", dir, errno);
    let mut entries = Dir::open(dir, OFlag::O_DIRECTORY, Mode::empty()).map_err(failed)?;
    for entry in entries.iter() {
        let entry = entry.map_err(failed)?;
        let own = [&b"."[..], b".."].contains(&entry.file_name().to_bytes());
        if !own && entry.file_type().is_none() {
            return Err(HostError::new("read the type of an entry of", dir, Errno::EOPNOTSUPP));
        }
    }
    Ok(())
}

/// Mounts overlay as dockerd does, with `volatile` where the kernel knows it (5.10): without it each copy-up waits for the
/// disk, and the unmount writes out all dirty data of the file system.
fn mount(dir: &Path, userxattr: bool) -> HostResult<()> {
    let at = |name: &str| dir.join(name).display().to_string();
    let mut data =
        format!("lowerdir={}:{},upperdir={},workdir={}", at("lower2"), at("lower1"), at("upper"), at("work"));
    if userxattr {
        data.push_str(",userxattr");
    }
    let target = dir.join("merged");
    #[expect(clippy::disallowed_methods, reason = "in a child process that exists for the trial")]
    let mount = |data: &str| {
        nix::mount::mount(Some("overlay"), &target, Some("overlay"), MsFlags::empty(), Some(data))
            .map_err(|errno| HostError::new("mount overlay on", &target, errno))
    };
    match mount(&format!("{data},volatile")) {
        Err(error) if error.errno() == Errno::EINVAL => mount(&data),
        done => done,
    }
}

/// Reads a lower file through the mount.
fn read(merged: &Path) -> HostResult<()> {
    let path = merged.join("file");
    #[expect(clippy::disallowed_methods, reason = "in a child process that exists for the trial")]
    let bytes = fs::read(&path).map_err(on("read", &path))?;
    expect(bytes.starts_with(b"lower"), "read through", &path)
}

/// Writes to a lower file, which must be copied to the upper directory.
fn copy_up(dir: &Path) -> HostResult<()> {
    let path = dir.join("merged/file");
    let mut file = OpenOptions::new().append(true).open(&path).map_err(on("open for writing", &path))?;
    file.write_all(b"upper").map_err(on("write", &path))?;
    expect(dir.join("upper/file").exists() && size(&dir.join("lower1/file")) == 5 + 8192, "copy up", &path)
}

/// Removes a lower file, which must leave a whiteout: a character device 0:0 in the upper directory.
fn whiteout(dir: &Path) -> HostResult<()> {
    let path = dir.join("merged/file");
    #[expect(clippy::disallowed_methods, reason = "in a child process that exists for the trial")]
    fs::remove_file(&path).map_err(on("remove", &path))?;
    #[expect(clippy::disallowed_methods, reason = "in a child process that exists for the trial")]
    let whiteout =
        fs::symlink_metadata(dir.join("upper/file")).map_err(on("look for the whiteout of", &path))?;
    expect(
        whiteout.file_type().is_char_device() && whiteout.rdev() == 0 && !path.exists(),
        "white out",
        &path,
    )
}

/// Renames a file of the upper directory, and a lower directory, for which EXDEV is permitted.
fn rename(merged: &Path) -> HostResult<()> {
    let (new, renamed) = (merged.join("new"), merged.join("renamed"));
    write(&new, b"new")?;
    #[expect(clippy::disallowed_methods, reason = "in a child process that exists for the trial")]
    fs::rename(&new, &renamed).map_err(on("rename", &new))?;
    let dir = merged.join("dir");
    #[expect(clippy::disallowed_methods, reason = "in a child process that exists for the trial")]
    match fs::rename(&dir, merged.join("dir2")) {
        Ok(()) => fs::rename(merged.join("dir2"), &dir).map_err(on("rename back to", &dir)),
        Err(error) if error.raw_os_error() == Some(Errno::EXDEV as i32) => Ok(()),
        Err(error) => Err(HostError::io("rename", &dir, &error)),
    }
}

/// Removes a directory and creates it again, which must hide the files of the lower one (`trusted.overlay.opaque`).
fn opaque(merged: &Path) -> HostResult<()> {
    let dir = merged.join("dir");
    #[expect(clippy::disallowed_methods, reason = "in a child process that exists for the trial")]
    {
        fs::remove_file(dir.join("inside")).map_err(on("remove a file of", &dir))?;
        fs::remove_dir(&dir).map_err(on("remove the directory", &dir))?;
        fs::create_dir(&dir).map_err(on("make the directory", &dir))?;
        let entries = fs::read_dir(&dir).map_err(on("list", &dir))?;
        expect(entries.count() == 0, "hide what was in", &dir)
    }
}

/// The size of a file in bytes; 0 where it cannot be read.
fn size(path: &Path) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "in a child process that exists for the trial")]
    fs::metadata(path).map_or(0, |meta| meta.len())
}

/// `EIO` where an operation succeeded and its effect is wrong.
fn expect(good: bool, op: &str, path: &Path) -> HostResult<()> {
    if good { Ok(()) } else { Err(HostError::new(op, PathBuf::from(path), Errno::EIO)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_directory_passes_without_overlay() {
        let dir = tempfile::tempdir().unwrap();
        let report = perform(dir.path(), false, false);
        let names: Vec<_> = report.attempts.iter().map(|attempt| attempt.name.as_str()).collect();
        assert_eq!((names, report.first_failed()), (vec!["directory", "write", "write", "d-type"], None));
    }

    #[test]
    fn first_failed_attempt_ends_the_trial() {
        let report = perform(Path::new("/proc/dindcheck"), true, false);
        assert_eq!(report.attempts.len(), 1);
        assert_eq!(report.first_failed().unwrap().error.as_ref().unwrap().errno(), Errno::ENOENT);
    }
}

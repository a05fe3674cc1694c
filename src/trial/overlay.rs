//! Does overlay work in a directory: mount, write, copy-up, whiteout, rename, opaque directories?
//!
//! dockerd itself only tries the mount (daemon/graphdriver/overlayutils); containerd's snapshotter does not
//! even try that before the first container. What a file system cannot do shows in the other attempts.

use crate::host::trial::TrialReport;
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
use crate::host::HostError;

type Tried = Result<(), HostError>;

/// Attempts `directory`, `write`, `d-type` and, where overlay is wanted, `mount-namespace`, `mount`, `read`,
/// `copy-up`, `whiteout`, `rename` and `opaque`. `dir` is a new directory; the asking process removes it.
pub(super) fn perform(dir: &Path, overlay: bool, userxattr: bool) -> TrialReport {
    let mut report = TrialReport::default();
    let plain = report.attempt("directory", prepare(dir))
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

/// An error of the standard library on a path.
fn on<'p>(op: &'static str, path: &'p Path) -> impl FnOnce(std::io::Error) -> HostError + 'p {
    move |error| HostError::io(op, path, &error)
}

/// The directories, of which two are lower ones: overlay2 needs more than one.
fn prepare(dir: &Path) -> Tried {
    let below = ["lower1/dir", "lower2", "upper", "work", "merged"];
    for path in std::iter::once(dir.to_owned()).chain(below.iter().map(|name| dir.join(name))) {
        #[expect(clippy::disallowed_methods, reason = "the child is the place to try it")]
        fs::create_dir_all(&path).map_err(on("make the directory", &path))?;
    }
    Ok(())
}

/// A small file, really given to the file system's allocation: a full one says so.
fn write(path: &Path, bytes: &[u8]) -> Tried {
    #[expect(clippy::disallowed_methods, reason = "the child is the place to try it")]
    let mut file = File::create(path).map_err(on("make", path))?;
    file.write_all(bytes).map_err(on("write", path))?;
    file.write_all(&[b'.'; 8192]).map_err(on("write", path))
}

/// Whether readdir(3) tells what an entry is; overlay needs that to tell whiteouts.
fn d_type(dir: &Path) -> Tried {
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

/// The mount, as dockerd tries it; `volatile` beside it, which kernels before 5.10 refuse: without it each copy-up
/// waits for the disk, and the unmount writes out all that is dirty on the whole file system.
fn mount(dir: &Path, userxattr: bool) -> Tried {
    let at = |name: &str| dir.join(name).display().to_string();
    let mut data =
        format!("lowerdir={}:{},upperdir={},workdir={}", at("lower2"), at("lower1"), at("upper"), at("work"));
    if userxattr {
        data.push_str(",userxattr");
    }
    let target = dir.join("merged");
    #[expect(clippy::disallowed_methods, reason = "the child is the place to try it")]
    let mount = |data: &str| {
        nix::mount::mount(Some("overlay"), &target, Some("overlay"), MsFlags::empty(), Some(data))
            .map_err(|errno| HostError::new("mount overlay on", &target, errno))
    };
    match mount(&format!("{data},volatile")) {
        Err(error) if error.errno() == Errno::EINVAL => mount(&data),
        done => done,
    }
}

/// The lower file is seen through the mount.
fn read(merged: &Path) -> Tried {
    let path = merged.join("file");
    #[expect(clippy::disallowed_methods, reason = "the child is the place to try it")]
    let bytes = fs::read(&path).map_err(on("read", &path))?;
    expect(bytes.starts_with(b"lower"), "read through", &path)
}

/// Writing to a lower file makes a copy of it in the upper directory.
fn copy_up(dir: &Path) -> Tried {
    let path = dir.join("merged/file");
    let mut file = OpenOptions::new().append(true).open(&path).map_err(on("open for writing", &path))?;
    file.write_all(b"upper").map_err(on("write", &path))?;
    expect(dir.join("upper/file").exists() && size(&dir.join("lower1/file")) == 5 + 8192, "copy up", &path)
}

/// Removing a lower file leaves a whiteout: a character device 0:0 in the upper directory.
fn whiteout(dir: &Path) -> Tried {
    let path = dir.join("merged/file");
    #[expect(clippy::disallowed_methods, reason = "the child is the place to try it")]
    fs::remove_file(&path).map_err(on("remove", &path))?;
    #[expect(clippy::disallowed_methods, reason = "the child is the place to try it")]
    let left = fs::symlink_metadata(dir.join("upper/file")).map_err(on("look for the whiteout of", &path))?;
    expect(left.file_type().is_char_device() && left.rdev() == 0 && !path.exists(), "white out", &path)
}

/// Files of the upper directory are renamed; a lower directory is, or is refused with EXDEV, which callers
/// know to handle.
fn rename(merged: &Path) -> Tried {
    let (new, renamed) = (merged.join("new"), merged.join("renamed"));
    write(&new, b"new")?;
    #[expect(clippy::disallowed_methods, reason = "the child is the place to try it")]
    fs::rename(&new, &renamed).map_err(on("rename", &new))?;
    let dir = merged.join("dir");
    #[expect(clippy::disallowed_methods, reason = "the child is the place to try it")]
    match fs::rename(&dir, merged.join("dir2")) {
        Ok(()) => fs::rename(merged.join("dir2"), &dir).map_err(on("rename back to", &dir)),
        Err(error) if error.raw_os_error() == Some(Errno::EXDEV as i32) => Ok(()),
        Err(error) => Err(HostError::io("rename", &dir, &error)),
    }
}

/// A directory that was removed and made anew hides the lower one's files (`trusted.overlay.opaque`).
fn opaque(merged: &Path) -> Tried {
    let dir = merged.join("dir");
    #[expect(clippy::disallowed_methods, reason = "the child is the place to try it")]
    {
        fs::remove_file(dir.join("inside")).map_err(on("remove a file of", &dir))?;
        fs::remove_dir(&dir).map_err(on("remove the directory", &dir))?;
        fs::create_dir(&dir).map_err(on("make the directory", &dir))?;
        let entries = fs::read_dir(&dir).map_err(on("list", &dir))?;
        expect(entries.count() == 0, "hide what was in", &dir)
    }
}

/// A file's size; 0 where it cannot be told.
fn size(path: &Path) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the child is the place to try it")]
    fs::metadata(path).map_or(0, |meta| meta.len())
}

/// What did not fail and is wrong all the same.
fn expect(good: bool, op: &str, path: &Path) -> Tried {
    if good { Ok(()) } else { Err(HostError::new(op, PathBuf::from(path), Errno::EIO)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_directory_takes_files_and_knows_their_types() {
        let dir = tempfile::tempdir().unwrap();
        let report = perform(&dir.path().join("new"), false, false);
        let names: Vec<_> = report.attempts.iter().map(|attempt| attempt.name.as_str()).collect();
        assert_eq!((names, report.first_failed()), (vec!["directory", "write", "write", "d-type"], None));
    }

    #[test]
    fn the_first_refusal_ends_it() {
        let report = perform(Path::new("/proc/dindcheck"), true, false);
        assert_eq!(report.attempts.len(), 1);
        assert_eq!(report.first_failed().unwrap().error.as_ref().unwrap().errno(), Errno::ENOENT);
    }
}

//! The programs of the engine: where they are, and their versions.
//!
//! dockerd starts its helpers by name through its own PATH, as Go's `exec.LookPath` does; newer
//! versions look for docker-proxy and docker-init in libexec directories first.

use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::executable::{self, Look};
use super::version::Version;
use crate::host::{FileKind, HostError, HostResult, Ran, SystemReader};

/// Directories of helpers that are searched before PATH (daemon/config/config_linux.go, `lookupBinPath`).
const LIBEXEC: &[&str] = &[
    "/usr/local/libexec/docker",
    "/usr/libexec/docker",
    "/usr/local/lib/docker",
    "/usr/lib/docker",
    "/usr/local/libexec",
    "/usr/libexec",
];

/// What the search for a program found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An executable file.
    At(PathBuf),
    /// A file of that name without execute permission, and no executable one elsewhere.
    NotExecutable(PathBuf),
    /// Nothing.
    Nowhere,
}

/// The absolute directories of PATH, which dockerd inherits from dindcheck.
pub fn path_dirs(host: &dyn SystemReader) -> Vec<PathBuf> {
    let path = host.env_os("PATH").unwrap_or_default();
    // Go refuses a program that it finds through a relative directory.
    std::env::split_paths(&path).filter(|dir| dir.is_absolute()).collect()
}

/// The directories in which dockerd looks for a helper: libexec directories first, where the version does that, then PATH.
pub fn helper_dirs(host: &dyn SystemReader, name: &str, version: Version) -> Vec<PathBuf> {
    let since = if name == "docker-init" { Version::new(25, 0, 0) } else { Version::new(27, 0, 0) };
    let first = if version >= since { LIBEXEC } else { &[] };
    first.iter().map(PathBuf::from).chain(path_dirs(host)).collect()
}

/// Looks for a program by name in `dirs`, or at a path, as Go's `exec.LookPath` does: a directory in which it cannot look
/// does not keep it from the next one. Where nothing is found, the first error but an absence is returned.
pub fn find(host: &dyn SystemReader, name: &str, dirs: &[PathBuf]) -> HostResult<Place> {
    let candidates: Vec<PathBuf> =
        if name.contains('/') { vec![name.into()] } else { dirs.iter().map(|dir| dir.join(name)).collect() };
    let (mut refused, mut failed) = (None, None);
    for candidate in candidates {
        match host.stat(&candidate) {
            Ok(stat) if stat.kind == FileKind::File && stat.mode & 0o111 != 0 => {
                return Ok(Place::At(candidate));
            }
            Ok(stat) if stat.kind == FileKind::File => refused = refused.or(Some(candidate)),
            Ok(_) => {}
            Err(error) if error.is_absent() => {}
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match (refused, failed) {
        (Some(path), _) => Ok(Place::NotExecutable(path)),
        (None, Some(error)) => Err(error),
        (None, None) => Ok(Place::Nowhere),
    }
}

/// The program that dockerd would run by this name: in PATH, or at a path. `None` where there is none that may be run; an
/// error where it cannot be looked for.
pub fn locate(host: &dyn SystemReader, name: &str) -> HostResult<Option<PathBuf>> {
    Ok(match find(host, name, &path_dirs(host))? {
        Place::At(path) => Some(path),
        Place::NotExecutable(_) | Place::Nowhere => None,
    })
}

/// What a program printed when it was asked for its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It ended well: the version in its output, if any, and the first line of it.
    Answered(Option<Version>, String),
    /// It was not run; its headers are those of a whole program for this machine.
    Whole,
    /// It could not be run, or failed: a message, and the error of the system call.
    Broken(String, Option<HostError>),
}

/// Runs a program to learn its version. `codes` are the exit codes of a success: old versions of docker-proxy do not
/// know `--version` and print their usage with code 2.
pub fn ask(host: &dyn SystemReader, path: &Path, args: &[&str], codes: &[i32]) -> Said {
    match host.ask(path, args) {
        Ok(ran) if codes.contains(&ran.code) => {
            let output = if ran.stdout.trim().is_empty() { &ran.stderr } else { &ran.stdout };
            Said::Answered(Version::find(output), first_line(output))
        }
        Ok(ran) => Said::Broken(ended(&ran), None),
        Err(error) => Said::Broken(refused(host, path, &error), Some(error)),
    }
}

/// Reads the headers of a program instead of running it, where its version does not matter. What the headers do not
/// decide (a script) is run after all.
pub fn inspect(host: &dyn SystemReader, path: &Path, args: &[&str], codes: &[i32]) -> Said {
    const NOEXEC: u64 = 8; // ST_NOEXEC of statvfs(3)
    if host.statfs(path).is_ok_and(|fs| fs.flags & NOEXEC != 0) {
        return Said::Broken("it lies on a file system that is mounted noexec".to_owned(), None);
    }
    match executable::look(host, path) {
        Ok(Look::Whole) => Said::Whole,
        Ok(Look::Faulty(why)) => Said::Broken(why, None),
        Ok(Look::Unclear) => ask(host, path, args, codes),
        Err(error) => Said::Broken(error.to_string(), Some(error)),
    }
}

/// How a program ended, with the first line of its output.
fn ended(ran: &Ran) -> String {
    let output = if ran.stderr.trim().is_empty() { &ran.stdout } else { &ran.stderr };
    let how = match ran.code {
        // 128 + signal, as a shell counts.
        129..=192 => format!("it was ended by signal {}", ran.code - 128),
        // 127 is also the exit code of the dynamic loader (glibc), with its message on stderr.
        code => format!("it ended with code {code}"),
    };
    match first_line(output) {
        line if line.is_empty() => how,
        line => format!("{how}: {line}"),
    }
}

/// Why the kernel refused to run it.
fn refused(host: &dyn SystemReader, path: &Path, error: &HostError) -> String {
    match error.errno() {
        Errno::ENOEXEC | Errno::ENOENT => match executable::look(host, path) {
            Ok(Look::Faulty(why)) => why,
            _ => format!("the kernel cannot run it ({error})"),
        },
        Errno::EACCES => {
            format!("it lies on a file system that is mounted noexec, or may not be run ({error})")
        }
        Errno::ETIMEDOUT => "it did not answer in time".to_owned(),
        _ => error.to_string(),
    }
}

/// The first line that is not empty, shortened.
fn first_line(output: &str) -> String {
    let line = output.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().take(160).collect()
}

/// The program of the daemon and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerd {
    /// Where it was found.
    pub place: Place,
    /// Its answer; `None` where it was not found.
    pub said: Option<Said>,
}

impl Dockerd {
    /// Finds the daemon by name or path and runs it for its version.
    pub fn read(host: &dyn SystemReader, command: &str) -> HostResult<Self> {
        let place = find(host, command, &path_dirs(host))?;
        let said = match &place {
            Place::At(path) => Some(ask(host, path, VERSION, &[0])),
            _ => None,
        };
        Ok(Self { place, said })
    }

    /// The version, where the daemon printed one.
    pub fn version(&self) -> Option<Version> {
        match &self.said {
            Some(Said::Answered(version, _)) => *version,
            _ => None,
        }
    }
}

/// The arguments for the version of most programs.
pub const VERSION: &[&str] = &["--version"];
/// The arguments for the version of the shim.
pub const SHIM_VERSION: &[&str] = &["-v"];

/// The programs that most steps wait for, the slowest first. dockerd takes 30 ms of CPU before its `main`, and every step
/// from `binaries` on needs its version.
const AHEAD: &[(&str, &[&str])] =
    &[("containerd-shim-runc-v2", SHIM_VERSION), ("runc", VERSION), ("iptables", VERSION)];

/// Starts the programs that are needed later, so that their answers are ready by then.
pub fn ask_ahead(host: &dyn SystemReader, dockerd: &str) {
    let dirs = path_dirs(host);
    let daemon = [(dockerd, VERSION)];
    for (name, args) in daemon.iter().chain(AHEAD) {
        if let Ok(Place::At(path)) = find(host, name, &dirs) {
            host.ask_ahead(&path, args);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn first_executable_in_path_is_found() {
        let host = Fake::new()
            .variable("PATH", "/a:relative::/b:/c")
            .file("/a/runc", "")
            .dir("/b/runc")
            .program("/c/runc --version", 0, "runc version 1.1.5\n");
        let dirs = path_dirs(&host);
        assert_eq!(dirs, [Path::new("/a"), Path::new("/b"), Path::new("/c")]);
        assert_eq!(find(&host, "runc", &dirs).unwrap(), Place::At("/c/runc".into()));
        assert_eq!(find(&host, "runc", &dirs[..2]).unwrap(), Place::NotExecutable("/a/runc".into()));
        assert_eq!(find(&host, "dockerd", &dirs).unwrap(), Place::Nowhere);
        assert_eq!(find(&host, "/c/runc", &[]).unwrap(), Place::At("/c/runc".into()));
    }

    #[test]
    fn path_is_a_list_of_bytes() {
        let path = OsString::from_vec(b"/odd\xff:/usr/bin".to_vec());
        let host = Fake::new().variable("PATH", path).program("/usr/bin/runc", 0, "");
        let dirs = path_dirs(&host);
        assert_eq!(dirs[0].as_os_str().as_bytes(), b"/odd\xff");
        assert_eq!(find(&host, "runc", &dirs).unwrap(), Place::At("/usr/bin/runc".into()));
    }

    #[test]
    fn look_that_fails_is_no_absence() {
        for errno in [Errno::EACCES, Errno::EIO, Errno::ETIMEDOUT] {
            let host = || Fake::new().variable("PATH", "/a:/b").fails("stat", "/a/runc", errno, None);
            assert_eq!(locate(&host(), "runc").unwrap_err().errno(), errno);
            let later = host().program("/b/runc", 0, "");
            assert_eq!(locate(&later, "runc").unwrap(), Some("/b/runc".into()), "as dockerd goes on");
        }
    }

    #[test]
    fn libexec_is_searched_first_in_newer_versions() {
        let host = Fake::new().variable("PATH", "/usr/bin");
        let first = |name, major| helper_dirs(&host, name, Version::new(major, 1, 0))[0].clone();
        assert_eq!(first("docker-proxy", 26), Path::new("/usr/bin"));
        assert_eq!(first("docker-proxy", 28), Path::new("/usr/local/libexec/docker"));
        assert_eq!(first("docker-init", 26), Path::new("/usr/local/libexec/docker"));
    }

    #[test]
    fn broken_program_is_reported_with_its_reason() {
        let broken = |errno| {
            let host = Fake::new().program("/x --version", 0, "").fails("run", "/x", errno, None);
            match ask(&host, Path::new("/x"), VERSION, &[0]) {
                Said::Broken(why, Some(error)) if error.errno() == errno => why,
                other => panic!("{other:?}"),
            }
        };
        assert!(broken(Errno::ENOEXEC).contains("empty file"));
        assert!(broken(Errno::EACCES).contains("noexec"));
        assert!(broken(Errno::ETIMEDOUT).contains("in time"));
        let host = Fake::new().program("/x --version", 139, "");
        assert_eq!(
            ask(&host, Path::new("/x"), VERSION, &[0]),
            Said::Broken("it was ended by signal 11".into(), None)
        );
    }
}

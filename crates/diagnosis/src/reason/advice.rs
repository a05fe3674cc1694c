//! What a message of Docker means, and what mends that: by its words where those name the subject, else by what its
//! innermost part is about (a file below /tmp, a program, a full disk, a refused system call).

use super::rules::{RULES, Rule};
use super::{Reason, errno::Errno};
use crate::signatures;
use crate::vocabulary::{self, CauseId, causes};

/// The meaning of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// Its cause, where it is known.
    pub cause: Option<CauseId>,
    /// What mends this very failure, where it is known.
    pub hint: Option<String>,
    /// Its innermost part.
    pub reason: Reason,
}

/// Explains a message of dockerd, containerd or runc.
pub fn advise(message: &str) -> Advice {
    let message = message.trim();
    let reason = Reason::of(message);
    if let Some((cause, hint)) = RULES.iter().find_map(|rule| by_rule(rule, message)) {
        return Advice { cause, hint: Some(hint), reason };
    }
    if let Some((cause, hint)) = by_reason(&reason, message) {
        return Advice { cause: Some(cause), hint: Some(hint), reason };
    }
    let cause = signatures::meaning(message).filter(|meaning| !meaning.weak).map(|meaning| meaning.cause);
    Advice { cause, hint: None, reason }
}

impl Advice {
    /// Its cause and what mends it. A message that nobody knows has the cause `plain`: what is to be done begins with the
    /// message, and ends with the remedy of that cause.
    pub fn or(self, plain: CauseId) -> (CauseId, Option<String>) {
        match (self.cause, self.hint) {
            (cause, Some(hint)) => (cause.unwrap_or(plain), Some(hint)),
            (Some(cause), None) => (cause, None),
            (None, None) => (plain, Some(unknown(&self.reason, vocabulary::cause(plain).remedy))),
        }
    }
}

/// What to do about a message that nobody knows: what it says, what its errno means for its path, and the remedy of last
/// resort.
fn unknown(reason: &Reason, last_resort: &str) -> String {
    let said = format!("dindcheck does not know this message: {}", reason.innermost);
    let known = reason.errno.zip(reason.path.as_deref()).and_then(|(errno, path)| on_path(errno, path));
    format!("{said}; {}", known.as_deref().unwrap_or(last_resort))
}

fn by_rule(rule: &Rule, message: &str) -> Option<(Option<CauseId>, String)> {
    let regex = rule.says.regex()?;
    let found = regex.captures(message.as_bytes())?;
    let mut hint = rule.hint.to_owned();
    for name in regex.capture_names().flatten() {
        let value = found.name(name).map_or("", |group| std::str::from_utf8(group.as_bytes()).unwrap_or("?"));
        hint = hint.replace(&format!("{{{name}}}"), value.trim());
    }
    Some((rule.cause, hint))
}

/// The directories of temporary files, by the names that dockerd, containerd and runc give these (Go `os.CreateTemp`).
fn temporary_dir(path: &str) -> Option<&str> {
    const NAMES: [&str; 5] =
        ["runc-process", "containerd-mount", "docker-import-", "docker-builder", "containerd-runc-"];
    if path == "/tmp" || path.starts_with("/tmp/") {
        return Some("/tmp");
    }
    let (dir, name) = path.rsplit_once('/')?;
    NAMES.iter().any(|prefix| name.starts_with(prefix)).then_some(dir)
}

/// By the path, the program or the system call of the innermost part.
fn by_reason(reason: &Reason, message: &str) -> Option<(CauseId, String)> {
    let errno = reason.errno?;
    if let Some(program) = &reason.program {
        return program_advice(program, errno, message);
    }
    let path = reason.path.as_deref();
    if let Some(dir) = path.and_then(temporary_dir) {
        return temporary(dir, errno);
    }
    if errno.is(&["ENOSPC", "EDQUOT"])
        && path.is_some_and(|path| !path.starts_with("/sys/") && !path.starts_with("/proc/"))
    {
        return Some((causes::DISK_FULL, on_path(errno, path?)?));
    }
    if errno.is(&["EROFS"])
        && path.is_some_and(|path| !path.starts_with("/sys/") && !path.starts_with("/proc/"))
    {
        return Some((causes::DATA_ROOT_READ_ONLY, on_path(errno, path?)?));
    }
    // A dangling link or a file stands where dockerd makes a directory of its own.
    if reason.operation == "mkdir" && errno.is(&["EEXIST", "ENOTDIR"]) {
        return Some((causes::DAEMON_PATH_UNUSABLE, on_path(errno, path?)?));
    }
    None
}

/// What to do about the directory of temporary files.
fn temporary(dir: &str, errno: Errno) -> Option<(CauseId, String)> {
    let unset = if dir == "/tmp" { String::new() } else { ", or start dockerd without TMPDIR".to_owned() };
    let (cause, todo) = match errno.name {
        "ENOENT" => (causes::TMP_NOT_WRITABLE, format!("{dir} does not exist: `mkdir -m 1777 {dir}`{unset}")),
        "ENOTDIR" | "EEXIST" => (
            causes::TMP_NOT_WRITABLE,
            format!("{dir} is no directory: `rm {dir} && mkdir -m 1777 {dir}`{unset}"),
        ),
        "EROFS" | "EACCES" | "EPERM" => (
            causes::TMP_NOT_WRITABLE,
            format!("{dir} cannot be written: `mount -t tmpfs tmpfs {dir}`{unset}"),
        ),
        "ENOSPC" | "EDQUOT" => {
            let see = format!("{dir} is full (`df -h {dir}; df -i {dir}`)");
            (causes::DISK_FULL, format!("{see}: free space in it, or `mount -t tmpfs tmpfs {dir}`{unset}"))
        }
        _ => return None,
    };
    Some((cause, todo))
}

/// The programs of an engine, each with its package and the cause of its absence.
const PROGRAMS: &[(&str, CauseId, &str)] = &[
    ("runc", causes::RUNC_PROGRAM_MISSING, "runc"),
    ("docker-runc", causes::RUNC_PROGRAM_MISSING, "runc"),
    ("containerd-shim-runc-v2", causes::CONTAINERD_SHIM_PROGRAM_MISSING, "containerd"),
    ("containerd", causes::CONTAINERD_PROGRAM_MISSING, "containerd"),
    ("docker-proxy", causes::DOCKER_PROXY_PROGRAM_MISSING, "docker.io, docker-ce"),
    ("docker-init", causes::DOCKER_INIT_PROGRAM_MISSING, "tini, docker-ce"),
];

/// What to do about a program that cannot be executed.
fn program_advice(program: &str, errno: Errno, message: &str) -> Option<(CauseId, String)> {
    let name = program.rsplit('/').next().unwrap_or(program);
    if let Some((_, missing, package)) = PROGRAMS.iter().find(|(known, ..)| *known == name) {
        return match errno.name {
            "ENOENT" => Some((
                *missing,
                format!(
                    "{program} is not found where dockerd looks (its PATH): install it (package {package})"
                ),
            )),
            "ENOEXEC" | "EACCES" | "EISDIR" | "ETXTBSY" => Some((
                causes::BINARY_NOT_RUNNABLE,
                format!(
                    "{program} cannot be executed ({}): install the one for this machine (package {package}; `uname -m`, `ls -l $(command -v {name})`)",
                    errno.words
                ),
            )),
            _ => None,
        };
    }
    // What containerd's shim says when it is the runtime that did not run.
    if message.contains("unable to retrieve OCI runtime error") {
        let hint = format!(
            "the program {program} of the runtime that dockerd is to use does not run ({}): correct its path in `runtimes` of /etc/docker/daemon.json, or set `\"default-runtime\": \"runc\"`, and restart dockerd",
            errno.words
        );
        return Some((causes::OCI_RUNTIME_PROGRAM_MISSING, hint));
    }
    let executable = causes::ENTRYPOINT_NOT_EXECUTABLE;
    Some(match errno.name {
        "ENOENT" => (
            executable,
            format!(
                "there is no {program} where it is to be executed (or not the interpreter in its first line): correct `ENTRYPOINT` or `CMD` of the image, or the path of the runtime in /etc/docker/daemon.json; for `--image` a command of the profile takes its place, `container: {{command: [\"/path/of/a/program\"]}}`"
            ),
        ),
        "EACCES" | "EISDIR" | "ETXTBSY" => (
            executable,
            format!(
                "{program} is no executable file ({}): `chmod +x {program}` and build the image again (`COPY --chmod=0755`), or start it through its interpreter",
                errno.words
            ),
        ),
        "ENOEXEC" => (
            causes::IMAGE_FOR_OTHER_ARCHITECTURE,
            format!(
                "{program} is built for another processor, or is a script without `#!`: pull or build it for this one (`--platform linux/$(uname -m)`), or add the first line `#!/bin/sh`"
            ),
        ),
        _ => return None,
    })
}

/// What an errno means for a path.
fn on_path(errno: Errno, path: &str) -> Option<String> {
    Some(match errno.name {
        "ENOENT" => format!("{path} does not exist where dockerd runs (`ls -ld {path}`): create it"),
        "ENOSPC" | "EDQUOT" => {
            format!(
                "the file system of {path} is full (`df -h {path}; df -i {path}`): enlarge it or free space in it"
            )
        }
        "EROFS" => format!(
            "{path} is on a file system that is mounted read-only (`findmnt -T {path}`): `mount -o remount,rw` its mount point, or start the outer container without `--read-only` or with a volume there"
        ),
        "EEXIST" => format!(
            "{path} is a symbolic link to nowhere or no directory (`ls -ld {path}`): `mkdir -p \"$(readlink -m {path})\"`, or remove it"
        ),
        "ENOTDIR" => format!(
            "{path} or what it is in is no directory (`ls -ld {path}`): name another path, or remove that file"
        ),
        "EACCES" | "EPERM" => {
            format!("look at the owner, mode and mount of {path} (`ls -ld {path}; findmnt -T {path}`)")
        }
        _ => return None,
    })
}

/// The system calls that a seccomp filter refuses and that Docker needs, by the words of runc, containerd and libnetwork.
const CALLS: &[(&str, &[&str])] = &[
    ("setns", &["setns"]),
    ("unshare", &["unshare"]),
    ("clone3", &["clone3", "pthread_create"]),
    ("clone", &["clone", "fork/exec"]),
    ("pivot_root", &["pivot_root"]),
    ("bpf", &["bpf_prog", "bpf("]),
    ("keyctl", &["session key", "keyctl", "keyring"]),
    ("umount2", &["umount", "unmount"]),
    ("mount", &["mount", "remount", "fsopen", "fsmount", "open_tree", "move_mount"]),
    ("openat2", &["openat2"]),
    ("sethostname", &["sethostname"]),
    ("mknod", &["mknod", "fifo"]),
    ("capset", &["capset", "caps", "capabilities", "bounding set"]),
    ("setgroups", &["setgroups"]),
    ("prctl", &["prctl"]),
];

impl Reason {
    /// The system call that was refused with an errno of seccomp filters (EPERM, ENOSYS), if the message names one.
    pub fn refused_call(&self) -> Option<&'static str> {
        self.failed_with(&["EPERM", "ENOSYS"]).then_some(())?;
        let named = |words: &[&str]| words.iter().any(|word| self.innermost.contains(word));
        CALLS.iter().find(|(_, words)| named(words)).map(|(call, _)| *call)
    }
}

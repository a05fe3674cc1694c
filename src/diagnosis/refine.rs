//! What does a line count for, given what stands around it?

use super::log::{Level, Record};
use super::matcher::Pattern;
use super::vocabulary::{self, CauseId};

/// Refused mounts and rules.
pub(super) const NOT_PRIVILEGED: CauseId = CauseId::new("outer-container-not-privileged");
/// Overlay in a user namespace.
pub(super) const IN_USER_NAMESPACE: CauseId = CauseId::new("overlay-in-user-namespace-unsupported");
const ON_OVERLAY: CauseId = CauseId::new("overlay-on-overlay-data-root");
const FILESYSTEM: CauseId = CauseId::new("data-root-filesystem-unsupported");

pub(super) fn index(id: CauseId) -> usize {
    vocabulary::all().iter().position(|cause| cause.id == id).unwrap_or(0)
}

/// Failures of a start that did not last: the daemon came up afterwards.
pub(super) const START_FAILURES: [CauseId; 4] = [
    CauseId::new("containerd-socket-not-answering"),
    CauseId::new("containerd-start-timeout"),
    CauseId::new("storage-driver-not-supported"),
    CauseId::new("stale-containerd-pid-file"),
];

/// Whether a cause is one of these.
pub(super) fn is_of_the_start(cause: usize) -> bool {
    START_FAILURES.contains(&vocabulary::all()[cause].id)
}

/// A refused overlay mount, which in a user namespace means that namespace.
pub(super) fn is_refused_overlay(cause: usize, text: &str) -> bool {
    let id = vocabulary::all()[cause].id;
    text.contains("overlay") && [NOT_PRIVILEGED, ON_OVERLAY, FILESYSTEM].contains(&id)
}

/// Whether the line speaks of a rootless daemon.
pub(super) fn is_rootless(text: &str) -> bool {
    ["rootless", "/.local/share/docker", "/run/user/"].iter().any(|word| text.contains(word))
}

static VERDICT: Pattern = Pattern::new(concat!(
    r"failed to start daemon|error starting daemon|error response from daemon|^apply failure|",
    r"error-response=.*(failed to create (shim )?task|oci runtime create failed|failed to start shim)"
));

/// Whether the line is a failure by its own account; a bare line counts, since nobody prints it otherwise.
pub(super) fn is_loud(record: &Record) -> bool {
    match record.level {
        Level::Error | Level::Fatal => true,
        Level::Unmarked => !WARNS.fits(record.text.as_bytes()),
        Level::Warning | Level::Quiet => VERDICT.fits(record.text.as_bytes()),
    }
}

static WARNS: Pattern = Pattern::new(r"^\[?(warn(ing)?|notice|info|debug)[\]:]");

static DAEMON: Pattern = Pattern::new(concat!(
    r"failed to start daemon|error starting daemon|failed to load listeners|error response from daemon|",
    r"^panic: |^fatal error: |oci runtime|runc create failed|returned error|daemon.*exited with|",
    r"\[rootlesskit:[a-z]+\] error|^dockerd: |\bdockerd\b.*(failed|error|cannot)"
));

/// An error of dockerd and its helpers, or of a request to it.
pub(super) fn is_failure_of_the_daemon(record: &Record) -> bool {
    match record.level {
        Level::Error | Level::Fatal => true,
        Level::Unmarked | Level::Warning | Level::Quiet => {
            is_loud(record) && DAEMON.fits(record.text.as_bytes())
        }
    }
}

static COMPLAINT: Pattern = Pattern::new(concat!(
    r"^([\w./-]+: )*(\W*(error|fatal)\b|failed\b|failure\b|panic\b|timed out |cannot |can.t |couldn.t |could not |unable to )|",
    r"\berror: |; not expected\)|entered fatal state|returned a non-zero code|unknown (shorthand )?flag|^flag provided but not defined|: (error|failed|fatal|cannot|can.t|unable)\b|",
    r"(permission denied|operation not permitted|command not found|no such file or directory|not found|segmentation fault",
    r"|core dumped\)?|connection refused|i/o timeout|read-only file system|invalid argument|device or resource busy)\.?$"
));

/// Something that reads like an error of whatever program.
pub(super) fn is_complaint(record: &Record) -> bool {
    record.level == Level::Unmarked && is_loud(record) && COMPLAINT.fits(record.text.as_bytes())
}

/// A message that plainly goes on in the next line: it ends in a colon, or quotes iptables, whose last
/// line says how it ended, or refuses a flag.
pub(super) fn goes_on(text: &str) -> bool {
    let end = text.trim_end();
    end.ends_with(':')
        || end.ends_with("failed to dial")
        || FLAG.fits(end.as_bytes())
        || (end.contains("iptables failed:") && !end.contains("(exit status"))
}

/// Whose flag it is stands in the next line: the daemon's or the client's.
static FLAG: Pattern = Pattern::new(
    r"^(unknown (shorthand )?flag|flag (needs an argument|provided but not defined)|invalid (argument|value) .* for .*flag)[^.]*$",
);

static BARE_STATUS: Pattern = Pattern::new(r"(^|error: )exit status \d+$");

/// A first line that says no more than that something ended; what did stands in the next.
pub(super) fn is_bare_status(text: &str) -> bool {
    BARE_STATUS.fits(text.as_bytes())
}

static MIDDLE: Pattern = Pattern::new(r"^(\(|[a-z-][^:]* )");
static BEGINS: Pattern = Pattern::new(
    r"^([\w./-]+(\[\d+\])?:( |$)|(error|failed|failure|fatal|panic|cannot|can.t|could|couldn.t|unable|goroutine|time=|level=)\b|- )",
);

/// Whether a bare line reads like the middle of a sentence that a page or a terminal has broken.
pub(super) fn is_middle(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|first| !first.is_ascii_uppercase())
        && MIDDLE.fits(bytes)
        && !BEGINS.fits(bytes)
}

/// Whether the daemon says that it was told to stop.
pub(super) fn is_told_to_stop(text: &str) -> bool {
    text.starts_with("Processing signal")
}

/// Whether a CI runner says that the whole job went well.
pub(super) fn is_success(text: &str) -> bool {
    text.trim() == "Job succeeded"
}

/// The explanation that hack/dind gives for a refused mount that does not matter.
pub(super) fn takes_back(text: &str) -> bool {
    text.contains("Could not mount /sys/kernel/security")
}

/// A crash of a program, which is the client's plugin or another.
pub(super) const CRASH: CauseId = CauseId::new("client-plugin-crash");

/// Whose crash it is, by the packages of its trace; `unknown` for the daemon's own.
pub(super) fn crashed(text: &str) -> Option<CauseId> {
    let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if any(&["docker/buildx", "docker/compose", "docker/cli", "cli-plugins"]) {
        Some(CRASH)
    } else if any(&["containerd/containerd", "etcd-io/bbolt", "go.etcd.io/bbolt", "boltdb/bolt"]) {
        Some(CauseId::new("containerd-crashed"))
    } else {
        any(&["docker/docker", "moby/moby"]).then_some(vocabulary::UNKNOWN)
    }
}

/// A refused mount, in the words of mount(8).
pub(super) fn is_mount(text: &str) -> bool {
    text.starts_with("mount: ") || text.contains(" mount: ")
}

static DRIVER: Pattern = Pattern::new(r"(?:storage-driver|graphdriver(?:\(s\))?)=([a-z0-9-]+)");

/// The storage driver with which the daemon says that it runs.
pub(super) fn chosen_driver(text: &str) -> Option<String> {
    if !text.starts_with("Docker daemon") {
        return None;
    }
    let found = DRIVER.regex()?.captures(text.as_bytes())?.get(1)?;
    String::from_utf8(found.as_bytes().to_vec()).ok()
}

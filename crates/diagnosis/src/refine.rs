//! Decides how much a line counts: a failure, a complaint, a message that continues, a sign of how far dockerd came.

use super::log::{Level, Record};
use super::matcher::Pattern;
use super::vocabulary::{CauseId, causes};

/// Start failures that a later start of the daemon makes void.
pub(super) const START_FAILURES: [CauseId; 4] = [
    causes::CONTAINERD_SOCKET_NOT_ANSWERING,
    causes::CONTAINERD_START_TIMEOUT,
    causes::STORAGE_DRIVER_NOT_SUPPORTED,
    causes::STALE_CONTAINERD_PID_FILE,
];

/// Whether a cause is one of them.
pub(super) fn is_start_failure(cause: CauseId) -> bool {
    START_FAILURES.contains(&cause)
}

/// A refused overlay mount; in a user namespace, that namespace is what refuses it.
pub(super) fn is_refused_overlay(cause: CauseId, text: &str) -> bool {
    const REFUSED: [CauseId; 3] = [
        causes::OUTER_CONTAINER_NOT_PRIVILEGED,
        causes::OVERLAY_ON_OVERLAY_DATA_ROOT,
        causes::DATA_ROOT_FILESYSTEM_UNSUPPORTED,
    ];
    text.contains("overlay") && REFUSED.contains(&cause)
}

/// Whether the line is about a rootless daemon.
pub(super) fn is_rootless(text: &str) -> bool {
    ["rootless", "/.local/share/docker", "/run/user/"].iter().any(|word| text.contains(word))
}

static VERDICT: Pattern = Pattern::new(concat!(
    r"failed to start daemon|error starting daemon|error response from daemon|^apply failure|",
    r"error-response=.*(failed to create (shim )?task|oci runtime create failed|failed to start shim)"
));

/// Whether the line reports a failure. A bare line counts: programs print one only when something is wrong.
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

/// Text in the form of an error, of any program.
pub(super) fn is_complaint(record: &Record) -> bool {
    record.level == Level::Unmarked && is_loud(record) && COMPLAINT.fits(record.text.as_bytes())
}

/// A message that continues in the next line: it ends in a colon, quotes iptables without the exit status of its
/// last line, or refuses a flag.
pub(super) fn continues(text: &str) -> bool {
    let end = text.trim_end();
    end.ends_with(':')
        || end.ends_with("failed to dial")
        || FLAG.fits(end.as_bytes())
        || (end.contains("iptables failed:") && !end.contains("(exit status"))
}

/// The next line says whether the flag is the daemon's or the client's.
static FLAG: Pattern = Pattern::new(
    r"^(unknown (shorthand )?flag|flag (needs an argument|provided but not defined)|invalid (argument|value) .* for .*flag)[^.]*$",
);

static BARE_STATUS: Pattern = Pattern::new(r"(^|error: )exit status \d+$");

/// A line that only has an exit status; the next one names the program.
pub(super) fn is_bare_status(text: &str) -> bool {
    BARE_STATUS.fits(text.as_bytes())
}

static MIDDLE: Pattern = Pattern::new(r"^(\(|[a-z-][^:]* )");
static BEGINS: Pattern = Pattern::new(
    r"^([\w./-]+(\[\d+\])?:( |$)|(error|failed|failure|fatal|panic|cannot|can.t|could|couldn.t|unable|goroutine|time=|level=)\b|- )",
);

/// Whether a bare line is in the form of the middle of a sentence, which a page or a terminal has wrapped.
pub(super) fn is_middle(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|first| !first.is_ascii_uppercase())
        && MIDDLE.fits(bytes)
        && !BEGINS.fits(bytes)
}

/// Whether the daemon logs a signal that stops it.
pub(super) fn is_stop_signal(text: &str) -> bool {
    text.starts_with("Processing signal")
}

/// Whether a CI runner reports that the whole job succeeded.
pub(super) fn is_success(text: &str) -> bool {
    text.trim() == "Job succeeded"
}

/// The message of hack/dind after a refused mount that does not matter.
pub(super) fn retracts_mount(text: &str) -> bool {
    text.contains("Could not mount /sys/kernel/security")
}

/// The cause of a crash, by the Go packages of its trace; `unknown` for the daemon's own.
pub(super) fn crashed(text: &str) -> Option<CauseId> {
    let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if any(&["docker/buildx", "docker/compose", "docker/cli", "cli-plugins"]) {
        Some(causes::CLIENT_PLUGIN_CRASH)
    } else if any(&["containerd/containerd", "etcd-io/bbolt", "go.etcd.io/bbolt", "boltdb/bolt"]) {
        Some(causes::CONTAINERD_CRASHED)
    } else {
        any(&["docker/docker", "moby/moby"]).then_some(causes::UNKNOWN)
    }
}

/// A message of mount(8).
pub(super) fn is_mount(text: &str) -> bool {
    text.starts_with("mount: ") || text.contains(" mount: ")
}

static DRIVER: Pattern = Pattern::new(r"(?:storage-driver|graphdriver(?:\(s\))?)=([a-z0-9-]+)");

/// The storage driver that the daemon logs at its start.
pub(super) fn chosen_driver(text: &str) -> Option<String> {
    if !text.starts_with("Docker daemon") {
        return None;
    }
    let found = DRIVER.regex()?.captures(text.as_bytes())?.get(1)?;
    String::from_utf8(found.as_bytes().to_vec()).ok()
}

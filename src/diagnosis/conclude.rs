//! Which of the things seen is the root cause?
//!
//! A cause that a failure names beats what only came of it; of several the first in the log wins, because
//! dockerd stops at its first failure. What came of a failure explains a log in which nothing else does.

use super::Diagnosis;
use super::ledger::{Evidence, Ledger, LogLine};
use super::refine::{self, IN_USER_NAMESPACE, NOT_PRIVILEGED, index};
use super::vocabulary::{self, Cause, CauseId, NO_ERROR_FOUND, UNKNOWN};

/// Overlay did not work, which does not matter if another copy-on-write driver took over.
const OVERLAY: [CauseId; 5] = [
    CauseId::new("overlay-on-overlay-data-root"),
    CauseId::new("overlay-in-user-namespace-unsupported"),
    CauseId::new("data-root-filesystem-unsupported"),
    CauseId::new("kernel-lacks-overlayfs"),
    CauseId::new("xfs-without-d-type"),
];

/// What comes of a failure, from telling to empty.
const CONSEQUENCES: [CauseId; 13] = [
    CauseId::new("stale-containerd-pid-file"),
    CauseId::new("loop-devices-unavailable"),
    CauseId::new("fuse-overlayfs-program-missing"),
    CauseId::new("storage-driver-not-supported"),
    CauseId::new("containerd-start-timeout"),
    CauseId::new("containerd-socket-not-answering"),
    CauseId::new("dns-resolver-not-answering"),
    CauseId::new("container-outbound-network-unreachable"),
    CauseId::new("client-tls-certificate-mismatch"),
    CauseId::new("client-tls-port-mismatch"),
    CauseId::new("client-wrong-docker-host"),
    CauseId::new("outer-container-not-privileged"),
    CauseId::new("daemon-not-reachable"),
];

/// Only the client speaks, so an error of the daemon says more.
const CLIENTS: usize = 8;

type Found = (usize, LogLine);

/// Concludes from what has been seen so far.
pub(super) fn conclude(ledger: &Ledger) -> Diagnosis {
    let unexplained = ledger.unexplained_errors().min_by_key(|line| line.line);
    let unknown = |line: &LogLine| (index(UNKNOWN), line.clone());
    let daemon = consequence(ledger, 0..CLIENTS).or_else(|| unexplained.map(unknown));
    let found = wsl1(ledger)
        .or_else(|| root(ledger))
        .or_else(|| daemon.map(|failure| warned(ledger, &failure.1).unwrap_or(failure)))
        .or_else(|| consequence(ledger, CLIENTS..CONSEQUENCES.len()))
        .or_else(|| ledger.complaint.as_ref().map(unknown));
    match found {
        Some((cause, first)) => failure(ledger, &vocabulary::all()[cause], first),
        None => healthy(ledger),
    }
}

/// On WSL 1 nothing works, so the first complaint of whatever kind is the first error.
fn wsl1(ledger: &Ledger) -> Option<Found> {
    let named = ledger.wsl1.as_ref()?;
    let warnings = ledger.noise.iter().map(|noise| LogLine { line: noise.line, text: noise.text.clone() });
    let first = warnings.chain(ledger.errors.iter().chain([named]).cloned()).min_by_key(|line| line.line)?;
    Some((index(CauseId::new("wsl1-kernel-unsupported")), first))
}

/// The cause that a failure names.
fn root(ledger: &Ledger) -> Option<Found> {
    let named = |cause: &usize, evidence: &Evidence| Some((*cause, evidence.loud.clone()?));
    let all = ledger.evidence.iter().filter_map(|(cause, evidence)| named(cause, evidence));
    let (cause, line) =
        all.filter(|(cause, _)| counts(ledger, *cause)).min_by_key(|(cause, line)| (line.line, *cause))?;
    let cause = overruled(ledger, cause, &line);
    Some((cause, earliest(ledger, cause, line)))
}

/// A failed overlay mount counts unless another driver than vfs took over.
fn counts(ledger: &Ledger, cause: usize) -> bool {
    let id = vocabulary::all()[cause].id;
    !(OVERLAY.contains(&id) && ledger.chosen_driver.as_deref().is_some_and(|driver| driver != "vfs"))
}

/// Where other things are refused too, it is not one capability that lacks; in a user namespace a refused
/// overlay mount is that namespace's doing.
fn overruled(ledger: &Ledger, cause: usize, line: &LogLine) -> usize {
    let is = |name: &'static str| vocabulary::all()[cause].id == CauseId::new(name);
    let refused = index(NOT_PRIVILEGED);
    if is("net-admin-capability-missing") && ledger.evidence.contains_key(&refused) {
        refused
    } else if ledger.rootless && refine::is_refused_overlay(cause, &line.text) {
        index(IN_USER_NAMESPACE)
    } else {
        cause
    }
}

/// The cause may have shown as a warning before it was a failure.
fn earliest(ledger: &Ledger, cause: usize, line: LogLine) -> LogLine {
    let Some(evidence) = ledger.evidence.get(&cause) else { return line };
    let seen = [&evidence.loud, &evidence.warned, &evidence.quiet].into_iter().flatten();
    seen.cloned()
        .chain([line])
        .min_by_key(|line| line.line)
        .unwrap_or_else(|| LogLine { line: 0, text: String::new() })
}

/// What came of a failure that the log does not name.
fn consequence(ledger: &Ledger, which: std::ops::Range<usize>) -> Option<Found> {
    CONSEQUENCES[which].iter().find_map(|&id| {
        let cause = index(id);
        Some((cause, ledger.evidence.get(&cause)?.weak.clone()?))
    })
}

/// A warning before the failure names a cause, which the failure itself does not.
fn warned(ledger: &Ledger, failure: &LogLine) -> Option<Found> {
    let warning = |(cause, evidence): (&usize, &Evidence)| Some((*cause, evidence.warned.clone()?));
    let before = |(_, line): &Found| line.line < failure.line;
    ledger.evidence.iter().filter_map(warning).filter(before).min_by_key(|(_, line)| line.line)
}

fn failure(ledger: &Ledger, cause: &'static Cause, first: LogLine) -> Diagnosis {
    let later = ledger.errors.iter().chain(&ledger.last_error).filter(|error| error.line > first.line);
    let mut consequences: Vec<LogLine> = later.cloned().collect();
    consequences.dedup();
    let last_error = ledger.last_error.clone().or_else(|| Some(first.clone()));
    Diagnosis {
        cause,
        hint: hint(cause),
        first_error: Some(first),
        last_error,
        consequences,
        ignored_noise: ledger.noise.clone(),
    }
}

fn hint(cause: &Cause) -> Option<String> {
    let others = cause.neighbours.join(", ");
    (!others.is_empty()).then(|| format!("this log alone does not rule out: {others}"))
}

fn healthy(ledger: &Ledger) -> Diagnosis {
    let cause = vocabulary::cause(NO_ERROR_FOUND);
    let ignored_noise = ledger.noise.clone();
    Diagnosis {
        cause,
        first_error: None,
        last_error: None,
        consequences: Vec::new(),
        ignored_noise,
        hint: None,
    }
}

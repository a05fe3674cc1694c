//! Concludes from the state of a log which failure is the root cause.
//!
//! A cause that a failure names ranks above a mere consequence; of several the first in the log wins, because
//! dockerd stops at its first failure. A consequence is the answer where a log names nothing else.

use super::Diagnosis;
use super::log_state::{Evidence, LogLine, LogState};
use super::refine;
use super::vocabulary::{self, CauseId, causes};

/// Overlay did not work, which does not matter if another copy-on-write driver took over.
const OVERLAY: [CauseId; 5] = [
    causes::OVERLAY_ON_OVERLAY_DATA_ROOT,
    causes::OVERLAY_IN_USER_NAMESPACE_UNSUPPORTED,
    causes::DATA_ROOT_FILESYSTEM_UNSUPPORTED,
    causes::KERNEL_LACKS_OVERLAYFS,
    causes::XFS_WITHOUT_D_TYPE,
];

/// Consequences that the daemon reports, the most specific first.
const OF_THE_DAEMON: [CauseId; 8] = [
    causes::STALE_CONTAINERD_PID_FILE,
    causes::LOOP_DEVICES_UNAVAILABLE,
    causes::FUSE_OVERLAYFS_PROGRAM_MISSING,
    causes::STORAGE_DRIVER_NOT_SUPPORTED,
    causes::CONTAINERD_START_TIMEOUT,
    causes::CONTAINERD_SOCKET_NOT_ANSWERING,
    causes::DNS_RESOLVER_NOT_ANSWERING,
    causes::CONTAINER_OUTBOUND_NETWORK_UNREACHABLE,
];

/// Consequences that only the client reports, so that any error of the daemon ranks above them.
const OF_THE_CLIENT: [CauseId; 5] = [
    causes::CLIENT_TLS_CERTIFICATE_MISMATCH,
    causes::CLIENT_TLS_PORT_MISMATCH,
    causes::CLIENT_WRONG_DOCKER_HOST,
    causes::OUTER_CONTAINER_NOT_PRIVILEGED,
    causes::DAEMON_NOT_REACHABLE,
];

type Found = (CauseId, LogLine);

/// Concludes from what the log has shown so far.
pub(super) fn conclude(state: &LogState) -> Diagnosis {
    let unexplained = state.unexplained_errors().min_by_key(|line| line.line);
    let unknown = |line: &LogLine| (causes::UNKNOWN, line.clone());
    let daemon = consequence(state, &OF_THE_DAEMON).or_else(|| unexplained.map(unknown));
    let found = wsl1(state)
        .or_else(|| root(state))
        .or_else(|| daemon.map(|failure| warned(state, &failure.1).unwrap_or(failure)))
        .or_else(|| consequence(state, &OF_THE_CLIENT))
        .or_else(|| state.complaint.as_ref().map(unknown));
    match found {
        Some((cause, first)) => failure(state, cause, first),
        None => healthy(state),
    }
}

/// On WSL 1 nothing works, so the first complaint of whatever kind is the first error.
fn wsl1(state: &LogState) -> Option<Found> {
    let named = state.wsl1.as_ref()?;
    let warnings = state.noise.iter().map(|noise| LogLine { line: noise.line, text: noise.text.clone() });
    let first = warnings.chain(state.errors.iter().chain([named]).cloned()).min_by_key(|line| line.line)?;
    Some((causes::WSL1_KERNEL_UNSUPPORTED, first))
}

/// The cause that a failure names.
fn root(state: &LogState) -> Option<Found> {
    let named = |cause: &CauseId, evidence: &Evidence| Some((*cause, evidence.loud.clone()?));
    let all = state.evidence.iter().filter_map(|(cause, evidence)| named(cause, evidence));
    let (cause, line) =
        all.filter(|(cause, _)| counts(state, *cause)).min_by_key(|(cause, line)| (line.line, *cause))?;
    let cause = overruled(state, cause, &line);
    Some((cause, earliest(state, cause, line)))
}

/// A failed overlay mount counts unless another driver than vfs took over.
fn counts(state: &LogState, cause: CauseId) -> bool {
    !(OVERLAY.contains(&cause) && state.chosen_driver.as_deref().is_some_and(|driver| driver != "vfs"))
}

/// Where other operations are refused too, more than one capability is missing; a refused overlay mount in a user
/// namespace comes from that namespace.
fn overruled(state: &LogState, cause: CauseId, line: &LogLine) -> CauseId {
    let refused = causes::OUTER_CONTAINER_NOT_PRIVILEGED;
    if cause == causes::NET_ADMIN_CAPABILITY_MISSING && state.evidence.contains_key(&refused) {
        refused
    } else if state.rootless && refine::is_refused_overlay(cause, &line.text) {
        causes::OVERLAY_IN_USER_NAMESPACE_UNSUPPORTED
    } else {
        cause
    }
}

/// The first line of a cause, which may have been a warning before it was a failure.
fn earliest(state: &LogState, cause: CauseId, line: LogLine) -> LogLine {
    let Some(evidence) = state.evidence.get(&cause) else { return line };
    let seen = [&evidence.loud, &evidence.warned, &evidence.quiet].into_iter().flatten();
    seen.min_by_key(|seen| seen.line).filter(|seen| seen.line <= line.line).cloned().unwrap_or(line)
}

/// The first of these consequences whose own cause the log does not name.
fn consequence(state: &LogState, which: &[CauseId]) -> Option<Found> {
    which.iter().find_map(|cause| Some((*cause, state.evidence.get(cause)?.weak.clone()?)))
}

/// A warning before the failure that names a cause where the failure itself does not.
fn warned(state: &LogState, failure: &LogLine) -> Option<Found> {
    let warning = |(cause, evidence): (&CauseId, &Evidence)| Some((*cause, evidence.warned.clone()?));
    let before = |(_, line): &Found| line.line < failure.line;
    let warnings = state.evidence.iter().filter_map(warning).filter(before);
    warnings.min_by_key(|(cause, line)| (line.line, *cause))
}

fn failure(state: &LogState, cause: CauseId, first: LogLine) -> Diagnosis {
    let later = state.errors.iter().chain(&state.last_error).filter(|error| error.line > first.line);
    let mut consequences: Vec<LogLine> = later.cloned().collect();
    consequences.dedup();
    let last_error = state.last_error.clone().or_else(|| Some(first.clone()));
    Diagnosis {
        cause: vocabulary::cause(cause),
        hint: hint(cause),
        first_error: Some(first),
        last_error,
        consequences,
        ignored_noise: state.noise.clone(),
    }
}

fn hint(cause: CauseId) -> Option<String> {
    let others: Vec<&str> = vocabulary::cause(cause).neighbours.iter().map(|other| other.as_str()).collect();
    (!others.is_empty()).then(|| format!("this log alone does not rule out: {}", others.join(", ")))
}

fn healthy(state: &LogState) -> Diagnosis {
    Diagnosis {
        cause: vocabulary::cause(causes::NO_ERROR_FOUND),
        first_error: None,
        last_error: None,
        consequences: Vec::new(),
        ignored_noise: state.noise.clone(),
        hint: None,
    }
}

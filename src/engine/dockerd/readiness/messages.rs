//! The findings about a daemon that did not become ready.

use super::log::Log;
use super::{Attempt, Wait, WatchedDaemon};
use crate::diagnosis::causes;
use crate::engine::docker::error::EngineError;
use crate::engine::docker::http::Answer;
use crate::engine::docker::tls::Fault;
use crate::engine::docker::unreached::Unreached;
use crate::finding::Finding;
use crate::text::{mebibytes, seconds};

/// The evidence of how many processes may start a daemon.
pub const STARTERS: &str = "starters";

impl Wait<'_> {
    /// The daemon ended: by the first error of its log.
    pub(super) fn death(&self, dead: WatchedDaemon) -> Finding {
        let what = format!("dockerd, process {}, ended before it served", dead.id.pid);
        let path = dead.log.as_ref().map(|log| log.path.clone());
        let log = dead.log.map(Log::judge).unwrap_or_default();
        let (cause, what) = match log.first_error {
            Some((cause, text)) => (cause, format!("{what}: {text}")),
            None => (causes::DAEMON_EXITED, what),
        };
        let mut finding = Finding::fail(cause, what).with("after", seconds(self.began.elapsed()));
        if log.unread > 0 {
            finding = finding.with("log_unread", mebibytes(log.unread));
        }
        match path {
            Some(path) => finding.with("log", path.display()),
            None => finding.hint(
                "its log cannot be read here; start it with `dockerd >FILE 2>&1`, or see where its log goes",
            ),
        }
    }

    /// No daemon runs, and no process that could start one.
    pub(super) fn no_starter(&self, attempt: &Attempt) -> Finding {
        let endpoint = &self.request.endpoint;
        let hint = "start one (`dindcheck verify --keep-daemon` does, or reports why it cannot); if it runs in another container, pass `--elsewhere`";
        let finding = if attempt.refused.get() {
            let what = format!(
                "{endpoint} is a socket that a daemon left, and no process here is or starts a dockerd"
            );
            Finding::fail(causes::STALE_SOCKET, what)
        } else {
            let what = format!("{endpoint} is missing, and no process here is or starts a dockerd");
            Finding::fail(causes::DAEMON_NOT_REACHABLE, what)
        };
        finding.with("endpoint", endpoint).with(STARTERS, 0).hint(hint)
    }

    /// The timeout is over.
    pub(super) fn timed_out(&self, attempt: &Attempt) -> Finding {
        let (endpoint, waited) = (&self.request.endpoint, seconds(self.request.timeout));
        let finding = if attempt.listening.get() {
            let what = format!("{endpoint} accepts connections and did not answer within {waited}");
            Finding::fail(causes::DAEMON_HANGS, what)
        } else {
            self.unanswered(attempt, &format!("nothing answered at {endpoint} within {waited}"))
        };
        let finding = finding.with("endpoint", endpoint);
        self.daemons.iter().fold(finding, |finding, daemon| finding.with("dockerd", daemon.id.pid))
    }

    /// Nobody accepted a connection. Of a daemon behind TCP nothing but that is known; one that can be seen here may only
    /// be slow.
    fn unanswered(&self, attempt: &Attempt, what: &str) -> Finding {
        let remote = self.request.is_remote();
        let silent = || remote.then(|| Unreached::silent(&self.request.endpoint));
        let Some(why) = attempt.why.borrow().clone().or_else(silent) else {
            return Finding::fail(causes::DAEMON_START_TIMEOUT, what);
        };
        let cause = if remote { why.cause } else { causes::DAEMON_START_TIMEOUT };
        let finding = Finding::fail(cause, format!("{what}: {}", why.reason));
        // What runs here and does not listen yet needs time, and no other address.
        let hint = why.hint.filter(|_| self.daemons.is_empty());
        hint.into_iter().fold(finding, Finding::hint)
    }

    /// TLS failed.
    pub(super) fn tls_failure(&self, fault: &Fault) -> anyhow::Result<Finding> {
        fault.finding(format!("{}: {fault}", self.request.endpoint), &self.request.endpoint)
    }

    /// Something answers that is not a serving daemon.
    pub(super) fn refusal(&self, answer: &Answer) -> anyhow::Result<Finding> {
        if answer.wants_tls() {
            return self.tls_failure(&Fault::Wanted);
        }
        let refused = EngineError::Refused {
            doing: "ping the daemon".to_owned(),
            status: answer.status,
            message: answer.message(),
        };
        let cause = causes::DAEMON_NOT_REACHABLE;
        Ok(refused.into_finding(cause, cause)?.with("endpoint", &self.request.endpoint))
    }
}

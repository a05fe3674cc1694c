//! What is said of a daemon that did not come?

use super::log::Log;
use super::{Reach, Seen, Wait};
use crate::diagnosis::causes;
use crate::engine::docker::error::EngineError;
use crate::engine::docker::http::Answer;
use crate::engine::docker::tls::Fault;
use crate::finding::Finding;
use crate::text::seconds;

impl Wait<'_> {
    /// A daemon that was there and is not any more, in the words of its log.
    pub(super) fn death(&self, dead: Seen) -> Finding {
        let what = format!("dockerd, process {}, ended before it served", dead.id.pid);
        let path = dead.log.as_ref().map(|log| log.path.clone());
        let (cause, what) = match dead.log.and_then(Log::first_error) {
            Some((cause, text)) => (cause, format!("{what}: {text}")),
            None => (causes::DAEMON_EXITED, what),
        };
        let finding = Finding::fail(cause, what).with("after", seconds(self.began.elapsed()));
        match path {
            Some(path) => finding.with("log", path.display()),
            None => finding.hint("nothing of its log can be read here; start it with `dockerd >FILE 2>&1`, or see where its log goes"),
        }
    }

    /// Nobody is there, and nobody who could make it come.
    pub(super) fn nobody(&self, reach: &Reach) -> Finding {
        let endpoint = &self.wanted.endpoint;
        let hint = "start one (`dindcheck verify --keep-daemon` does, and tells why it cannot); if it runs in another container, say `--elsewhere`";
        let finding = if reach.refused.get() {
            let what =
                format!("{endpoint} is a socket that a daemon left, and no process here is or starts one");
            Finding::fail(causes::STALE_SOCKET, what)
        } else {
            let what = format!("{endpoint} is not there, and no process here is or starts a dockerd");
            Finding::fail(causes::DAEMON_NOT_REACHABLE, what)
        };
        finding.with("endpoint", endpoint).hint(hint)
    }

    /// The time is over.
    pub(super) fn late(&self, reach: &Reach) -> Finding {
        let (endpoint, waited) = (&self.wanted.endpoint, seconds(self.wanted.timeout));
        let (cause, what) = if reach.listening.get() {
            (
                causes::DAEMON_HANGS,
                format!("{endpoint} accepts connections and did not answer within {waited}"),
            )
        } else {
            (causes::DAEMON_START_TIMEOUT, format!("nothing answered at {endpoint} within {waited}"))
        };
        let finding = Finding::fail(cause, what).with("endpoint", endpoint);
        self.daemons.iter().fold(finding, |finding, seen| finding.with("dockerd", seen.id.pid))
    }

    /// TLS is in the way.
    pub(super) fn no_tls(&self, fault: &Fault) -> anyhow::Result<Finding> {
        fault.finding(format!("{}: {fault}", self.wanted.endpoint), &self.wanted.endpoint)
    }

    /// Somebody answers, and it is no daemon that serves.
    pub(super) fn refusal(&self, said: &Answer) -> anyhow::Result<Finding> {
        if said.wants_tls() {
            return self.no_tls(&Fault::Wanted);
        }
        let refused = EngineError::Refused {
            doing: "ask for a sign of life".to_owned(),
            status: said.status,
            message: said.message(),
        };
        let cause = causes::DAEMON_NOT_REACHABLE;
        Ok(refused.into_finding(cause, cause)?.with("endpoint", &self.wanted.endpoint))
    }
}

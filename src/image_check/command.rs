//! An image whose command starts no daemon: what is said of it instead of a daemon that failed.

use serde_json::json;

use super::request::ImageRequest;
use super::{GRACE_SECONDS, ImageResult, OuterDaemon};
use crate::diagnosis::causes;
use crate::engine::EngineResult;
use crate::finding::quoted_text;

/// What dockerd writes first of all (moby `cmd/dockerd/daemon.go`).
const FIRST_WORDS: &[u8] = b"Starting up";

/// How a container ended up without a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It was checked with its daemon.
    Checked,
    /// Its daemon did not become ready.
    NotReady,
    /// It runs, and no process in it is a dockerd or may start one.
    NoStarter,
    /// It ended with this exit code.
    Ended(i64),
}

impl End {
    /// Why the command is taken for one that starts no daemon; `None` where it may have started one.
    fn without_daemon(self, log: &[u8]) -> Option<String> {
        if memchr::memmem::find(log, FIRST_WORDS).is_some() {
            return None;
        }
        match self {
            Self::NoStarter => Some(format!(
                "after {GRACE_SECONDS} s no process in the container is a dockerd or starts one"
            )),
            // Whatever fails before it starts a daemon ends with another code.
            Self::Ended(0) => Some("it ended with exit code 0".to_owned()),
            _ => None,
        }
    }
}

impl OuterDaemon<'_> {
    /// The command of a container: its entrypoint and arguments.
    pub(super) async fn command(&self, id: &str) -> EngineResult<Vec<String>> {
        let looked = self.docker.inspect_container(id, None).await;
        let seen = looked.map_err(self.failed("look at the container's command"))?;
        Ok(seen.path.into_iter().chain(seen.args.into_iter().flatten()).collect())
    }
}

impl ImageResult {
    /// Says that the command starts no daemon, where it ended up so.
    pub(super) fn explain(&mut self, end: End, command: &[String], log: &[u8], request: &ImageRequest) {
        let Some(why) = end.without_daemon(log).filter(|_| self.log.is_none()) else { return };
        let command = command.iter().map(|word| quoted_text(word)).collect::<Vec<_>>().join(" ");
        let volumes: String =
            request.volumes.iter().map(|volume| format!("-v {} ", quoted_text(volume))).collect();
        let remedy = format!(
            "`dindcheck image --replace-entrypoint {volumes}{}` checks it with a dockerd that dindcheck starts; as it is \
             shipped, let its command start dockerd",
            self.image
        );
        self.first_failure = Some(json!({
            "step": "daemon-start", "cause": causes::IMAGE_STARTS_NO_DAEMON,
            "what": format!("its command `{command}` starts no daemon: {why}"), "remedy": remedy,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_that_may_have_started_a_daemon_is_not_blamed() {
        let silent = End::Ended(0).without_daemon(b"hello\n");
        assert_eq!(silent.as_deref(), Some("it ended with exit code 0"));
        assert!(End::NoStarter.without_daemon(b"").unwrap().starts_with("after 5 s no process"));
        let started = b"time=\"x\" level=info msg=\"Starting up\"\n";
        for (end, log) in [
            (End::Ended(0), &started[..]),
            (End::NoStarter, started),
            (End::Ended(3), b""),
            (End::NotReady, b""),
            (End::Checked, b""),
        ] {
            assert_eq!(end.without_daemon(log), None, "{end:?}");
        }
    }
}

//! The finding about a container that did not run to its end, from its stage and the message of the runtime.

use crate::diagnosis::reason::{self, Advice};
use crate::diagnosis::{CauseId, causes};
use crate::engine::{EngineError, Stage};
use crate::finding::Finding;

/// The causes of a program that is there and does not start, or is missing in the image.
const UNRUNNABLE: [CauseId; 3] =
    [causes::ENTRYPOINT_NOT_EXECUTABLE, causes::IMAGE_FOR_OTHER_ARCHITECTURE, causes::BINARY_NOT_RUNNABLE];

/// What the message of a program that cannot be executed means: of runc (`exec: "/x": stat /x: no such file or directory`), or
/// the last line of its init, which the container prints (`exec /x: exec format error`). `None` if it is no such message.
pub fn unrunnable(text: &str) -> Option<Advice> {
    let last = text.trim().lines().next_back().unwrap_or_default();
    let advice = reason::advise(last);
    Some(advice).filter(|advice| advice.cause.is_some_and(|cause| UNRUNNABLE.contains(&cause)))
}

/// The finding on a container that did not run to its end. `refused` is the cause if nobody knows the message.
pub fn failure(stage: Stage, error: EngineError, refused: CauseId) -> anyhow::Result<Finding> {
    let late = if stage == Stage::Create { causes::DAEMON_HANGS } else { causes::CONTAINER_TIMEOUT };
    error.into_finding(refused, late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_about_a_program_that_cannot_be_executed_have_causes() {
        let cause = |text: &str| unrunnable(text).and_then(|advice| advice.cause).map(CauseId::as_str);
        for text in [
            "OCI runtime create failed: container_linux.go:380: exec: \"/x\": permission denied: unknown",
            "error during container init: exec: \"/nothing\": stat /nothing: no such file or directory",
            "exec: \"x\": executable file not found in $PATH: unknown",
            "exec /x: no such file or directory\n",
            "standard_init_linux.go:228: exec user process caused: no such file or directory",
        ] {
            assert_eq!(cause(text), Some("entrypoint-not-executable"), "{text}");
        }
        assert_eq!(cause("exec /x: exec format error\n"), Some("image-for-other-architecture"));
        assert_eq!(cause("mkdir /volumes: no such file or directory"), None);
    }

    #[test]
    fn refusal_has_the_cause_of_its_message_or_of_the_step() {
        let cause = |message: &str| {
            let error = EngineError::Refused { doing: "start".into(), status: 500, message: message.into() };
            let finding = failure(Stage::Start, error, causes::CONTAINER_START_FAILED).unwrap();
            finding.cause.unwrap().as_str()
        };
        let proxy =
            "failed to start userland proxy: fork/exec /usr/sbin/docker-proxy: no such file or directory";
        assert_eq!(cause(proxy), "docker-proxy-program-missing");
        assert_eq!(
            cause("exec: \"docker-proxy\": executable file not found in $PATH"),
            "docker-proxy-program-missing"
        );
        let gone = "OCI runtime create failed: unable to retrieve OCI runtime error (open /x/log.json: no such file or \
                    directory): exec: \"runc\": executable file not found in $PATH: unknown";
        assert_eq!(cause(gone), "runc-program-missing");
        let dead = "connection error: desc = \"transport: Error while dialing dial unix /var/run/docker/containerd/\
                    containerd.sock: connect: connection refused\": unavailable";
        for of_transport in [
            dead,
            "connection closed: unavailable",
            "transport is closing: unavailable",
            "error reading from server: EOF: unavailable",
        ] {
            assert_eq!(cause(of_transport), "containerd-crashed", "{of_transport}");
        }
        assert_eq!(cause("ttrpc: closed: unavailable"), "container-start-failed");
        assert_eq!(cause("something new"), "container-start-failed");
    }
}

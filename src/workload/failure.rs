//! The cause of a container that did not run to its end, from its stage and the message of the runtime.

use crate::diagnosis::{self, CauseId, causes};
use crate::engine::{EngineError, Stage};
use crate::finding::Finding;

/// Messages of the runtime whose cause is another one than in a log. The first matching row counts.
const START: &[(CauseId, &[&str])] = &[
    (causes::IMAGE_FOR_OTHER_ARCHITECTURE, &["exec format error"]),
    (
        causes::DOCKER_PROXY_PROGRAM_MISSING,
        &[
            "exec: \"docker-proxy\"",
            "docker-proxy: no such file",
            "docker-proxy\": executable file not found",
        ],
    ),
    // Not an entrypoint: the shim starts runc by this name.
    (causes::RUNC_PROGRAM_MISSING, &["exec: \"runc\"", "exec: \"docker-runc\""]),
    // Errors of the gRPC transport: dockerd uses gRPC only with containerd, which was running when the daemon started.
    // Which one comes depends on whether the request, the dial or the preface was under way (grpc-go, clientconn.go and
    // internal/transport/http2_client.go). The shim's `ttrpc: closed` is another connection.
    (
        causes::CONTAINERD_CRASHED,
        &[
            "connection error: desc = ",
            "connection closed: unavailable",
            "Unavailable: connection closed",
            "transport is closing",
            "error reading from server",
            "client connection is closing",
            "grpc: the connection is unavailable",
        ],
    ),
    (causes::DOCKER_IPTABLES_CHAINS_FLUSHED, &["No chain/target/match by that name"]),
];

/// The cause if a message of runc says that a program cannot be executed: before the container starts (`exec: "/x": stat
/// /x: no such file or directory`) or as the last line of its init (`exec /x: exec format error`).
pub fn unrunnable(text: &str) -> Option<CauseId> {
    let is_exec = text.contains("exec: \"")
        || text.trim_start().starts_with("exec ")
        || text.contains("exec user process");
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    let cause = match () {
        () if !is_exec => return None,
        () if says(&["exec format error"]) => causes::IMAGE_FOR_OTHER_ARCHITECTURE,
        () if says(&[
            "permission denied",
            "no such file or directory",
            "file not found",
            "is a directory",
        ]) =>
        {
            causes::ENTRYPOINT_NOT_EXECUTABLE
        }
        () => return None,
    };
    Some(cause)
}

/// The finding on a container that did not run to its end. `refused` is the cause if the message has none of its own.
pub fn failure(stage: Stage, error: EngineError, refused: CauseId) -> anyhow::Result<Finding> {
    let mut cause = refused;
    if let EngineError::Refused { message, .. } = &error {
        let row = START.iter().find(|(_, phrases)| phrases.iter().any(|phrase| message.contains(phrase)));
        let known = row.map(|(cause, _)| *cause).or_else(|| unrunnable(message));
        let known = known.or_else(|| diagnosis::of_message(message));
        cause = known.unwrap_or(refused);
    }
    let late = if stage == Stage::Create { causes::DAEMON_HANGS } else { causes::CONTAINER_TIMEOUT };
    error.into_finding(cause, late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_about_a_program_that_cannot_be_executed_have_causes() {
        let cause = |text: &str| unrunnable(text).map(CauseId::as_str);
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

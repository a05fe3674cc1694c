//! The life cycle of a container: `docker exec`, `docker logs`, restart, stop by a signal, and `--init`.

use nix::errno::Errno;

use crate::diagnosis::{CauseId, causes};
use crate::engine::containers::KILLED;
use crate::engine::containers::exec::Executed;
use crate::engine::docker::error::explained;
use crate::engine::{ContainerRun, EngineError, PairRun, Stage};
use crate::finding::{Finding, Level};
use crate::probe::{DEATH_MESSAGE, TERMINATED};
use crate::workload;

const EXEC: CauseId = causes::CONTAINER_EXEC_FAILED;
const OUTPUT: CauseId = causes::CONTAINER_WRONG_OUTPUT;
const CODE: CauseId = causes::CONTAINER_WRONG_EXIT_CODE;
const INIT: CauseId = causes::DOCKER_INIT_PROGRAM_MISSING;
/// The output of `docker exec` if the runtime does not start the program (moby `daemon/exec.go`).
const REFUSED: &str = "OCI runtime exec failed";
/// The exit codes of a command that is not executable and of one that is not found.
const NOTHING: [i64; 2] = [126, 127];

/// The first run.
pub(super) fn judge_first(run: &ContainerRun) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if let [printing, missing] = run.execs.as_slice() {
        findings.push(judge_exec(printing)?);
        findings.extend(judge_missing(missing)?);
    }
    // On a full disk there is no log; `container-storage` reports that.
    findings.extend(judge_log(run)?.filter(|_| !met_a_full_disk(run)));
    Ok(findings)
}

/// Whether the disk was full for the probe.
fn met_a_full_disk(run: &ContainerRun) -> bool {
    let document = workload::read(run).ok();
    let tried = document.and_then(|document| document.storage).map(|storage| storage.tried);
    tried.is_some_and(|tried| {
        let errors = tried.attempts.iter().filter_map(|attempt| attempt.error.as_ref());
        errors.into_iter().any(|error| matches!(error.errno(), Errno::ENOSPC | Errno::EDQUOT))
    })
}

/// `docker exec` of a program that prints a line and is killed.
fn judge_exec(exec: &Executed) -> anyhow::Result<Finding> {
    let code = match &exec.end {
        Ok(code) => *code,
        Err(error) => return workload::failure(Stage::Run, error.clone(), EXEC),
    };
    let said = String::from_utf8_lossy(&exec.stdout);
    if said.contains(REFUSED) {
        let what = format!("`docker exec` cannot run a program in the container: {}", said.trim());
        return Ok(explained(what, &said, EXEC).with("exit_code", code).with("message", said.trim()));
    }
    if said.trim() != DEATH_MESSAGE {
        let what = "output of `docker exec` is missing or wrong";
        return Ok(Finding::fail(OUTPUT, what).with("stdout", said.chars().take(400).collect::<String>()));
    }
    if code != KILLED {
        let what = format!("a killed program of `docker exec` ends with {code}, not {KILLED}");
        return Ok(Finding::fail(CODE, what));
    }
    Ok(Finding::pass("`docker exec` runs a program, returns its output, and exit code 137 when it is killed"))
}

/// `docker exec` of a missing program. Another exit code does not harm the container, so this only warns.
fn judge_missing(exec: &Executed) -> anyhow::Result<Option<Finding>> {
    match &exec.end {
        Ok(code) if NOTHING.contains(code) => Ok(None),
        Ok(code) => {
            let what = format!("`docker exec` of a missing program ends with {code}, not with 126 or 127");
            Ok(Some(Finding::warn(CODE, what)))
        }
        Err(EngineError::Refused { .. }) => Ok(None),
        Err(error) => workload::failure(Stage::Run, error.clone(), EXEC).map(Some),
    }
}

/// `docker logs`. A log driver that cannot be read passes: somebody chose it.
fn judge_log(run: &ContainerRun) -> anyhow::Result<Option<Finding>> {
    match &run.logged {
        None => Ok(None),
        Some(Ok(text)) if run.stdout.starts_with(text) && !text.is_empty() => Ok(None),
        Some(Ok(text)) => {
            let what = "`docker logs` does not return what the container printed";
            let text = String::from_utf8_lossy(text).chars().take(400).collect::<String>();
            Ok(Some(Finding::fail(OUTPUT, what).with("log", text)))
        }
        Some(Err(EngineError::Refused { message, .. })) if message.contains("does not support reading") => {
            Ok(Some(Finding::pass("the log driver does not support `docker logs`").with("message", message)))
        }
        Some(Err(error)) => workload::failure(Stage::Run, error.clone(), OUTPUT).map(Some),
    }
}

/// The second run, which a signal ends. If it did not start, the steps that need it report that.
pub(super) fn judge_second(together: &PairRun) -> Vec<Finding> {
    let mut findings = Vec::new();
    match together.first.end {
        Ok(code) if code == i64::from(TERMINATED) => {
            findings.push(Finding::pass(format!("after a restart, it ends on SIGTERM with {code}")));
        }
        Ok(code) => {
            let what = format!("after a restart, it ends on SIGTERM with {code}, not with {TERMINATED}");
            findings.push(Finding::fail(CODE, what));
        }
        Err(_) => {}
    }
    if let Some(error) = together.others.iter().find_map(|run| run.init.as_ref()) {
        let what = format!("a container with `--init` does not run: {error}");
        // With status 0 the daemon started it, and it did not do its work.
        let (message, plain) = match error {
            EngineError::Refused { message, status: 0, .. } => {
                (message.as_str(), causes::BINARY_NOT_RUNNABLE)
            }
            EngineError::Refused { message, .. } => (message.as_str(), INIT),
            _ => ("", INIT),
        };
        findings.push(Finding { level: Level::Warn, ..explained(what, message, plain) });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(end: Result<i64, EngineError>, stdout: &str) -> Executed {
        Executed { command: vec!["x".into()], stdout: stdout.into(), end }
    }

    fn refused(message: &str) -> EngineError {
        EngineError::Refused { doing: "x".into(), status: 500, message: message.into() }
    }

    #[test]
    fn exec_without_output_or_with_another_exit_code_fails() {
        let judged = |end, stdout: &str| {
            let finding = judge_exec(&exec(end, stdout)).unwrap();
            (finding.level, finding.cause)
        };
        assert_eq!(judged(Ok(137), "killed on request\n"), (Level::Pass, None));
        assert_eq!(judged(Ok(137), ""), (Level::Fail, Some(OUTPUT)));
        assert_eq!(judged(Ok(0), DEATH_MESSAGE), (Level::Fail, Some(CODE)));
        assert_eq!(judged(Err(refused("no")), ""), (Level::Fail, Some(EXEC)));
        let none = "OCI runtime exec failed: runc did not terminate successfully: exit status 1: unknown\r\n";
        assert_eq!(judged(Ok(126), none), (Level::Fail, Some(EXEC)));
    }

    #[test]
    fn exec_of_a_missing_program_may_be_refused_or_end() {
        for end in [Ok(126), Ok(127), Err(refused("not found"))] {
            assert!(judge_missing(&exec(end, "")).unwrap().is_none());
        }
        assert_eq!(judge_missing(&exec(Ok(0), "")).unwrap().unwrap().level, Level::Warn);
    }

    #[test]
    fn unreadable_log_passes_and_a_wrong_one_fails() {
        let judged = |logged| {
            let run = ContainerRun { stdout: b"one\n".to_vec(), logged: Some(logged), ..ContainerRun::new() };
            judge_log(&run).unwrap().map(|finding| finding.level)
        };
        assert_eq!(judged(Ok(b"one\n".to_vec())), None);
        assert_eq!(judged(Ok(Vec::new())), Some(Level::Fail));
        assert_eq!(judged(Ok(b"two\n".to_vec())), Some(Level::Fail));
        let none = "configured logging driver does not support reading";
        assert_eq!(judged(Err(refused(none))), Some(Level::Pass));
        assert_eq!(judged(Err(refused("no space"))), Some(Level::Fail));
    }

    #[test]
    fn second_run_ends_by_a_signal() {
        let judged = |end| {
            let first = ContainerRun { end, ..ContainerRun::new() };
            judge_second(&PairRun { first, ..PairRun::default() })
                .iter()
                .map(|finding| finding.level)
                .collect::<Vec<_>>()
        };
        assert_eq!(judged(Ok(143)), [Level::Pass]);
        assert_eq!(judged(Ok(137)), [Level::Fail]);
        assert_eq!(judged(Err(refused("x"))), []);
    }
}

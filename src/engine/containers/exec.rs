//! What is done in a running container: programs are run in it (docker exec), and its log is read.

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::{Stream, StreamExt};

use crate::engine::containers::ContainerClient;
use crate::engine::docker::error::{EngineError, EngineResult};
use crate::engine::docker::of_bollard;

/// The most bytes that are kept of an output: one line is expected.
const MAX_OUTPUT: usize = 64 << 10;

/// A program that was run in a running container.
#[derive(Debug, Clone)]
pub struct Executed {
    /// Its command line.
    pub command: Vec<String>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its exit code: 126 and 127 where the program could not be run.
    pub end: EngineResult<i64>,
}

impl ContainerClient<'_> {
    /// Runs a program in a container and waits for its end.
    pub async fn execute(&self, name: &str, command: &[String]) -> Executed {
        let mut done = Executed { command: command.to_vec(), stdout: Vec::new(), end: Ok(0) };
        done.end = self.exec(name, command, &mut done.stdout).await;
        done
    }

    async fn exec(&self, name: &str, command: &[String], stdout: &mut Vec<u8>) -> EngineResult<i64> {
        let refused = |doing| move |error| of_bollard(self.endpoint, doing, &error);
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.to_vec()),
            ..CreateExecOptions::default()
        };
        let made = self.docker.create_exec(name, options).await.map_err(refused("create an exec"))?;
        match self.docker.start_exec(&made.id, None).await {
            Ok(StartExecResults::Attached { output, .. }) => {
                collect_stdout(output, stdout).await.map_err(refused("read the output of an exec"))?;
            }
            Ok(StartExecResults::Detached) => {}
            // Some versions refuse a missing program, others report an exit code for it.
            Err(error) => {
                let error = of_bollard(self.endpoint, "start an exec", &error);
                return match error {
                    EngineError::Refused { .. } => self.exec_code(&made.id).await.ok_or(error),
                    _ => Err(error),
                };
            }
        }
        let missing = || EngineError::Junk { doing: "inspect an exec".into(), reason: "no exit code".into() };
        self.exec_code(&made.id).await.ok_or_else(missing)
    }

    /// The exit code of an exec that has ended; `None` where the daemon has none.
    async fn exec_code(&self, exec: &str) -> Option<i64> {
        self.docker.inspect_exec(exec).await.ok()?.exit_code
    }

    /// The container's standard output as the daemon's log driver kept it.
    pub async fn logs(&self, name: &str) -> EngineResult<Vec<u8>> {
        let options = LogsOptionsBuilder::default().stdout(true).build();
        let mut logged = Vec::new();
        let read = collect_stdout(self.docker.logs(name, Some(options)), &mut logged).await;
        read.map_err(|error| of_bollard(self.endpoint, "read the container's log", &error))?;
        Ok(logged)
    }
}

/// Collects the standard output of a stream, up to a limit.
async fn collect_stdout(
    output: impl Stream<Item = Result<LogOutput, bollard::errors::Error>>,
    kept: &mut Vec<u8>,
) -> Result<(), bollard::errors::Error> {
    let mut output = std::pin::pin!(output);
    while let Some(piece) = output.next().await {
        if let LogOutput::StdOut { message } | LogOutput::Console { message } = piece? {
            let room = MAX_OUTPUT.saturating_sub(kept.len());
            kept.extend_from_slice(&message[..message.len().min(room)]);
        }
    }
    Ok(())
}

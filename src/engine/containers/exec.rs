//! What is asked of a container while it lives? Another program is run in it, one that is not there is asked for, and
//! what it printed is read from the log that the daemon keeps of it.

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::{Stream, StreamExt};

use crate::engine::containers::Door;
use crate::engine::docker::error::{EngineError, EngineResult};
use crate::engine::docker::of_bollard;

/// The most that is kept of an answer: what is asked for is one line.
const MOST: usize = 64 << 10;

/// A program that was run in a container that runs.
#[derive(Debug, Clone)]
pub struct Executed {
    /// Its command line.
    pub command: Vec<String>,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// Its exit code: 126 and 127 say that there was nothing to run.
    pub end: EngineResult<i64>,
}

impl Door<'_> {
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
        let made = self.docker.create_exec(name, options).await.map_err(refused("make an exec"))?;
        match self.docker.start_exec(&made.id, None).await {
            Ok(StartExecResults::Attached { output, .. }) => {
                gather(output, stdout).await.map_err(refused("read what an exec prints"))?;
            }
            Ok(StartExecResults::Detached) => {}
            // A program that is not there is refused by some versions, and an end like any other for others.
            Err(error) => {
                let error = of_bollard(self.endpoint, "start an exec", &error);
                return match error {
                    EngineError::Refused { .. } => self.exec_code(&made.id).await.ok_or(error),
                    _ => Err(error),
                };
            }
        }
        let none = || EngineError::Junk { doing: "look at an exec".into(), reason: "no exit code".into() };
        self.exec_code(&made.id).await.ok_or_else(none)
    }

    /// The exit code of an exec that has ended.
    async fn exec_code(&self, exec: &str) -> Option<i64> {
        self.docker.inspect_exec(exec).await.ok()?.exit_code
    }

    /// What the daemon's log driver has of its standard output.
    pub async fn logs(&self, name: &str) -> EngineResult<Vec<u8>> {
        let options = LogsOptionsBuilder::default().stdout(true).build();
        let mut logged = Vec::new();
        let read = gather(self.docker.logs(name, Some(options)), &mut logged).await;
        read.map_err(|error| of_bollard(self.endpoint, "read the container's log", &error))?;
        Ok(logged)
    }
}

/// Keeps the standard output of a stream.
async fn gather(
    output: impl Stream<Item = Result<LogOutput, bollard::errors::Error>>,
    kept: &mut Vec<u8>,
) -> Result<(), bollard::errors::Error> {
    let mut output = std::pin::pin!(output);
    while let Some(piece) = output.next().await {
        if let LogOutput::StdOut { message } | LogOutput::Console { message } = piece? {
            let room = MOST.saturating_sub(kept.len());
            kept.extend_from_slice(&message[..message.len().min(room)]);
        }
    }
    Ok(())
}

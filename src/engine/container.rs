//! How is a container run to its end? Created, attached to, started, waited for.
//!
//! The attachment comes before the start, so that the output depends on no log driver and misses no byte. A
//! code other than 0 is a result, and no error.

use std::path::Path;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, WaitContainerOptions,
};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::docker::of_bollard;
use super::error::{EngineError, EngineResult};
use super::{Endpoint, LABEL};
use crate::host::Host;

/// The most that is kept of each stream of a container.
const MAX_OUTPUT: usize = 1 << 20;

/// A container that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerSpec {
    /// What follows `dindcheck-<run>-` in its name.
    pub role: &'static str,
    /// The body of `POST /containers/create`; the label is added.
    pub body: Value,
    /// It prints a line and waits for one (the probe's `hold`): meanwhile it is looked at from outside.
    pub hold: bool,
}

/// How far a container came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It was to be created.
    Create,
    /// It was to be attached to and started.
    Start,
    /// It was to end.
    Run,
}

/// What is known of a container that ran, or did not get that far.
#[derive(Debug)]
pub struct ContainerRun {
    /// Its id, once it was created.
    pub id: Option<String>,
    /// How far it came.
    pub stage: Stage,
    /// Its exit code, or what was in the way at that stage.
    pub end: EngineResult<i64>,
    /// Its standard output, at most 1 MiB.
    pub stdout: Vec<u8>,
    /// Its standard error, at most 1 MiB.
    pub stderr: Vec<u8>,
    /// /proc/PID/cgroup of its first process as seen from here, where it was held.
    pub outside: Option<String>,
    /// What the daemon said against the request while it carried it out (limits that it drops).
    pub warnings: Vec<String>,
    /// Whether the kernel killed it for memory.
    pub oom_killed: bool,
    /// From its creation to its end.
    pub took: Duration,
}

impl ContainerRun {
    /// One that has not begun.
    pub fn new() -> Self {
        Self {
            id: None,
            stage: Stage::Create,
            end: Ok(0),
            stdout: Vec::new(),
            stderr: Vec::new(),
            outside: None,
            warnings: Vec::new(),
            oom_killed: false,
            took: Duration::ZERO,
        }
    }
}

impl Default for ContainerRun {
    fn default() -> Self {
        Self::new()
    }
}

/// What it takes to run one.
pub struct Door<'d> {
    /// The API.
    pub docker: &'d Docker,
    /// Where it is, for errors.
    pub endpoint: &'d Endpoint,
    /// For the look from outside.
    pub host: &'d dyn Host,
}

/// Runs a container; `run` is written to on the way, so that a caller whose patience ends knows how far it came.
pub async fn run(
    door: &Door<'_>,
    id: &str,
    spec: &ContainerSpec,
    run: &mut ContainerRun,
) -> EngineResult<i64> {
    let start = Instant::now();
    let name = door.create(id, spec, run).await?;
    run.stage = Stage::Start;
    let options = AttachContainerOptionsBuilder::default()
        .stream(true)
        .stdin(spec.hold)
        .stdout(true)
        .stderr(true)
        .build();
    let mut attached = door
        .docker
        .attach_container(&name, Some(options))
        .await
        .map_err(|error| of_bollard(door.endpoint, "attach to the container", &error))?;
    door.docker
        .start_container(&name, None)
        .await
        .map_err(|error| of_bollard(door.endpoint, "start the container", &error))?;
    run.stage = Stage::Run;
    let mut held = spec.hold;
    while let Some(piece) = attached.output.next().await {
        let piece =
            piece.map_err(|error| of_bollard(door.endpoint, "read what the container prints", &error))?;
        match piece {
            LogOutput::StdErr { message } => keep(&mut run.stderr, &message),
            LogOutput::StdOut { message } | LogOutput::Console { message } => keep(&mut run.stdout, &message),
            LogOutput::StdIn { .. } => {}
        }
        if held && run.stdout.contains(&b'\n') {
            held = false;
            run.outside = door.look_from_outside(&name).await;
            // A container that ended meanwhile does not read it.
            let _ = attached.input.write_all(b"\n").await;
            let _ = attached.input.flush().await;
        }
    }
    let code = door.exit_code(&name).await?;
    run.took = start.elapsed();
    Ok(code)
}

impl Door<'_> {
    /// Creates it.
    async fn create(&self, id: &str, spec: &ContainerSpec, run: &mut ContainerRun) -> EngineResult<String> {
        let doing = "create the container";
        let mut body = spec.body.clone();
        body["Labels"] = json!({ LABEL: id });
        if spec.hold {
            body["OpenStdin"] = json!(true);
            body["StdinOnce"] = json!(true);
        }
        let body = serde_json::from_value::<bollard::models::ContainerCreateBody>(body)
            .map_err(|error| EngineError::Junk { doing: doing.to_owned(), reason: error.to_string() })?;
        let name = name(id, spec.role);
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let made = self.docker.create_container(Some(options), body).await;
        let made = made.map_err(|error| of_bollard(self.endpoint, doing, &error))?;
        run.id = Some(made.id);
        run.warnings = made.warnings;
        Ok(name)
    }

    /// The cgroups of its first process. `None` where that process is not in our process namespace.
    async fn look_from_outside(&self, name: &str) -> Option<String> {
        let seen = self.docker.inspect_container(name, None).await.ok()?;
        let pid = seen.state?.pid.filter(|pid| *pid > 0)?;
        self.host.read_text(Path::new(&format!("/proc/{pid}/cgroup"))).ok()
    }

    /// Waits for its end.
    async fn exit_code(&self, name: &str) -> EngineResult<i64> {
        let doing = "wait for the container's end";
        let mut waiting = std::pin::pin!(self.docker.wait_container(name, None::<WaitContainerOptions>));
        match waiting.next().await {
            Some(Ok(end)) => Ok(end.status_code),
            Some(Err(Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(of_bollard(self.endpoint, doing, &error)),
            None => Err(EngineError::Junk { doing: doing.to_owned(), reason: "no answer".to_owned() }),
        }
    }
}

/// The name of a container of ours.
pub fn name(run: &str, role: &str) -> String {
    format!("dindcheck-{run}-{role}")
}

/// Keeps what a container prints, up to a limit.
fn keep(kept: &mut Vec<u8>, piece: &[u8]) {
    let room = MAX_OUTPUT.saturating_sub(kept.len());
    kept.extend_from_slice(&piece[..piece.len().min(room)]);
}

//! How is a container run to its end? Created, attached to, started, visited, waited for.
//!
//! The attachment comes before the start, so that the output depends on no log driver and misses no byte. A
//! code other than 0 is a result, and no error.

use std::path::Path;
use std::time::Instant;

use bollard::Docker;
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, KillContainerOptionsBuilder,
    RemoveContainerOptionsBuilder, WaitContainerOptions,
};
use futures_util::StreamExt;
use futures_util::future::{OptionFuture, join, join_all, join3};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::engine::LABEL;
use crate::engine::docker::error::{EngineError, EngineResult};
use crate::engine::docker::of_bollard;
use crate::facts::endpoint::Endpoint;
use crate::host::SystemReader;

pub mod connectivity;
pub mod exec;
pub mod restart_pair;
mod spec;

pub use spec::{ContainerRun, ContainerSpec, Stage};

/// The exit code of what was killed: 128 and the number of SIGKILL.
pub const KILLED: i64 = 137;
/// The most that is kept of each stream of a container.
const MAX_OUTPUT: usize = 1 << 20;

/// What it takes to run one.
pub struct Door<'d> {
    /// The API.
    pub docker: &'d Docker,
    /// Where it is, for errors.
    pub endpoint: &'d Endpoint,
    /// For the look from outside.
    pub host: &'d dyn SystemReader,
}

/// Runs a container; `run` is written to on the way, so that a caller whose patience ends knows how far it came.
pub async fn run(
    door: &Door<'_>,
    id: &str,
    spec: &ContainerSpec,
    run: &mut ContainerRun,
) -> EngineResult<i64> {
    let network = OptionFuture::from(spec.network.as_ref().map(|network| door.make_network(id, network)));
    let refused = OptionFuture::from(spec.refused.as_ref().map(|spec| run_and_forget(door, id, spec)));
    let (end, network, refused) = join3(run_alone(door, id, spec, run), network, refused).await;
    run.network = network;
    run.refused = refused.map(Box::new);
    end
}

/// Runs one that is not held, and removes it.
async fn run_and_forget(door: &Door<'_>, id: &str, spec: &ContainerSpec) -> ContainerRun {
    let mut run = ContainerRun::new();
    run.end = match until_it_told_all(door, id, spec, &mut run).await {
        Ok(name) => door.exit_code(&name).await,
        Err(error) => Err(error),
    };
    door.forget(id, spec).await;
    run
}

/// Runs it, and nothing besides.
async fn run_alone(
    door: &Door<'_>,
    id: &str,
    spec: &ContainerSpec,
    run: &mut ContainerRun,
) -> EngineResult<i64> {
    let start = Instant::now();
    let name = door.create(id, spec, run).await?;
    let mut alive = door.begin(&name, spec, run).await?;
    if spec.hold {
        alive.until_it_told(door, run).await?;
        door.look_from_outside(&name, spec, run).await;
    }
    alive.end(door, &name, run).await?;
    let code = door.exit_code(&name).await?;
    run.took = start.elapsed();
    run.oom_killed = code == KILLED && door.was_short_of_memory(&name).await;
    if spec.hold {
        run.logged = Some(door.logs(&name).await);
    }
    Ok(code)
}

/// Runs one that is not held, up to the end of its output; its name.
pub async fn until_it_told_all(
    door: &Door<'_>,
    id: &str,
    spec: &ContainerSpec,
    run: &mut ContainerRun,
) -> EngineResult<String> {
    let start = Instant::now();
    let name = door.create(id, spec, run).await?;
    let alive = door.begin(&name, spec, run).await?;
    alive.end(door, &name, run).await?;
    run.took = start.elapsed();
    Ok(name)
}

/// A container that was started.
pub struct Alive {
    attached: AttachContainerResults,
    held: bool,
    signal: Option<&'static str>,
}

impl Alive {
    /// Reads until it has printed a line, or ended.
    pub async fn until_it_told(&mut self, door: &Door<'_>, run: &mut ContainerRun) -> EngineResult<()> {
        while !run.stdout.contains(&b'\n') && self.read(door, run).await? {}
        Ok(())
    }

    /// Takes in a piece of its output; false at the end.
    async fn read(&mut self, door: &Door<'_>, run: &mut ContainerRun) -> EngineResult<bool> {
        let Some(piece) = self.attached.output.next().await else { return Ok(false) };
        let doing = "read what the container prints";
        match piece.map_err(|error| of_bollard(door.endpoint, doing, &error))? {
            LogOutput::StdErr { message } => keep(&mut run.stderr, &message),
            LogOutput::StdOut { message } | LogOutput::Console { message } => keep(&mut run.stdout, &message),
            LogOutput::StdIn { .. } => {}
        }
        Ok(true)
    }

    /// Lets it go, and reads the rest.
    pub async fn end(mut self, door: &Door<'_>, name: &str, run: &mut ContainerRun) -> EngineResult<()> {
        if let Some(signal) = self.signal {
            door.signal(name, signal).await?;
        } else if self.held {
            // A container that ended meanwhile does not read it.
            let _ = self.attached.input.write_all(b"\n").await;
            let _ = self.attached.input.flush().await;
        }
        while self.read(door, run).await? {}
        Ok(())
    }
}

impl Door<'_> {
    /// Attaches to a container that is there, and starts it.
    pub async fn begin(
        &self,
        name: &str,
        spec: &ContainerSpec,
        run: &mut ContainerRun,
    ) -> EngineResult<Alive> {
        run.stage = Stage::Start;
        let options = AttachContainerOptionsBuilder::default()
            .stream(true)
            .stdin(spec.hold)
            .stdout(true)
            .stderr(true)
            .build();
        let attached = self.docker.attach_container(name, Some(options)).await;
        let attached =
            attached.map_err(|error| of_bollard(self.endpoint, "attach to the container", &error))?;
        let started = self.docker.start_container(name, None).await;
        started.map_err(|error| of_bollard(self.endpoint, "start the container", &error))?;
        run.stage = Stage::Run;
        Ok(Alive { attached, held: spec.hold, signal: spec.signal })
    }

    /// Sends it a signal.
    async fn signal(&self, name: &str, signal: &str) -> EngineResult<()> {
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        match self.docker.kill_container(name, Some(options)).await {
            // It has ended before.
            Ok(()) | Err(Error::DockerResponseServerError { status_code: 409, .. }) => Ok(()),
            Err(error) => Err(of_bollard(self.endpoint, "send the container a signal", &error)),
        }
    }

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

    /// The cgroups of its first process, where that is in our process namespace; what its port answers; and what
    /// other programs do in it.
    async fn look_from_outside(&self, name: &str, spec: &ContainerSpec, run: &mut ContainerRun) {
        let execs = join_all(spec.execs.iter().map(|command| self.execute(name, command)));
        let (execs, ()) = join(execs, self.visit(name, spec, run)).await;
        run.execs = execs;
    }

    async fn visit(&self, name: &str, spec: &ContainerSpec, run: &mut ContainerRun) {
        let Ok(seen) = self.docker.inspect_container(name, None).await else { return };
        let pid = seen.state.as_ref().and_then(|state| state.pid).filter(|pid| *pid > 0);
        let cgroup = |pid: i64| self.host.read_text(Path::new(&format!("/proc/{pid}/cgroup"))).ok();
        run.outside = pid.and_then(cgroup);
        if let (Some(port), Some(network)) = (spec.visit, seen.network_settings) {
            run.visits =
                connectivity::all(connectivity::places(&network, port, connectivity::own_address(self.host)))
                    .await;
        }
    }

    /// Removes one, as it is.
    pub async fn forget(&self, id: &str, spec: &ContainerSpec) {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let _ = self.docker.remove_container(&name(id, spec.role), Some(options)).await;
    }

    /// Whether the kernel killed something in it for memory, which the daemon keeps of a container.
    async fn was_short_of_memory(&self, name: &str) -> bool {
        let seen = self.docker.inspect_container(name, None).await;
        seen.is_ok_and(|seen| seen.state.and_then(|state| state.oom_killed).unwrap_or(false))
    }

    /// Waits for its end.
    pub async fn exit_code(&self, name: &str) -> EngineResult<i64> {
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
    crate::text::append_up_to(kept, piece, MAX_OUTPUT);
}

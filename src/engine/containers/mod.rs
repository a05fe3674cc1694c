//! Runs a container to its end: create, attach, start, look into it, wait.
//!
//! The attachment comes before the start, so that the output depends on no log driver and misses no byte. An exit code
//! other than 0 is a result, not an error.

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
pub mod start_times;

use start_times::StartWatch;

pub use spec::{ContainerRun, ContainerSpec, Stage};

/// The exit code of a killed process: 128 and the number of SIGKILL.
pub const KILLED: i64 = 137;
/// The most bytes that are kept of each stream of a container.
const MAX_OUTPUT: usize = 1 << 20;

/// What running a container needs.
pub struct ContainerClient<'d> {
    /// The API.
    pub docker: &'d Docker,
    /// Its endpoint, for errors.
    pub endpoint: &'d Endpoint,
    /// The machine, for what is read of the container from outside.
    pub host: &'d dyn SystemReader,
    /// Who accounts for the containers.
    pub account: &'d dyn Account,
}

/// An account of the containers of a run.
pub trait Account {
    /// A container was created, and is not started yet.
    fn created(&self, id: &str);
    /// A container runs.
    fn started(&self);
}

/// Runs a container; its exit code. `run` is filled on the way, so that a caller whose deadline passes knows how far it came.
pub async fn run(
    client: &ContainerClient<'_>,
    id: &str,
    spec: &ContainerSpec,
    run: &mut ContainerRun,
) -> EngineResult<i64> {
    let network = OptionFuture::from(spec.network.as_ref().map(|network| client.create_network(id, network)));
    let refused = OptionFuture::from(spec.refused.as_ref().map(|spec| run_and_remove(client, id, spec)));
    let (end, network, refused) = join3(run_alone(client, id, spec, run), network, refused).await;
    run.network = network;
    run.refused = refused.map(Box::new);
    end
}

/// Runs a container that is not held, and removes it.
async fn run_and_remove(client: &ContainerClient<'_>, id: &str, spec: &ContainerSpec) -> ContainerRun {
    let mut run = ContainerRun::new();
    run.end = match run_to_end_of_output(client, id, spec, &mut run).await {
        Ok(name) => client.exit_code(&name).await,
        Err(error) => Err(error),
    };
    client.remove(id, spec).await;
    run
}

/// Runs the container itself.
async fn run_alone(
    client: &ContainerClient<'_>,
    id: &str,
    spec: &ContainerSpec,
    run: &mut ContainerRun,
) -> EngineResult<i64> {
    let start = Instant::now();
    let name = client.create(id, spec, run).await?;
    let mut running = client.attach_and_start(&name, spec, run).await?;
    if spec.hold {
        running.read_first_line(client, run).await?;
        client.inspect_from_outside(&name, spec, run).await;
    }
    running.finish(client, &name, run).await?;
    let code = client.exit_code(&name).await?;
    run.took = start.elapsed();
    run.oom_killed = code == KILLED && client.was_oom_killed(&name).await;
    if spec.hold {
        run.logged = Some(client.logs(&name).await);
    }
    Ok(code)
}

/// Runs a container that is not held, up to the end of its output; its name.
pub async fn run_to_end_of_output(
    client: &ContainerClient<'_>,
    id: &str,
    spec: &ContainerSpec,
    run: &mut ContainerRun,
) -> EngineResult<String> {
    let start = Instant::now();
    let name = client.create(id, spec, run).await?;
    let running = client.attach_and_start(&name, spec, run).await?;
    running.finish(client, &name, run).await?;
    run.took = start.elapsed();
    Ok(name)
}

/// A container that was started.
pub struct RunningContainer {
    attached: AttachContainerResults,
    held: bool,
    signal: Option<&'static str>,
}

impl RunningContainer {
    /// Reads until it has printed a line, or ended.
    pub async fn read_first_line(
        &mut self,
        client: &ContainerClient<'_>,
        run: &mut ContainerRun,
    ) -> EngineResult<()> {
        while !run.stdout.contains(&b'\n') && self.read(client, run).await? {}
        Ok(())
    }

    /// Reads a piece of its output; false at the end.
    async fn read(&mut self, client: &ContainerClient<'_>, run: &mut ContainerRun) -> EngineResult<bool> {
        let Some(piece) = self.attached.output.next().await else { return Ok(false) };
        let doing = "read the container's output";
        match piece.map_err(|error| of_bollard(client.endpoint, doing, &error))? {
            LogOutput::StdErr { message } => keep(&mut run.stderr, &message),
            LogOutput::StdOut { message } | LogOutput::Console { message } => keep(&mut run.stdout, &message),
            LogOutput::StdIn { .. } => {}
        }
        Ok(true)
    }

    /// Ends a held container, by its signal or by a line, and reads the rest of its output.
    pub async fn finish(
        mut self,
        client: &ContainerClient<'_>,
        name: &str,
        run: &mut ContainerRun,
    ) -> EngineResult<()> {
        if let Some(signal) = self.signal {
            client.signal(name, signal).await?;
        } else if self.held {
            // A container that has ended meanwhile does not read it.
            let _ = self.attached.input.write_all(b"\n").await;
            let _ = self.attached.input.flush().await;
        }
        while self.read(client, run).await? {}
        Ok(())
    }
}

impl ContainerClient<'_> {
    /// Attaches to a created container, and starts it.
    pub async fn attach_and_start(
        &self,
        name: &str,
        spec: &ContainerSpec,
        run: &mut ContainerRun,
    ) -> EngineResult<RunningContainer> {
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
        let watch = StartWatch::begin(self.host);
        let started = watch.until(self.docker.start_container(name, None), &mut run.times).await;
        started.map_err(|error| of_bollard(self.endpoint, "start the container", &error))?;
        self.account.started();
        run.stage = Stage::Run;
        Ok(RunningContainer { attached, held: spec.hold, signal: spec.signal })
    }

    /// Sends it a signal.
    async fn signal(&self, name: &str, signal: &str) -> EngineResult<()> {
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        match self.docker.kill_container(name, Some(options)).await {
            // It has ended already.
            Ok(()) | Err(Error::DockerResponseServerError { status_code: 409, .. }) => Ok(()),
            Err(error) => Err(of_bollard(self.endpoint, "send the container a signal", &error)),
        }
    }

    /// Creates it; its name.
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
        let began = Instant::now();
        let made = self.docker.create_container(Some(options), body).await;
        run.times.create = began.elapsed();
        let made = made.map_err(|error| of_bollard(self.endpoint, doing, &error))?;
        self.account.created(&made.id);
        run.id = Some(made.id);
        run.warnings = made.warnings;
        Ok(name)
    }

    /// Looks into a held container: the cgroups of its first process, where that is in our process namespace; its port;
    /// and other programs that are run in it.
    async fn inspect_from_outside(&self, name: &str, spec: &ContainerSpec, run: &mut ContainerRun) {
        let execs = join_all(spec.execs.iter().map(|command| self.execute(name, command)));
        let (execs, ()) = join(execs, self.inspect_and_visit(name, spec, run)).await;
        run.execs = execs;
    }

    async fn inspect_and_visit(&self, name: &str, spec: &ContainerSpec, run: &mut ContainerRun) {
        let Ok(inspected) = self.docker.inspect_container(name, None).await else { return };
        let pid = inspected.state.as_ref().and_then(|state| state.pid).filter(|pid| *pid > 0);
        let cgroup = |pid: i64| self.host.read_text(Path::new(&format!("/proc/{pid}/cgroup"))).ok();
        run.outside = pid.and_then(cgroup);
        if let (Some(port), Some(network)) = (spec.visit, inspected.network_settings) {
            run.visits = connectivity::visit_all(connectivity::addresses_of(
                &network,
                port,
                connectivity::own_address(self.host),
            ))
            .await;
        }
    }

    /// Removes it by force, with its anonymous volumes.
    pub async fn remove(&self, id: &str, spec: &ContainerSpec) {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let _ = self.docker.remove_container(&name(id, spec.role), Some(options)).await;
    }

    /// Whether something in it was OOM-killed, by the daemon's own account.
    async fn was_oom_killed(&self, name: &str) -> bool {
        let inspected = self.docker.inspect_container(name, None).await;
        inspected.is_ok_and(|container| container.state.and_then(|state| state.oom_killed).unwrap_or(false))
    }

    /// Waits for its end; its exit code.
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

/// Keeps a piece of an output, up to a limit.
fn keep(kept: &mut Vec<u8>, piece: &[u8]) {
    crate::text::append_up_to(kept, piece, MAX_OUTPUT);
}

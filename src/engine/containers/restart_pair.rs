//! Restarts a container that was kept, beside others: it finds what it wrote, they find it by name on a network of their
//! own, and the volume that they share outlives them all.

use std::time::Instant;

use bollard::models::{NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest};
use futures_util::future::join;
use serde_json::json;

use crate::engine::LABEL;
use crate::engine::cleanup::objects;
use crate::engine::containers::{self, ContainerClient, ContainerRun, ContainerSpec, RunningContainer};
use crate::engine::docker::error::{EngineError, EngineResult};
use crate::engine::docker::of_bollard;

/// The containers, their network and their volume.
#[derive(Debug, Clone, Default)]
pub struct RestartPair {
    /// The container that was kept; it is held this time.
    pub first: ContainerSpec,
    /// Tried beside it, one after the other, until one ends with an output.
    pub others: Vec<ContainerSpec>,
    /// The network that the first container was on before.
    pub from: &'static str,
    /// The user network that they share.
    pub network: String,
    /// The result of its creation, where that was tried before.
    pub made: Option<EngineResult<()>>,
    /// The volume that they share.
    pub volume: String,
    /// The others are started once the first one runs: this container has too little room for two runtimes at a time.
    pub in_turn: bool,
}

/// The result.
#[derive(Debug, Default)]
pub struct PairRun {
    /// The result of the network; `None` where the run did not get that far.
    pub network: Option<EngineResult<()>>,
    /// The second run of the first container.
    pub first: ContainerRun,
    /// Those of the others that were tried.
    pub others: Vec<ContainerRun>,
    /// Whether the volume still exists after their removal.
    pub volume: Option<EngineResult<bool>>,
}

/// Runs them, without the removal. A failure of one part is kept from the others as far as possible. Where there is room,
/// all are started at once: the others wait for what the first one writes to the volume.
pub async fn run(client: &ContainerClient<'_>, id: &str, pair: &RestartPair, done: &mut PairRun) {
    let name = containers::name(id, pair.first.role);
    let mut network = match &pair.made {
        Some(made) => made.clone(),
        None => client.create_network(id, &pair.network).await,
    };
    if network.is_ok() {
        network = client.move_to(&pair.network, pair.from, &name).await;
    }
    let start = Instant::now();
    let joined = network.is_ok().then_some(&*pair.network);
    let (others, first) = (&mut done.others, &mut done.first);
    let (mut restarted, mut last) = if pair.in_turn {
        let restarted = restart(client, &name, pair, first).await;
        (restarted, run_others(client, id, pair, joined, others).await)
    } else {
        join(restart(client, &name, pair, first), run_others(client, id, pair, joined, others)).await
    };
    if let (Ok(()), Err(EngineError::Refused { .. })) = (&network, &restarted) {
        // The network may be the reason: once more without it.
        network = restarted.map(drop);
        let _ = client.move_to(pair.from, &pair.network, &name).await;
        for spec in &pair.others {
            client.remove(id, spec).await;
        }
        done.others.clear();
        restarted = restart(client, &name, pair, &mut done.first).await;
        last = run_others(client, id, pair, None, &mut done.others).await;
    }
    done.network = Some(network);
    // The daemon takes both down at the same time.
    let (other, first) =
        join(client.exit_code_of(last), finish(client, &name, restarted, &mut done.first)).await;
    if let (Some(end), Some(run)) = (other, done.others.last_mut()) {
        run.end = end;
    }
    done.first.end = first;
    done.first.took = start.elapsed();
}

/// Starts the first container again, and reads its first line.
async fn restart(
    client: &ContainerClient<'_>,
    name: &str,
    pair: &RestartPair,
    run: &mut ContainerRun,
) -> EngineResult<RunningContainer> {
    let mut running = client.attach_and_start(name, &pair.first, run).await?;
    running.read_first_line(client, run).await?;
    Ok(running)
}

/// Ends the first container, where it runs; its exit code.
async fn finish(
    client: &ContainerClient<'_>,
    name: &str,
    restarted: EngineResult<RunningContainer>,
    run: &mut ContainerRun,
) -> EngineResult<i64> {
    restarted?.finish(client, name, run).await?;
    client.exit_code(name).await
}

/// Runs the others until one has printed a line; the name of that one, whose exit code is still open. It is the last of
/// those that were tried.
async fn run_others(
    client: &ContainerClient<'_>,
    id: &str,
    pair: &RestartPair,
    network: Option<&str>,
    done: &mut Vec<ContainerRun>,
) -> Option<String> {
    for spec in &pair.others {
        let (run, name) = run_other(client, id, spec, network).await;
        done.push(run);
        if name.is_some() {
            return name;
        }
    }
    None
}

/// Runs one of them; its name, where it has printed a line.
async fn run_other(
    client: &ContainerClient<'_>,
    id: &str,
    spec: &ContainerSpec,
    network: Option<&str>,
) -> (ContainerRun, Option<String>) {
    let mut spec = spec.clone();
    if let Some(network) = network {
        spec.body["HostConfig"]["NetworkMode"] = json!(network);
    }
    let mut run = ContainerRun::new();
    let mut ran = containers::run_to_end_of_output(client, id, &spec, &mut run).await;
    if let Some(refusal) = ran.as_ref().err().filter(|error| is_missing_init(error)).cloned() {
        spec.body["HostConfig"]["Init"] = json!(false);
        client.remove(id, &spec).await;
        run = ContainerRun { init: Some(refusal), ..ContainerRun::new() };
        ran = containers::run_to_end_of_output(client, id, &spec, &mut run).await;
    }
    if let Some(broken) = broken_init(client, &ran, &run).await {
        // The probe was not reached. Whether its init is why, the same container without one tells.
        spec.body["HostConfig"]["Init"] = json!(false);
        client.remove(id, &spec).await;
        let mut plain = ContainerRun { init: Some(broken), ..ContainerRun::new() };
        let again = containers::run_to_end_of_output(client, id, &spec, &mut plain).await;
        if !plain.stdout.contains(&b'\n') {
            plain.init = None;
        }
        (run, ran) = (plain, again);
    }
    let has_output = ran.is_ok() && run.stdout.contains(&b'\n');
    run.end = match &ran {
        Ok(name) if !has_output => client.exit_code(name).await,
        Ok(_) => Ok(0),
        Err(error) => Err(error.clone()),
    };
    (run, ran.ok().filter(|_| has_output))
}

/// The error of a container with an init that ended without an output, by what its init printed.
async fn broken_init(
    client: &ContainerClient<'_>,
    ran: &EngineResult<String>,
    run: &ContainerRun,
) -> Option<EngineError> {
    let name = ran.as_ref().ok().filter(|_| run.init.is_none() && !run.stdout.contains(&b'\n'))?;
    let status = client.exit_code(name).await.ok()?;
    let printed = String::from_utf8_lossy(&run.stderr).trim().to_owned();
    let message = if printed.is_empty() {
        format!("docker-init ended with {status}, started nothing and printed nothing")
    } else {
        printed
    };
    Some(EngineError::Refused { doing: "start a container with `--init`".to_owned(), status: 0, message })
}

/// Whether the daemon's init is missing (moby `daemon/oci_linux.go`, `DefaultInitBinary`).
fn is_missing_init(error: &EngineError) -> bool {
    matches!(error, EngineError::Refused { message, .. } if message.contains("docker-init"))
}

impl ContainerClient<'_> {
    /// The exit code of a container, if one is named.
    async fn exit_code_of(&self, name: Option<String>) -> Option<EngineResult<i64>> {
        Some(self.exit_code(&name?).await)
    }

    /// Creates a network of ours.
    pub async fn create_network(&self, id: &str, network: &str) -> EngineResult<()> {
        let request = NetworkCreateRequest {
            name: network.to_owned(),
            labels: Some([(LABEL.to_owned(), id.to_owned())].into()),
            options: Some([(objects::BRIDGE_OPTION.to_owned(), objects::bridge(id))].into()),
            ..NetworkCreateRequest::default()
        };
        let made = self.docker.create_network(request).await;
        made.map(drop).map_err(|error| of_bollard(self.endpoint, "create a network", &error))
    }

    /// Moves a stopped container from one network to another. It leaves the first one before, since a container without a
    /// network (`none`) is connected to no other.
    async fn move_to(&self, network: &str, from: &str, container: &str) -> EngineResult<()> {
        // It fails where the container was not on that network, which is just as good.
        let request = NetworkDisconnectRequest { container: container.to_owned(), force: Some(true) };
        let _ = self.docker.disconnect_network(from, request).await;
        let request =
            NetworkConnectRequest { container: container.to_owned(), ..NetworkConnectRequest::default() };
        let connected = self.docker.connect_network(network, request).await;
        connected.map_err(|error| of_bollard(self.endpoint, "connect the container to the network", &error))
    }
}

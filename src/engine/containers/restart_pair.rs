//! What becomes of a container that is started again, beside others? It finds what it wrote, they find it by name on
//! a network of their own, and the volume that they share outlives them all.

use std::time::Instant;

use bollard::models::{NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest};
use futures_util::future::join;
use serde_json::json;

use crate::engine::LABEL;
use crate::engine::cleanup::objects;
use crate::engine::containers::{self, Alive, ContainerRun, ContainerSpec, Door};
use crate::engine::docker::error::{EngineError, EngineResult};
use crate::engine::docker::of_bollard;

/// The network of a container that asked for none (moby `daemon/network/settings.go`, `DefaultNetwork`).
const DEFAULT: &str = "bridge";

/// What is to be done.
#[derive(Debug, Clone, Default)]
pub struct Pair {
    /// The container that was kept: it is held this time.
    pub first: ContainerSpec,
    /// Tried in turn beside it until one comes to its end.
    pub others: Vec<ContainerSpec>,
    /// The user network that they share.
    pub network: String,
    /// What came of making it, where that was tried before.
    pub made: Option<EngineResult<()>>,
    /// The volume that they share.
    pub volume: String,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Together {
    /// What was in the way of the network, if it was reached at all.
    pub network: Option<EngineResult<()>>,
    /// The first container's second life.
    pub first: ContainerRun,
    /// Those of the others that were tried.
    pub others: Vec<ContainerRun>,
    /// Whether the volume is still there without any of them.
    pub volume: Option<EngineResult<bool>>,
}

/// Does it, up to the removal. What is in the way of one thing is kept from the others as far as can be. All are
/// started at once: the others wait for the first one's word in the volume.
pub async fn run(door: &Door<'_>, id: &str, pair: &Pair, done: &mut Together) {
    let name = containers::name(id, pair.first.role);
    let mut network = match &pair.made {
        Some(made) => made.clone(),
        None => door.make_network(id, &pair.network).await,
    };
    if network.is_ok() {
        network = door.move_to(&pair.network, DEFAULT, &name).await;
    }
    let start = Instant::now();
    let joined = network.is_ok().then_some(&*pair.network);
    let (mut begun, mut last) =
        join(again(door, &name, pair, &mut done.first), beside(door, id, pair, joined, &mut done.others))
            .await;
    if let (Ok(()), Err(EngineError::Refused { .. })) = (&network, &begun) {
        // Is it the network that is in the way?
        network = begun.map(drop);
        let _ = door.move_to(DEFAULT, &pair.network, &name).await;
        for spec in &pair.others {
            door.forget(id, spec).await;
        }
        done.others.clear();
        begun = again(door, &name, pair, &mut done.first).await;
        last = beside(door, id, pair, None, &mut done.others).await;
    }
    done.network = Some(network);
    // The daemon takes both down at once.
    let (other, first) = join(door.code_of(last), leave(door, &name, begun, &mut done.first)).await;
    if let (Some(end), Some(run)) = (other, done.others.last_mut()) {
        run.end = end;
    }
    done.first.end = first;
    done.first.took = start.elapsed();
}

/// Starts the first container again, until it has told.
async fn again(door: &Door<'_>, name: &str, pair: &Pair, run: &mut ContainerRun) -> EngineResult<Alive> {
    let mut alive = door.begin(name, &pair.first, run).await?;
    alive.until_it_told(door, run).await?;
    Ok(alive)
}

/// Ends it, where it came so far; its exit code.
async fn leave(
    door: &Door<'_>,
    name: &str,
    begun: EngineResult<Alive>,
    run: &mut ContainerRun,
) -> EngineResult<i64> {
    begun?.end(door, name, run).await?;
    door.exit_code(name).await
}

/// Runs the others until one has told what it saw; the name of that one, whose exit code is still to come. It is the last
/// of those that were tried.
async fn beside(
    door: &Door<'_>,
    id: &str,
    pair: &Pair,
    network: Option<&str>,
    done: &mut Vec<ContainerRun>,
) -> Option<String> {
    let mut told = None;
    for spec in &pair.others {
        let (run, name) = one_beside(door, id, spec, network).await;
        done.push(run);
        told = name;
        if told.is_some() {
            break;
        }
    }
    told
}

/// Runs one of them; its name, where it has told.
async fn one_beside(
    door: &Door<'_>,
    id: &str,
    spec: &ContainerSpec,
    network: Option<&str>,
) -> (ContainerRun, Option<String>) {
    let mut spec = spec.clone();
    if let Some(network) = network {
        spec.body["HostConfig"]["NetworkMode"] = json!(network);
    }
    let mut run = ContainerRun::new();
    let mut told = containers::until_it_told_all(door, id, &spec, &mut run).await;
    if let Some(refusal) = told.as_ref().err().filter(|error| is_of_init(error)).cloned() {
        spec.body["HostConfig"]["Init"] = json!(false);
        door.forget(id, &spec).await;
        run = ContainerRun { init: Some(refusal), ..ContainerRun::new() };
        told = containers::until_it_told_all(door, id, &spec, &mut run).await;
    }
    let has_told = told.is_ok() && run.stdout.contains(&b'\n');
    run.end = match &told {
        Ok(name) if !has_told => door.exit_code(name).await,
        Ok(_) => Ok(0),
        Err(error) => Err(error.clone()),
    };
    (run, told.ok().filter(|_| has_told))
}

/// Whether it is the init that the daemon does not find (moby `daemon/oci_linux.go`, `DefaultInitBinary`).
fn is_of_init(error: &EngineError) -> bool {
    matches!(error, EngineError::Refused { message, .. } if message.contains("docker-init"))
}

impl Door<'_> {
    /// The exit code of a container, if there is one.
    async fn code_of(&self, name: Option<String>) -> Option<EngineResult<i64>> {
        Some(self.exit_code(&name?).await)
    }

    /// Makes a network of ours.
    pub async fn make_network(&self, id: &str, network: &str) -> EngineResult<()> {
        let request = NetworkCreateRequest {
            name: network.to_owned(),
            labels: Some([(LABEL.to_owned(), id.to_owned())].into()),
            options: Some([(objects::BRIDGE_OPTION.to_owned(), objects::bridge(id))].into()),
            ..NetworkCreateRequest::default()
        };
        let made = self.docker.create_network(request).await;
        made.map(drop).map_err(|error| of_bollard(self.endpoint, "make a network", &error))
    }

    /// Has a container that does not run be on one network when it is started, and not on the other.
    async fn move_to(&self, network: &str, from: &str, container: &str) -> EngineResult<()> {
        let request =
            NetworkConnectRequest { container: container.to_owned(), ..NetworkConnectRequest::default() };
        let connected = self.docker.connect_network(network, request).await;
        connected
            .map_err(|error| of_bollard(self.endpoint, "connect the container to the network", &error))?;
        // It may not have been there: then it is where it should be.
        let request = NetworkDisconnectRequest { container: container.to_owned(), force: Some(true) };
        let _ = self.docker.disconnect_network(from, request).await;
        Ok(())
    }
}

//! What becomes of a container that is started again, beside others? It finds what it wrote, they find it by name on
//! a network of their own, and the volume that they share outlives them all.

use std::time::Instant;

use bollard::models::{NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest};
use serde_json::json;

use super::LABEL;
use super::container::{self, ContainerRun, ContainerSpec, Door};
use super::docker::of_bollard;
use super::error::{EngineError, EngineResult};

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pair {
    /// The container that was kept: it is held this time.
    pub first: ContainerSpec,
    /// Tried in turn beside it until one comes to its end.
    pub others: Vec<ContainerSpec>,
    /// The user network that they share.
    pub network: String,
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

/// Does it, up to the removal. What is in the way of one thing is kept from the others as far as can be.
pub async fn run(door: &Door<'_>, id: &str, pair: &Pair, done: &mut Together) {
    let name = container::name(id, pair.first.role);
    let mut network = door.join_in(id, &pair.network, &name).await;
    let start = Instant::now();
    let mut begun = door.begin(&name, &pair.first, &mut done.first).await;
    if let (Ok(()), Err(EngineError::Refused { .. })) = (&network, &begun) {
        // Is it the network that is in the way?
        let refusal = begun.err();
        door.leave(&pair.network, &name).await;
        begun = door.begin(&name, &pair.first, &mut done.first).await;
        network = refusal.map_or(Ok(()), Err);
    }
    let joined = network.is_ok();
    done.network = Some(network);
    let mut alive = match begun {
        Ok(alive) => alive,
        Err(error) => {
            done.first.end = Err(error);
            return;
        }
    };
    if let Err(error) = alive.until_it_told(door, &mut done.first).await {
        done.first.end = Err(error);
        return;
    }
    for spec in &pair.others {
        let mut spec = spec.clone();
        if joined {
            spec.body["HostConfig"]["NetworkMode"] = json!(pair.network);
        }
        done.others.push(ContainerRun::new());
        let Some(other) = done.others.last_mut() else { break };
        other.end = container::run(door, id, &spec, other).await;
        if other.end.is_ok() {
            break;
        }
    }
    done.first.end = alive.end(door, &name, &mut done.first).await;
    done.first.took = start.elapsed();
}

impl Door<'_> {
    /// Makes a network of ours, and connects a container to it that does not run.
    async fn join_in(&self, id: &str, network: &str, container: &str) -> EngineResult<()> {
        let labels = [(LABEL.to_owned(), id.to_owned())].into();
        let request = NetworkCreateRequest {
            name: network.to_owned(),
            labels: Some(labels),
            ..NetworkCreateRequest::default()
        };
        let made = self.docker.create_network(request).await;
        made.map_err(|error| of_bollard(self.endpoint, "make a network", &error))?;
        let request =
            NetworkConnectRequest { container: container.to_owned(), ..NetworkConnectRequest::default() };
        let connected = self.docker.connect_network(network, request).await;
        connected.map_err(|error| of_bollard(self.endpoint, "connect the container to the network", &error))
    }

    /// Takes a container out of a network again.
    async fn leave(&self, network: &str, container: &str) {
        let request = NetworkDisconnectRequest { container: container.to_owned(), force: Some(true) };
        let _ = self.docker.disconnect_network(network, request).await;
    }
}

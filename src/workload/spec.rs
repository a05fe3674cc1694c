//! Specifications of the containers: the bodies of their requests, and the requests to their probes.

use crate::host::trial::ReachRequest;
use serde_json::{Value, json};

use crate::engine::image::Archive;
use crate::engine::{ContainerSpec, EngineResult, Pair, containers};
use crate::facts::routes::Routes;
use crate::fixture::PROGRAM;
use crate::host::SystemReader;
use crate::options::{Need, RunOptions};
use crate::probe::{self, ProbeRequest, limits, storage};

/// The memory limit in bytes: enough for runc to start the container, and quickly used up.
pub const MEMORY: u64 = 32 << 20;
/// The limit of processes and threads: the probe has a dozen threads.
pub const PIDS: u64 = 64;
/// The CPU limit, in percent of one CPU.
pub const CPU_PERCENT: u64 = 50;
/// The period of the CPU quota in microseconds: short, so that a short measurement is enough.
const PERIOD: u64 = 20_000;
/// The mount point of the volume.
const VOLUME: &str = "/volume";
/// The mount point of the tmpfs.
const SCRATCH: &str = "/scratch";
/// The port at which the probe listens.
pub const PORT: u16 = 7009;

/// The commands of `docker exec`: a program that prints a line and is killed, and a missing one.
pub const EXECS: [&[&str]; 2] = [&[PROGRAM, "probe", probe::DIE], &["/nothing-is-here"]];

/// Parts of a container specification, each tested by one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Limits of memory, processes and CPU.
    Limits,
    /// A volume and a tmpfs.
    Storage,
    /// A published port, and destinations.
    Network,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 3] = [Self::Limits, Self::Storage, Self::Network];

    /// The need of the step that tests it.
    pub const fn need(self) -> Need {
        match self {
            Self::Limits => Need::Limits,
            Self::Storage => Need::Storage,
            Self::Network => Need::Network,
        }
    }

    /// The role in the name of a container that has only this part.
    pub const fn role(self) -> &'static str {
        match self {
            Self::Limits => "limits",
            Self::Storage => "storage",
            Self::Network => "network",
        }
    }
}

/// The name of the volume.
pub fn volume(options: &RunOptions) -> String {
    containers::name(&options.run, "volume")
}

/// A container of the built-in image with these parts.
pub fn container(
    host: &dyn SystemReader,
    options: &RunOptions,
    role: &'static str,
    parts: &[Part],
) -> ContainerSpec {
    let mut request = ProbeRequest { hold: true, ..ProbeRequest::default() };
    let mut body = json!({ "Image": Archive::reference(&options.run), "HostConfig": {} });
    for part in parts {
        match part {
            Part::Limits => add_limits(&mut body, &mut request),
            Part::Storage => add_storage(options, &mut body, &mut request, false),
            Part::Network => add_network(host, options, &mut body, &mut request),
        }
    }
    body["Cmd"] = json!([request.argument()]);
    ContainerSpec { role, body, hold: true, visit: request.serve, ..ContainerSpec::default() }
}

/// The first container, with these parts and `docker exec` while it runs; `again` keeps it for the restart. If a privileged
/// container will be refused, it is started meanwhile.
pub fn first(
    host: &dyn SystemReader,
    options: &RunOptions,
    parts: &[Part],
    again: bool,
    refused: bool,
) -> ContainerSpec {
    let refused = refused.then(|| Box::new(privileged(options)));
    let network = again.then(|| containers::name(&options.run, "network"));
    let execs = EXECS.map(|words| words.iter().map(ToString::to_string).collect()).to_vec();
    ContainerSpec { keep: again, execs, network, refused, ..container(host, options, "run", parts) }
}

/// The restart of the first container, and its neighbours: a privileged one, else a plain one; `plain` leaves out the
/// privileged one.
pub fn pair(options: &RunOptions, made: Option<EngineResult<()>>, plain: bool) -> Pair {
    let first = ContainerSpec {
        role: "run",
        hold: true,
        keep: true,
        signal: Some("SIGTERM"),
        ..ContainerSpec::default()
    };
    let privileged = (!plain).then(|| neighbour(options, "privileged", true));
    let others = privileged.into_iter().chain([neighbour(options, "neighbour", false)]).collect();
    let network = containers::name(&options.run, "network");
    Pair { first, others, network, made, volume: volume(options) }
}

/// A container with a read-only root that resolves the first one by name and reads what it wrote to the volume.
fn neighbour(options: &RunOptions, role: &'static str, privileged: bool) -> ContainerSpec {
    let peer = Some((containers::name(&options.run, "run"), PORT));
    let reach = Some(ReachRequest { peer, ..ReachRequest::default() });
    let mut request = ProbeRequest { reach, privileged, ..ProbeRequest::default() };
    let mut body = json!({
        "Image": Archive::reference(&options.run),
        "HostConfig": { "Privileged": privileged, "ReadonlyRootfs": true, "Init": true },
    });
    add_storage(options, &mut body, &mut request, true);
    body["Cmd"] = json!([request.argument()]);
    ContainerSpec { role, body, ..ContainerSpec::default() }
}

/// A privileged container without anything else.
pub fn privileged(options: &RunOptions) -> ContainerSpec {
    let request = ProbeRequest { privileged: true, ..ProbeRequest::default() };
    let body = json!({
        "Image": Archive::reference(&options.run),
        "HostConfig": { "Privileged": true },
        "Cmd": [request.argument()],
    });
    ContainerSpec { role: "privileged", body, ..ContainerSpec::default() }
}

/// Adds limits. If the controller is missing, the daemon refuses `NanoCpus` but drops a quota with a warning
/// (moby daemon_unix.go, `verifyPlatformContainerResources`).
fn add_limits(body: &mut Value, request: &mut ProbeRequest) {
    let host = &mut body["HostConfig"];
    host["Memory"] = json!(MEMORY);
    host["MemorySwap"] = json!(MEMORY);
    host["PidsLimit"] = json!(PIDS);
    host["CpuPeriod"] = json!(PERIOD);
    host["CpuQuota"] = json!(PERIOD * CPU_PERCENT / 100);
    request.limits = Some(limits::LimitsRequest { memory: MEMORY, pids: PIDS, cpu_percent: CPU_PERCENT });
}

/// Adds a volume, which the daemon creates, and a tmpfs.
fn add_storage(options: &RunOptions, body: &mut Value, request: &mut ProbeRequest, visitor: bool) {
    let labels = json!({ crate::engine::LABEL: options.run });
    body["HostConfig"]["Mounts"] = json!([{
        "Type": "volume",
        "Source": volume(options),
        "Target": VOLUME,
        "VolumeOptions": { "Labels": labels },
    }]);
    body["HostConfig"]["Tmpfs"] = json!({ SCRATCH: "size=1m,mode=1777" });
    request.storage = Some(storage::StorageRequest { volume: VOLUME.into(), tmpfs: SCRATCH.into(), visitor });
}

/// Publishes the port at any free one, and adds the destinations.
fn add_network(host: &dyn SystemReader, options: &RunOptions, body: &mut Value, request: &mut ProbeRequest) {
    let port = format!("{PORT}/tcp");
    body["ExposedPorts"] = json!({ &port: {} });
    body["HostConfig"]["PortBindings"] = json!({ port: [{ "HostPort": "" }] });
    request.serve = Some(PORT);
    let network = &options.profile.network;
    request.reach = Some(ReachRequest {
        gateway: true,
        outer: outer_gateway(host),
        resolvers: true,
        names: network.names.clone(),
        endpoints: network.endpoints.clone(),
        peer: None,
    });
}

/// The gateway of the outer container.
pub fn outer_gateway(host: &dyn SystemReader) -> Option<std::net::Ipv4Addr> {
    Routes::read(host).ok()?.defaults().first()?.gateway
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::options::PlanRequest;

    #[test]
    fn neighbours_share_the_volume_and_resolve_the_first_container() {
        let options = crate::testing::options(&PlanRequest::default());
        let pair = pair(&options, None, false);
        assert_eq!(pair.others.iter().map(|spec| spec.role).collect::<Vec<_>>(), ["privileged", "neighbour"]);
        for spec in &pair.others {
            assert_eq!(spec.body["HostConfig"]["Mounts"][0]["Source"], pair.volume);
            assert!(spec.body["Cmd"][0].as_str().unwrap().contains(&containers::name(&options.run, "run")));
        }
    }
}

//! What are the containers given? The bodies of their requests, and the orders of their probes.

use crate::host::trial::ReachRequest;
use serde_json::{Value, json};

use crate::engine::image::Archive;
use crate::engine::{ContainerSpec, EngineResult, Pair, containers};
use crate::facts::routes::Routes;
use crate::fixture::PROGRAM;
use crate::host::SystemReader;
use crate::options::{Need, RunOptions};
use crate::probe::{self, ProbeRequest, limits, storage};

/// Bytes: what runc needs while it starts a container fits, and it is eaten up in a moment.
pub const MEMORY: u64 = 32 << 20;
/// Processes and threads: a probe with its threads has a dozen.
pub const PIDS: u64 = 64;
/// Hundredths of a processor.
pub const CPU_PERCENT: u64 = 50;
/// The quota's period in microseconds: short, so that a short look shows whether it holds.
const PERIOD: u64 = 20_000;
/// Where the volume is.
const VOLUME: &str = "/volume";
/// Where the tmpfs is.
const SCRATCH: &str = "/scratch";
/// Where the probe listens.
pub const PORT: u16 = 7009;

/// What is run in a container that runs: a program that tells and is killed, and one that is not there.
pub const EXECS: [&[&str]; 2] = [&[PROGRAM, "probe", probe::DIE], &["/nothing-is-here"]];

/// What a container can be given, each the matter of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Limits of memory, processes and processor.
    Limits,
    /// A volume and a tmpfs.
    Storage,
    /// A published port, and somewhere to go.
    Network,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Limits, Self::Storage, Self::Network];

    /// What the steps that judge it need.
    pub const fn need(self) -> Need {
        match self {
            Self::Limits => Need::Limits,
            Self::Storage => Need::Storage,
            Self::Network => Need::Network,
        }
    }

    /// What follows the run's id in the name of a container that has only this.
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
    let mut orders = ProbeRequest { hold: true, ..ProbeRequest::default() };
    let mut body = json!({ "Image": Archive::reference(&options.run), "HostConfig": {} });
    for part in parts {
        match part {
            Part::Limits => limited(&mut body, &mut orders),
            Part::Storage => stored(options, &mut body, &mut orders, false),
            Part::Network => connected(host, options, &mut body, &mut orders),
        }
    }
    body["Cmd"] = json!([orders.argument()]);
    ContainerSpec { role, body, hold: true, visit: orders.serve, ..ContainerSpec::default() }
}

/// The first container: with all of that, asked while it lives, and kept for a second life if there is to be one. Where a
/// privileged one is known to be refused, that is tried meanwhile.
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

/// The first container again, and its neighbour: privileged, else plain; plain alone where the other was tried before.
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

/// A container that looks for the first one by name, and for what it wrote, with a root that is read-only.
fn neighbour(options: &RunOptions, role: &'static str, privileged: bool) -> ContainerSpec {
    let peer = Some((containers::name(&options.run, "run"), PORT));
    let reach = Some(ReachRequest { peer, ..ReachRequest::default() });
    let mut orders = ProbeRequest { reach, privileged, ..ProbeRequest::default() };
    let mut body = json!({
        "Image": Archive::reference(&options.run),
        "HostConfig": { "Privileged": privileged, "ReadonlyRootfs": true, "Init": true },
    });
    stored(options, &mut body, &mut orders, true);
    body["Cmd"] = json!([orders.argument()]);
    ContainerSpec { role, body, ..ContainerSpec::default() }
}

/// A container that is privileged and has nothing else.
pub fn privileged(options: &RunOptions) -> ContainerSpec {
    let orders = ProbeRequest { privileged: true, ..ProbeRequest::default() };
    let body = json!({
        "Image": Archive::reference(&options.run),
        "HostConfig": { "Privileged": true },
        "Cmd": [orders.argument()],
    });
    ContainerSpec { role: "privileged", body, ..ContainerSpec::default() }
}

/// Gives it limits. `NanoCpus` would be refused where the controller is missing, a quota is dropped with a warning
/// (moby daemon_unix.go, `verifyPlatformContainerResources`).
fn limited(body: &mut Value, orders: &mut ProbeRequest) {
    let host = &mut body["HostConfig"];
    host["Memory"] = json!(MEMORY);
    host["MemorySwap"] = json!(MEMORY);
    host["PidsLimit"] = json!(PIDS);
    host["CpuPeriod"] = json!(PERIOD);
    host["CpuQuota"] = json!(PERIOD * CPU_PERCENT / 100);
    orders.limits = Some(limits::LimitsRequest { memory: MEMORY, pids: PIDS, cpu_percent: CPU_PERCENT });
}

/// Gives it a volume, which is made on the way, and a tmpfs.
fn stored(options: &RunOptions, body: &mut Value, orders: &mut ProbeRequest, visitor: bool) {
    let labels = json!({ crate::engine::LABEL: options.run });
    body["HostConfig"]["Mounts"] = json!([{
        "Type": "volume",
        "Source": volume(options),
        "Target": VOLUME,
        "VolumeOptions": { "Labels": labels },
    }]);
    body["HostConfig"]["Tmpfs"] = json!({ SCRATCH: "size=1m,mode=1777" });
    orders.storage = Some(storage::StorageRequest { volume: VOLUME.into(), tmpfs: SCRATCH.into(), visitor });
}

/// Publishes its port at whichever is free, and says what it is to reach.
fn connected(host: &dyn SystemReader, options: &RunOptions, body: &mut Value, orders: &mut ProbeRequest) {
    let port = format!("{PORT}/tcp");
    body["ExposedPorts"] = json!({ &port: {} });
    body["HostConfig"]["PortBindings"] = json!({ port: [{ "HostPort": "" }] });
    orders.serve = Some(PORT);
    let wanted = &options.profile.network;
    orders.reach = Some(ReachRequest {
        gateway: true,
        outer: outer_gateway(host),
        resolvers: true,
        names: wanted.names.clone(),
        endpoints: wanted.endpoints.clone(),
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
    fn the_neighbour_shares_volume_and_network_and_looks_for_the_first_by_name() {
        let options = crate::testing::options(&PlanRequest::default());
        let pair = pair(&options, None, false);
        assert_eq!(pair.others.iter().map(|spec| spec.role).collect::<Vec<_>>(), ["privileged", "neighbour"]);
        for spec in &pair.others {
            assert_eq!(spec.body["HostConfig"]["Mounts"][0]["Source"], pair.volume);
            assert!(spec.body["Cmd"][0].as_str().unwrap().contains(&containers::name(&options.run, "run")));
        }
    }
}

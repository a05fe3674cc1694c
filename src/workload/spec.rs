//! Specifications of the containers: the bodies of their requests, and the requests to their probes.

use crate::host::trial::ReachRequest;
use serde_json::{Value, json};

use crate::engine::image::Archive;
use crate::engine::{ContainerSpec, EngineResult, RestartPair, containers};
use crate::facts::daemon::{Expected, Room};
use crate::facts::routes::Routes;
use crate::fixture::PROGRAM;
use crate::host::SystemReader;
use crate::options::{Need, RunOptions};
use crate::probe::limits::LimitsRequest;
use crate::probe::{self, ProbeRequest, storage};

/// The memory limit in bytes: enough for runc to start the container, and quickly used up.
const MEMORY: u64 = 32 << 20;
/// The memory that its shim, runc and the daemon take meanwhile, in bytes.
const BESIDE: u64 = 16 << 20;
/// The room for two runtimes that start a container at the same time, each with a copy of itself in memory and a dozen
/// threads: memory in bytes, and processes.
const ROOM_FOR_TWO: u64 = 128 << 20;
const PIDS_FOR_TWO: u64 = 128;
/// The limit of processes and threads: the probe has a dozen threads.
const PIDS: u64 = 64;
/// The smallest that is asked for: the probe and runc's own threads.
const LEAST_PIDS: u64 = 24;
/// The CPU limit, in percent of one CPU.
const CPU_PERCENT: u64 = 50;
/// The CPU limit where that of an ancestor is not visible, in percent of one CPU: the least with which the probe answers
/// within the deadlines.
const LEAST_CPU_PERCENT: u64 = 5;
/// The period of the CPU quota in microseconds: short, so that a short measurement is enough.
const PERIOD: u64 = 20_000;
/// The longest period of the kernel's default, for a quota that would be less than a millisecond of the short one, which
/// the kernel refuses (kernel/sched/core.c, `min_cfs_quota_period`).
const LONG_PERIOD: u64 = 100_000;
/// The least quota, in microseconds.
const LEAST_QUOTA: u64 = 1000;
/// The mount point of the volume.
const VOLUME: &str = "/volume";
/// The mount point of the tmpfs.
const SCRATCH: &str = "/scratch";
/// The network of a container that names none.
const DEFAULT_NETWORK: &str = "bridge";
/// The network of a container without one.
const NO_NETWORK: &str = "none";
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

/// What the containers of a run are to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What the daemon gives.
    pub expected: Expected,
    /// The limits of the first container.
    pub limits: LimitsRequest,
    /// Whether containers are started one after the other: this container has little room.
    pub in_turn: bool,
}

impl Wanted {
    /// The limits fit into the room that this container has. The kernel refuses a quota above that of a parent; where the
    /// parent's own limit of processes is reached, dockerd gets no thread and ends.
    pub fn new(expected: Expected, room: Room) -> Self {
        let fitting = |most: u64, room: Option<u64>| room.map_or(most, |room| most.min(room));
        let limits = LimitsRequest {
            memory: fitting(MEMORY, room.memory),
            pids: fitting(PIDS, room.pids.map(|left| left / 2)).max(LEAST_PIDS),
            cpu_percent: fitting(CPU_PERCENT, room.cpu_percent),
            spares_memory: room.memory_left.is_some_and(|left| left < MEMORY + BESIDE),
        };
        let in_turn = room.memory_left.is_some_and(|left| left < ROOM_FOR_TWO)
            || room.pids.is_some_and(|left| left < PIDS_FOR_TWO);
        Self { expected, limits, in_turn }
    }

    /// With a CPU limit below that of any container that is of use.
    #[must_use]
    pub fn with_least_cpu(mut self) -> Self {
        self.limits.cpu_percent = self.limits.cpu_percent.min(LEAST_CPU_PERCENT);
        self
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
    wanted: &Wanted,
    role: &'static str,
    parts: &[Part],
) -> ContainerSpec {
    let mut request = ProbeRequest { hold: true, ..ProbeRequest::default() };
    let mut body = json!({ "Image": Archive::reference(&options.run), "HostConfig": {} });
    for part in parts {
        match part {
            Part::Limits => add_limits(&wanted.limits, &mut body, &mut request),
            Part::Storage => add_storage(options, &mut body, &mut request, false),
            // Without a default network nothing is published and nothing reached; the neighbours connect later.
            Part::Network if wanted.expected.bridge.is_some() => request.serve = Some(PORT),
            Part::Network => add_network(host, options, &mut body, &mut request),
        }
    }
    if wanted.expected.bridge.is_some() {
        // A container that asks for the missing network never gets any other (moby `daemon/container_operations.go`,
        // `connectToNetwork`: `NetworkDisabled`).
        body["HostConfig"]["NetworkMode"] = json!(NO_NETWORK);
    }
    body["Cmd"] = json!([request.argument()]);
    // Whatever listens is visited; without a network there is no address to visit.
    ContainerSpec { role, body, hold: true, visit: request.serve, ..ContainerSpec::default() }
}

/// The first container, with these parts and `docker exec` while it runs; `again` keeps it for the restart. If a privileged
/// container will be refused, it is started meanwhile.
pub fn first(
    host: &dyn SystemReader,
    options: &RunOptions,
    wanted: &Wanted,
    parts: &[Part],
    again: bool,
    refused: bool,
) -> ContainerSpec {
    let refused = (refused && !wanted.in_turn).then(|| Box::new(privileged(options, wanted)));
    let network = again.then(|| containers::name(&options.run, "network"));
    let execs = EXECS.map(|words| words.iter().map(ToString::to_string).collect()).to_vec();
    ContainerSpec { keep: again, execs, network, refused, ..container(host, options, wanted, "run", parts) }
}

/// The restart of the first container, and its neighbours: a privileged one, else a plain one; `plain` leaves out the
/// privileged one.
pub fn pair(
    options: &RunOptions,
    wanted: &Wanted,
    made: Option<EngineResult<()>>,
    plain: bool,
) -> RestartPair {
    let first = ContainerSpec {
        role: "run",
        hold: true,
        keep: true,
        signal: Some("SIGTERM"),
        ..ContainerSpec::default()
    };
    let privileged = (!plain).then(|| neighbour(options, wanted, "privileged", true));
    let others = privileged.into_iter().chain([neighbour(options, wanted, "neighbour", false)]).collect();
    let network = containers::name(&options.run, "network");
    let from = if wanted.expected.bridge.is_some() { NO_NETWORK } else { DEFAULT_NETWORK };
    RestartPair { first, others, from, network, made, volume: volume(options), in_turn: wanted.in_turn }
}

/// A container with a read-only root that resolves the first one by name and reads what it wrote to the volume.
fn neighbour(options: &RunOptions, wanted: &Wanted, role: &'static str, privileged: bool) -> ContainerSpec {
    let peer = Some((containers::name(&options.run, "run"), PORT));
    let reach = Some(ReachRequest { peer, ..ReachRequest::default() });
    let mut request = ProbeRequest { reach, privileged, ..ProbeRequest::default() };
    let mut body = json!({
        "Image": Archive::reference(&options.run),
        "HostConfig": { "Privileged": privileged, "ReadonlyRootfs": true, "Init": true },
    });
    if privileged {
        keep_users(wanted, &mut body);
    }
    add_storage(options, &mut body, &mut request, true);
    body["Cmd"] = json!([request.argument()]);
    ContainerSpec { role, body, ..ContainerSpec::default() }
}

/// A privileged container without anything else.
pub fn privileged(options: &RunOptions, wanted: &Wanted) -> ContainerSpec {
    let request = ProbeRequest { privileged: true, ..ProbeRequest::default() };
    let mut body = json!({
        "Image": Archive::reference(&options.run),
        "HostConfig": { "Privileged": true },
        "Cmd": [request.argument()],
    });
    keep_users(wanted, &mut body);
    ContainerSpec { role: "privileged", body, ..ContainerSpec::default() }
}

/// Leaves a privileged container the daemon's own users: one whose users are mapped is refused (moby
/// `daemon/daemon_unix.go`, `verifyPlatformContainerSettings`).
pub fn keep_users(wanted: &Wanted, body: &mut Value) {
    if wanted.expected.remap.is_some() {
        body["HostConfig"]["UsernsMode"] = json!("host");
    }
}

/// Adds limits. If the controller is missing, the daemon refuses `NanoCpus` but drops a quota with a warning
/// (moby daemon_unix.go, `verifyPlatformContainerResources`).
fn add_limits(limits: &LimitsRequest, body: &mut Value, request: &mut ProbeRequest) {
    let quota = |period: u64| period * limits.cpu_percent / 100;
    let period = if quota(PERIOD) < LEAST_QUOTA { LONG_PERIOD } else { PERIOD };
    let host = &mut body["HostConfig"];
    host["Memory"] = json!(limits.memory);
    host["MemorySwap"] = json!(limits.memory);
    host["PidsLimit"] = json!(limits.pids);
    host["CpuPeriod"] = json!(period);
    host["CpuQuota"] = json!(quota(period));
    request.limits = Some(limits.clone());
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
        let pair = pair(&options, &Wanted::new(Expected::default(), Room::default()), None, false);
        assert_eq!(pair.others.iter().map(|spec| spec.role).collect::<Vec<_>>(), ["privileged", "neighbour"]);
        for spec in &pair.others {
            assert_eq!(spec.body["HostConfig"]["Mounts"][0]["Source"], pair.volume);
            assert!(spec.body["Cmd"][0].as_str().unwrap().contains(&containers::name(&options.run, "run")));
        }
    }

    /// The limits of the first container where this one has so much room, and the body that asks for them.
    fn limited(room: Room) -> (LimitsRequest, Value) {
        let options = crate::testing::options(&PlanRequest::default());
        let wanted = Wanted::new(Expected::default(), room);
        let host = crate::host::fake::Fake::new();
        let body = container(&host, &options, &wanted, "run", &[Part::Limits]).body;
        (wanted.limits, body["HostConfig"].clone())
    }

    #[test]
    fn limits_are_no_greater_than_those_of_this_container() {
        let (limits, _) = limited(Room::default());
        assert_eq!(
            limits,
            LimitsRequest { memory: MEMORY, pids: PIDS, cpu_percent: 50, spares_memory: false }
        );
        let small = 16 << 20;
        let room =
            Room { memory: Some(small), memory_left: Some(small), pids: Some(70), cpu_percent: Some(33) };
        let (limits, body) = limited(room);
        assert_eq!(limits, LimitsRequest { memory: small, pids: 35, cpu_percent: 33, spares_memory: true });
        assert_eq!((&body["CpuQuota"], &body["CpuPeriod"]), (&json!(6600), &json!(20_000)));
        let in_turn = |room: Room| Wanted::new(Expected::default(), room).in_turn;
        assert!(in_turn(room) && !in_turn(Room::default()));
        assert!(in_turn(Room { pids: Some(90), ..Room::default() }));
        let (_, body) = limited(Room { cpu_percent: Some(2), ..Room::default() });
        assert_eq!((&body["CpuQuota"], &body["CpuPeriod"]), (&json!(2000), &json!(100_000)));
    }

    #[test]
    fn privileged_container_keeps_its_users_where_others_are_mapped() {
        let options = crate::testing::options(&PlanRequest::default());
        let remapped = Expected { remap: Some("x".into()), ..Expected::default() };
        for (expected, mode) in [(Expected::default(), Value::Null), (remapped, json!("host"))] {
            let wanted = Wanted::new(expected, Room::default());
            let pair = pair(&options, &wanted, None, false);
            assert_eq!(privileged(&options, &wanted).body["HostConfig"]["UsernsMode"], mode);
            let modes: Vec<_> =
                pair.others.iter().map(|spec| &spec.body["HostConfig"]["UsernsMode"]).collect();
            assert_eq!(modes, [&mode, &Value::Null]);
        }
    }

    #[test]
    fn nothing_is_published_without_a_default_network() {
        let options = crate::testing::options(&PlanRequest::default());
        let off = crate::facts::daemon::Off { by: "x".into(), undo: "y".into() };
        let wanted = Wanted::new(Expected { bridge: Some(off), ..Expected::default() }, Room::default());
        let host = crate::host::fake::Fake::new();
        let spec = container(&host, &options, &wanted, "run", &[Part::Network]);
        assert!(spec.body["HostConfig"]["PortBindings"].is_null());
        assert_eq!(spec.body["HostConfig"]["NetworkMode"], "none");
        assert_eq!(pair(&options, &wanted, None, false).from, "none");
    }
}

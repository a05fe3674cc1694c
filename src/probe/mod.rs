//! The probe: dindcheck as the only program of the built-in image, which reports what its container has.
//!
//! It prints one JSON document ([`Document`]) on one line and exits. Its [`ProbeRequest`] may also let it exceed its limits,
//! read and write, connect to others, and wait for a line on its standard input before it exits, so that the container
//! can be inspected from outside.

use std::io::{BufRead, Write};

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use signal_hook::consts::SIGTERM;

use crate::exit;
use crate::host::SystemReader;
use crate::host::live::Live;

pub mod cgroup;
pub mod dns;
pub mod identity;
pub mod layers;
pub mod limits;
mod names;
pub mod net;
pub mod privileged;
pub mod reach;
pub mod request;
pub mod serve;
pub mod storage;

pub use request::ProbeRequest;

/// The argument with which the probe prints [`DEATH_MESSAGE`] and kills itself: its exit code is 137.
pub const DIE: &str = "die";
/// The message before it kills itself.
pub const DEATH_MESSAGE: &str = "killed on request";

/// The version of the document, which increases when a field changes its meaning.
pub const PROTOCOL: u32 = 1;

/// The exit code after SIGTERM: 128 + the number of the signal, as in shells.
pub const TERMINATED: i32 = 128 + SIGTERM;

/// What a container has, and the results of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The ids and privileges of the process.
    pub identity: identity::Identity,
    /// Its cgroups and their limits.
    pub cgroup: cgroup::Cgroup,
    /// The mounts, as `TARGET FSTYPE OPTIONS`.
    pub mounts: Vec<String>,
    /// The network.
    pub network: net::Network,
    /// Whether the layers of the image are stacked correctly.
    pub layers: layers::Layers,
    /// The wall clock, in milliseconds since 1970.
    pub clock_ms: u64,
    /// The results of exceeding the limits.
    #[serde(default)]
    pub limits: Option<limits::Limits>,
    /// The results of reading and writing.
    #[serde(default)]
    pub storage: Option<storage::Storage>,
    /// The results of connecting to others.
    #[serde(default)]
    pub reached: Option<reach::Reached>,
    /// The results of using privileges.
    #[serde(default)]
    pub privileged: Option<privileged::Privileged>,
}

/// Reads what the container has; the results of requests are empty.
pub fn look(host: &dyn SystemReader) -> Document {
    Document {
        protocol: PROTOCOL,
        identity: identity::look(host),
        cgroup: cgroup::look(host),
        mounts: mounts(host),
        network: net::look(host),
        layers: layers::look(host),
        clock_ms: now_ms(),
        limits: None,
        storage: None,
        reached: None,
        privileged: None,
    }
}

/// Reads what the container has and performs the request. Connections are made in the background of the rest.
pub fn perform(host: &Live, request: &ProbeRequest) -> Document {
    let mut document = look(host);
    // After a restart only the storage is checked again.
    let restarted = request
        .storage
        .as_ref()
        .is_some_and(|storage_request| storage::life(host, storage_request) == storage::Life::Second);
    let reached = request.reach.clone().filter(|_| !restarted).map(|reach_request| {
        let host = host.clone();
        let shared = request.storage.clone().filter(|_| reach_request.peer.is_some());
        std::thread::spawn(move || {
            shared.iter().for_each(storage::await_peer);
            reach::reach(&host, &reach_request)
        })
    });
    if let Some(storage_request) = request.storage.as_ref().filter(|_| restarted) {
        storage::announce(storage_request);
    }
    document.storage =
        request.storage.as_ref().map(|storage_request| storage::try_out(host, storage_request));
    document.privileged = request.privileged.then(|| privileged::try_out(host));
    document.reached = reached.and_then(|thread| thread.join().ok());
    // Last, since the OOM killer may end the whole container.
    document.limits = request
        .limits
        .as_ref()
        .filter(|_| !restarted)
        .map(|reach_request| limits::exceed(host, reach_request));
    document
}

/// The mounts as lines.
fn mounts(host: &dyn SystemReader) -> Vec<String> {
    let mounts = crate::facts::mounts::Mounts::read(host).unwrap_or_default();
    let joined = |options: &std::collections::BTreeSet<String>| {
        options.iter().map(String::as_str).collect::<Vec<_>>().join(",")
    };
    let line = |m: &crate::facts::mounts::Mount| {
        format!("{} {} {}", m.target.display(), m.fstype, joined(&m.options))
    };
    mounts.0.iter().map(line).collect()
}

/// The wall clock, in milliseconds since 1970.
fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Prints [`DEATH_MESSAGE`] and kills this process.
fn die() -> u8 {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{DEATH_MESSAGE}").and_then(|()| out.flush());
    let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::SIGKILL);
    exit::UNKNOWN
}

/// Runs the probe with the arguments of `dindcheck probe`; returns the exit code.
pub fn main(args: &[String]) -> u8 {
    if args.first().is_some_and(|arg| arg == limits::ALLOCATE) {
        return limits::allocate(&args[1..]);
    }
    if args.first().is_some_and(|arg| arg == DIE) {
        return die();
    }
    let Ok(request) = ProbeRequest::parse(args) else { return exit::USAGE };
    if request.hold {
        // The init process of a pid namespace receives only signals that it handles (pid_namespaces(7)).
        let always = Arc::new(AtomicBool::new(true));
        let _ = signal_hook::flag::register_conditional_shutdown(SIGTERM, TERMINATED, always);
    }
    if let Some(port) = request.serve {
        // Those who connect will notice a failure; the document is printed all the same.
        let _ = serve::greet(port);
    }
    let document = serde_json::to_string(&perform(&Live::default(), &request)).unwrap_or_default();
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{document}").and_then(|()| out.flush()).is_err() {
        return exit::UNKNOWN;
    }
    if request.hold {
        let _ = std::io::stdin().lock().read_line(&mut String::new());
    }
    exit::SOUND
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn empty_machine_gives_a_document() {
        let document = look(&Fake::new());
        let text = serde_json::to_string(&document).unwrap();
        assert_eq!(serde_json::from_str::<Document>(&text).unwrap(), document);
        assert_eq!(document.protocol, 1);
    }
}

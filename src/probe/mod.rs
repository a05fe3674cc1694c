//! What does a container get? This program, run as the only one of the built-in image, looks around and tells.
//!
//! It prints one JSON document on one line ([`Document`]) and ends. What else it does is in its [`ProbeRequest`]: to run
//! against its limits, to read and write, to reach others, and to wait for a line on its standard input before it
//! ends, so that whoever started it can look at it from outside.

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

/// The word that makes the probe tell that it runs, and be killed: its exit code is 137.
pub const DIE: &str = "die";
/// What it says before.
pub const LAST_WORDS: &str = "killed on request";

/// The version of the document; it counts up when a field changes its meaning.
pub const PROTOCOL: u32 = 1;

/// The exit code after SIGTERM: 128 and the signal's number, as shells have it.
pub const TERMINATED: i32 = 128 + SIGTERM;

/// What a container sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// Who it is.
    pub identity: identity::Identity,
    /// Its cgroups and the limits in them.
    pub cgroup: cgroup::Cgroup,
    /// What is mounted: `TARGET FSTYPE OPTIONS`.
    pub mounts: Vec<String>,
    /// Its network.
    pub network: net::Network,
    /// Whether the image's layers lie over each other as they should.
    pub layers: layers::Layers,
    /// Milliseconds since 1970.
    pub clock_ms: u64,
    /// What came of running against the limits.
    #[serde(default)]
    pub limits: Option<limits::Limits>,
    /// What came of reading and writing.
    #[serde(default)]
    pub storage: Option<storage::Storage>,
    /// What was reached.
    #[serde(default)]
    pub reached: Option<reach::Reached>,
    /// What came of a privilege.
    #[serde(default)]
    pub privileged: Option<privileged::Privileged>,
}

/// Looks around.
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

/// Looks around and does what it is ordered. The network is waited for while the rest is done.
pub fn carry_out(host: &Live, orders: &ProbeRequest) -> Document {
    let mut document = look(host);
    // A container that is started again is to show what it still has; the rest it has shown.
    let second =
        orders.storage.as_ref().is_some_and(|places| storage::life(host, places) == storage::Life::Second);
    let others = orders.reach.clone().filter(|_| !second).map(|wanted| {
        let host = host.clone();
        let other = orders.storage.clone().filter(|_| wanted.peer.is_some());
        std::thread::spawn(move || {
            other.iter().for_each(storage::await_the_other);
            reach::reach(&host, &wanted)
        })
    });
    if let Some(places) = orders.storage.as_ref().filter(|_| second) {
        storage::announce(places);
    }
    document.storage = orders.storage.as_ref().map(|places| storage::try_out(host, places));
    document.privileged = orders.privileged.then(|| privileged::try_out(host));
    document.reached = others.and_then(|thread| thread.join().ok());
    // The last, since it is a danger to everything else in here.
    document.limits =
        orders.limits.as_ref().filter(|_| !second).map(|wanted| limits::run_against(host, wanted));
    document
}

/// The mounts, short.
fn mounts(host: &dyn SystemReader) -> Vec<String> {
    let mounts = crate::facts::mounts::Mounts::read(host).unwrap_or_default();
    let words = |options: &std::collections::BTreeSet<String>| {
        options.iter().map(String::as_str).collect::<Vec<_>>().join(",")
    };
    let line = |m: &crate::facts::mounts::Mount| {
        format!("{} {} {}", m.target.display(), m.fstype, words(&m.options))
    };
    mounts.0.iter().map(line).collect()
}

/// The wall clock.
fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Says its last words and is killed.
fn die() -> u8 {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{LAST_WORDS}").and_then(|()| out.flush());
    let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::SIGKILL);
    exit::UNKNOWN
}

/// Runs it; the exit code.
pub fn main(words: &[String]) -> u8 {
    if words.first().is_some_and(|word| word == limits::EAT) {
        return limits::eat(&words[1..]);
    }
    if words.first().is_some_and(|word| word == DIE) {
        return die();
    }
    let Ok(orders) = ProbeRequest::read(words) else { return exit::USAGE };
    if orders.hold {
        // The first process of a container gets no signal that it does not handle (pid_namespaces(7)).
        let always = Arc::new(AtomicBool::new(true));
        let _ = signal_hook::flag::register_conditional_shutdown(SIGTERM, TERMINATED, always);
    }
    if let Some(port) = orders.serve {
        // Whoever comes will notice; the document is worth more than this.
        let _ = serve::greet(port);
    }
    let document = serde_json::to_string(&carry_out(&Live::default(), &orders)).unwrap_or_default();
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{document}").and_then(|()| out.flush()).is_err() {
        return exit::UNKNOWN;
    }
    if orders.hold {
        let _ = std::io::stdin().lock().read_line(&mut String::new());
    }
    exit::SOUND
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn a_bare_machine_gives_a_document_all_the_same() {
        let document = look(&Fake::new());
        let text = serde_json::to_string(&document).unwrap();
        assert_eq!(serde_json::from_str::<Document>(&text).unwrap(), document);
        assert_eq!(document.protocol, 1);
    }
}

//! What does a container get? This program, run as the only one of the built-in image, looks around and tells.
//!
//! It prints one JSON document on one line ([`Document`]) and ends. With the word `hold` it waits for a line on
//! its standard input first, so that whoever started it can look at it from outside.

use std::io::{BufRead, Write};

use serde::{Deserialize, Serialize};

use crate::host::Host;
use crate::host::live::Live;
use crate::report::exit;

pub mod cgroup;
pub mod identity;
pub mod layers;
pub mod net;

/// The version of the document; it counts up when a field changes its meaning.
pub const PROTOCOL: u32 = 1;
/// The word that makes it wait.
pub const HOLD: &str = "hold";

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
}

/// Looks around.
pub fn look(host: &dyn Host) -> Document {
    Document {
        protocol: PROTOCOL,
        identity: identity::look(host),
        cgroup: cgroup::look(host),
        mounts: mounts(host),
        network: net::look(host),
        layers: layers::look(host),
        clock_ms: now_ms(),
    }
}

/// The mounts, short.
fn mounts(host: &dyn Host) -> Vec<String> {
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

/// Runs it; the exit code.
pub fn main(words: &[String]) -> u8 {
    let host = Live::default();
    let document = serde_json::to_string(&look(&host)).unwrap_or_default();
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{document}").and_then(|()| out.flush()).is_err() {
        return exit::UNKNOWN;
    }
    if words.iter().any(|word| word == HOLD) {
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

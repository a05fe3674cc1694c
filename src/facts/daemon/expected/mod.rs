//! What an inner container is to get from its daemon, and which option of the daemon switches the rest off.
//!
//! The steps of the workload judge against this, so that what somebody switched off is a warning that names
//! the option and never a failure.

use std::path::Path;

use serde_json::Value;

use super::given::{Given, given};
use super::{Daemon, Invocation};
use crate::facts::process::{self, Process};
use crate::facts::programs::{self, Place};
use crate::host::SystemReader;

pub mod room;

pub use room::Room;

/// The sysctl of forwarding.
const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
/// The key of a bridge's masquerading in the options of its network (moby `drivers/bridge/labels.go`).
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";

/// What switches something off, the option as it was given or what the daemon says, and how it is switched on again.
pub type Off = Given;

/// What an inner container is to get; `None` is what every daemon gives without further options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// No network but those that somebody makes (`--bridge=none`).
    pub bridge: Option<Off>,
    /// No firewall rules (`--iptables=false`).
    pub firewall: Option<Off>,
    /// No masquerading on the default bridge.
    pub masquerade: Option<Off>,
    /// No forwarding: dockerd is not to turn it on, and nobody else has.
    pub forwarding: Option<Off>,
    /// No docker-proxy for published ports.
    pub proxy: Option<Off>,
    /// No rules for the daemon's name server in a container on a network that somebody made: dockerd has no iptables.
    pub names: Option<Off>,
    /// The option that maps the users of containers to others, by which privileged containers need `--userns=host`.
    pub remap: Option<String>,
}

impl Expected {
    /// Why containers on the default bridge do not reach beyond it.
    pub fn no_way_out(&self) -> Option<&Off> {
        self.forwarding.as_ref().or(self.masquerade.as_ref())
    }

    /// Why a published port answers nowhere: it takes a rule or a proxy.
    pub fn no_ports(&self) -> Option<&Off> {
        self.proxy.as_ref().and(self.firewall.as_ref())
    }

    /// By the configuration of a daemon that dindcheck starts.
    pub fn of(host: &dyn SystemReader, daemon: &Daemon) -> Self {
        let settings = &daemon.settings;
        let off = |key: &str, is_on: bool| (!is_on).then(|| given(daemon, key));
        let firewall = off("iptables", settings.iptables);
        let masquerade = off("ip-masq", settings.ip_masq);
        Self {
            bridge: off("bridge", settings.bridge != "none"),
            masquerade: masquerade.or_else(|| firewall.clone()),
            forwarding: off("ip-forward", settings.ip_forward).filter(|_| is_off(host, IP_FORWARD)),
            proxy: off("userland-proxy", settings.userland_proxy),
            names: firewall.is_some().then(|| without_iptables(host)).flatten(),
            firewall,
            remap: settings.userns_remap.as_ref().map(|_| given(daemon, "userns-remap").by),
        }
    }

    /// By the configuration of the only dockerd in this mount namespace; what the default gives where there is none or more.
    pub fn of_running(host: &dyn SystemReader) -> Self {
        let daemon = running(host).and_then(|line| {
            let (command, args) = line.split_first()?;
            let invocation = Invocation { command, args, data_root: None, debug: false };
            Daemon::read(host, &invocation).ok()
        });
        daemon.map(|daemon| Self::of(host, &daemon)).unwrap_or_default()
    }

    /// Adds what the daemon itself says: its `GET /info`, and its network `bridge` (`None` where it has none).
    #[must_use]
    pub fn corrected(mut self, info: &Value, bridge: Option<&Value>) -> Self {
        let says = |what: &str, undo: &str| Off { by: what.to_owned(), undo: undo.to_owned() };
        let Some(bridge) = bridge else {
            let none =
                || says("no network named `bridge` in the daemon", "start dockerd without `--bridge=none`");
            self.bridge = self.bridge.or_else(|| Some(none()));
            return self.remapped(info);
        };
        self.bridge = None;
        if bridge["Options"][MASQUERADE] == "false" {
            let by = format!("`{MASQUERADE}: false` of the network `bridge`");
            let off = || says(&by, "start dockerd without `--ip-masq=false`");
            self.masquerade = self.masquerade.or_else(|| Some(off()));
        }
        self.remapped(info)
    }

    /// The user namespace, by the security options of `/info`.
    fn remapped(mut self, info: &Value) -> Self {
        let options = info["SecurityOptions"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if options.into_iter().any(|option| option.split(',').any(|part| part == "name=userns")) {
            self.remap =
                self.remap.or_else(|| Some("`name=userns` in the security options of the daemon".into()));
        }
        self
    }
}

/// Whether a sysctl is 0.
fn is_off(host: &dyn SystemReader, sysctl: &str) -> bool {
    host.read_line(Path::new(sysctl)).is_ok_and(|value| value == "0")
}

/// dockerd redirects the queries of a container to its name server by iptables, also with `--iptables=false` (libnetwork
/// `resolver_unix.go`, `setupIPTable`).
fn without_iptables(host: &dyn SystemReader) -> Option<Off> {
    let found = programs::find(host, "iptables", &programs::path_dirs(host));
    let missing = matches!(found, Ok(Place::Nowhere | Place::NotExecutable(_)));
    missing.then(|| Off {
        by: "no program `iptables` in dockerd's PATH".into(),
        undo: "install iptables (`apk add iptables`, `apt-get install iptables`), and restart dockerd".into(),
    })
}

/// The command line of the only dockerd in this mount namespace.
fn running(host: &dyn SystemReader) -> Option<Vec<String>> {
    let at = |pid: &str, name: &str| Path::new("/proc").join(pid).join(name);
    let namespace = |pid: &str| host.read_link(&at(pid, "ns/mnt")).ok();
    let own = namespace("self")?;
    let is_here = |process: &Process| {
        process.is_program("dockerd") && namespace(&process.id.pid.to_string()).as_ref() == Some(&own)
    };
    let mut here = process::all(host).ok()?.into_iter().filter(is_here);
    let only = here.next().filter(|_| here.next().is_none())?;
    let line = host.read(&at(&only.id.pid.to_string(), "cmdline")).ok()?;
    let words = line.strip_suffix(b"\0").unwrap_or(&line).split(|byte| *byte == 0);
    Some(words.map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

#[cfg(test)]
mod tests;

//! The settings that follow from the options, with the defaults of dockerd.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::file::ConfigFile;
use super::flags::Flags;
use super::hosts::{self, Listen};
use super::layout::Layout;
use super::rootless::is_rootless;
use super::store::{self, Store};
use super::tls::Tls;
use super::values::Values;
use crate::facts::version::Version;
use crate::host::SystemReader;

/// The socket of a containerd that dockerd did not start; dockerd uses it where the path exists
/// (`systemContainerdRunning` in dockerd's daemon.go).
pub const SYSTEM_CONTAINERD: &str = "/run/containerd/containerd.sock";

/// The daemon's settings.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of dockerd")]
pub struct Settings {
    /// The options as they were given.
    pub values: Values,
    /// `--data-root`.
    pub data_root: PathBuf,
    /// `--exec-root`: sockets and pid files of helpers.
    pub exec_root: PathBuf,
    /// `--pidfile`; empty where none is written.
    pub pidfile: PathBuf,
    /// The addresses on which it listens, without the invalid ones.
    pub hosts: Vec<Listen>,
    /// The errors of invalid values of `--host`.
    pub bad_hosts: Vec<String>,
    /// TLS of its TCP addresses.
    pub tls: Tls,
    /// Which containerd it uses.
    pub containerd: Containerd,
    /// How it stores images and containers.
    pub store: Store,
    /// The configured storage driver; `DOCKER_DRIVER` overrides the option.
    pub driver: Option<String>,
    /// Whether it sets up IPv4 rules.
    pub iptables: bool,
    /// Whether it sets up IPv6 rules; the default since 27.0.
    pub ip6tables: bool,
    /// How it sets up rules.
    pub firewall: Firewall,
    /// Whether it turns on IPv4 forwarding.
    pub ip_forward: bool,
    /// Whether its default bridge masquerades.
    pub ip_masq: bool,
    /// Whether containers on the default bridge may talk to each other.
    pub icc: bool,
    /// Whether IPv6 is on for the default bridge.
    pub ipv6: bool,
    /// The bridge: docker0, another one, or `none`.
    pub bridge: String,
    /// MTU of the default bridge, in bytes.
    pub mtu: i64,
    /// Whether a docker-proxy is started for each published port.
    pub userland_proxy: bool,
    /// Whether containers keep running without it (`--live-restore`).
    pub live_restore: bool,
    /// `--userns-remap`.
    pub userns_remap: Option<String>,
    /// `--cgroup-parent`.
    pub cgroup_parent: Option<String>,
    /// `native.cgroupdriver` of `--exec-opt`.
    pub cgroup_driver: Option<String>,
    /// Address pools of `--default-address-pool`: base and prefix length.
    pub pools: Vec<(String, i64)>,
    /// Whether it runs under rootlesskit or with `--rootless`.
    pub rootless: bool,
}

/// The containerd that dockerd uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Containerd {
    /// dockerd starts one of its own.
    Managed,
    /// dockerd connects to the socket of `--containerd`.
    Named(PathBuf),
    /// dockerd connects to the socket of the system, which exists.
    System(PathBuf),
}

impl Containerd {
    /// The socket that must answer before dockerd starts.
    pub fn socket(&self) -> Option<&Path> {
        match self {
            Self::Managed => None,
            Self::Named(path) | Self::System(path) => Some(path),
        }
    }
}

/// The firewall backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firewall {
    /// The iptables programs, of either kind.
    Iptables,
    /// The nft program (Docker 29.0 and later).
    Nftables,
}

impl Settings {
    /// Derives the settings for a version. An error where a path that decides cannot be read.
    pub(super) fn read(
        host: &dyn SystemReader,
        version: Version,
        flags: &Flags,
        file: &ConfigFile,
    ) -> anyhow::Result<Self> {
        let values = Values::merged(flags, file);
        let text = |key: &str| values.text(key).map(ToOwned::to_owned);
        let on = |key: &str, default: bool| values.switch(key).unwrap_or(default);
        let tls = Tls::read(host, flags, &values);
        let (hosts, bad_hosts) = hosts::listens(host, &values, tls.on);
        let Layout { data_root, exec_root, pidfile, cgroup_parent, containerd: named, .. } =
            Layout::of(host, &values, &hosts);
        let env_driver = host.env("DOCKER_DRIVER").filter(|driver| !driver.is_empty());
        let driver = env_driver.or_else(|| text("storage-driver"));
        Ok(Self {
            exec_root,
            pidfile,
            hosts,
            bad_hosts,
            tls,
            containerd: containerd(host, &values, named)?,
            store: store::choose(host, version, &values, driver.as_deref(), &data_root)?,
            data_root,
            driver,
            iptables: on("iptables", true),
            ip6tables: on("ip6tables", version >= Version::new(27, 0, 0)),
            firewall: firewall(&values),
            ip_forward: on("ip-forward", true),
            ip_masq: on("ip-masq", true),
            icc: on("icc", true),
            ipv6: on("ipv6", false),
            bridge: text("bridge").unwrap_or_else(|| "docker0".to_owned()),
            mtu: values.number("mtu").filter(|mtu| *mtu != 0).unwrap_or(1500),
            userland_proxy: on("userland-proxy", true),
            live_restore: on("live-restore", false),
            userns_remap: text("userns-remap"),
            cgroup_parent,
            cgroup_driver: exec_opt(&values, "native.cgroupdriver"),
            pools: pools(&values),
            rootless: on("rootless", is_rootless(host)),
            values,
        })
    }
}

/// The containerd of `--containerd`, or that of the system where its socket exists, or dockerd's own.
fn containerd(
    host: &dyn SystemReader,
    values: &Values,
    named: Option<PathBuf>,
) -> anyhow::Result<Containerd> {
    if values.feature("embedded-containerd") == Some(true) {
        return Ok(Containerd::Managed);
    }
    if let Some(socket) = named {
        return Ok(Containerd::Named(socket));
    }
    let rootless = is_rootless(host).then(|| host.env_os("XDG_RUNTIME_DIR")).flatten();
    let system = rootless.map_or_else(
        || PathBuf::from(SYSTEM_CONTAINERD),
        |dir| Path::new(&dir).join("containerd/containerd.sock"),
    );
    match host.lstat(&system) {
        Ok(_) => Ok(Containerd::System(system)),
        Err(error) if error.is_absent() => Ok(Containerd::Managed),
        Err(error) => Err(error.into()),
    }
}

/// The backend of the option, which 29.0 introduced. The variable of 28 is ignored, since Debian's 28.5.2 reads it and uses
/// iptables all the same.
fn firewall(values: &Values) -> Firewall {
    match values.text("firewall-backend") {
        Some("nftables") => Firewall::Nftables,
        _ => Firewall::Iptables,
    }
}

/// A value of `--exec-opt name=value`.
fn exec_opt(values: &Values, name: &str) -> Option<String> {
    let pairs = values.list("exec-opts").into_iter().filter_map(|option| option.split_once('='));
    let mut named = pairs.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
    named.next_back().map(|(_, value)| value.trim().to_owned())
}

/// The address pools, given as JSON objects in the file or as `base=10.0.0.0/8,size=24` in a flag.
fn pools(values: &Values) -> Vec<(String, i64)> {
    let list = values.get("default-address-pools").and_then(Value::as_array);
    let read = |pool: &Value| match pool {
        Value::String(text) => {
            let field =
                |name| text.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
            Some((field("base")?.to_owned(), field("size")?.parse().ok()?))
        }
        pool => Some((pool.get("base")?.as_str()?.to_owned(), pool.get("size")?.as_i64()?)),
    };
    list.into_iter().flatten().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{daemon, machine};
    use super::*;
    use crate::host::FileKind;

    #[test]
    fn defaults_are_those_of_the_version() {
        let old = daemon(&machine("20.10.24"), &[]).settings;
        assert_eq!(old.data_root, Path::new("/var/lib/docker"));
        assert_eq!(old.hosts, [Listen::Unix("/var/run/docker.sock".into())]);
        assert!(old.iptables && !old.ip6tables && old.userland_proxy && !old.tls.on);
        assert_eq!((old.containerd, old.mtu, old.bridge.as_str()), (Containerd::Managed, 1500, "docker0"));
        assert!(daemon(&machine("28.5.2"), &[]).settings.ip6tables);
    }

    #[test]
    fn flags_and_file_are_merged() {
        let json = r#"{"data-root": "/d", "iptables": false, "exec-opts": ["native.cgroupdriver=systemd"],
            "default-address-pools": [{"base": "10.9.0.0/16", "size": 24}]}"#;
        let host = machine("28.5.2").file("/etc/docker/daemon.json", json);
        let settings = daemon(&host, &["-s", "btrfs", "--pidfile=", "-H", "tcp://0.0.0.0:2375"]).settings;
        assert_eq!(
            (settings.data_root.as_path(), settings.pidfile.as_path()),
            (Path::new("/d"), Path::new(""))
        );
        assert!(!settings.iptables && settings.driver.as_deref() == Some("btrfs"));
        assert_eq!(settings.cgroup_driver.as_deref(), Some("systemd"));
        assert_eq!(settings.pools, [("10.9.0.0/16".to_owned(), 24)]);
    }

    #[test]
    fn system_containerd_is_used_where_its_socket_exists() {
        let host = machine("26.1.5").node(SYSTEM_CONTAINERD, FileKind::Socket);
        assert_eq!(daemon(&host, &[]).settings.containerd, Containerd::System(SYSTEM_CONTAINERD.into()));
        let named = daemon(&host, &["--containerd=/x.sock"]).settings.containerd;
        assert_eq!(named, Containerd::Named("/x.sock".into()));
    }

    #[test]
    fn only_the_option_chooses_nftables() {
        let early = machine("28.5.2").variable("DOCKER_FIREWALL_BACKEND", "nftables");
        assert_eq!(daemon(&early, &[]).settings.firewall, Firewall::Iptables);
        let chosen = daemon(&machine("29.0.0"), &["--firewall-backend=nftables"]);
        assert_eq!(chosen.settings.firewall, Firewall::Nftables);
    }
}

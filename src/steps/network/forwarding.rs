//! Are packets forwarded, and do those of a bridge pass the rules?

use std::path::Path;

use anyhow::{Context, ensure};
use nix::errno::Errno;

use super::{Facts, is_host_namespace};
use crate::diagnosis::{CauseId, causes};
use crate::facts::daemon::{Daemon, Firewall};
use crate::facts::mounts::Mounts;
use crate::facts::version::Version;
use crate::finding::Finding;
use crate::host::SystemReader;
use crate::kernel_modules;
use crate::repair_log::RepairLog;

const OFF: CauseId = causes::IP_FORWARD_DISABLED;
const NOT_WRITABLE: CauseId = causes::IP_FORWARD_NOT_WRITABLE;
const IO_ERROR: CauseId = causes::PROC_SYS_EMULATION_IO_ERROR;
const NO_BR_NETFILTER: CauseId = causes::BR_NETFILTER_UNAVAILABLE;

const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
const BRIDGE_NF: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";
/// `ST_RDONLY` of statvfs(3).
const READ_ONLY: u64 = 1;

pub(super) fn judge(host: &dyn SystemReader, facts: &Facts) -> anyhow::Result<Vec<Finding>> {
    let mut findings = vec![forwarding(host, facts)?];
    findings.extend(br_netfilter(host, facts)?);
    Ok(findings)
}

/// By iptables dockerd writes the sysctl itself; with nftables it only looks (setup_ip_forwarding.go).
fn forwarding(host: &dyn SystemReader, facts: &Facts) -> anyhow::Result<Finding> {
    let path = Path::new(IP_FORWARD);
    let value = match host.read_line(path) {
        Ok(value) => value,
        Err(error) if error.errno() == Errno::EIO => {
            return Ok(Finding::fail(
                IO_ERROR,
                "the sysctl ip_forward cannot be read: what emulates /proc/sys fails",
            )
            .with("tried", error));
        }
        Err(error) => return Err(error.into()),
    };
    let finding = if value == "1" {
        Finding::pass("IPv4 packets are forwarded")
    } else if !facts.settings.ip_forward {
        Finding::warn(OFF, "IPv4 packets are not forwarded, and dockerd is told to leave it so (--ip-forward=false): no container reaches the outside")
            .hint("sysctl -w net.ipv4.ip_forward=1")
    } else if facts.settings.firewall == Firewall::Nftables {
        Finding::fail(
            OFF,
            "IPv4 packets are not forwarded, and with the nftables back end dockerd refuses to start so",
        )
        .hint("sysctl -w net.ipv4.ip_forward=1")
    } else if host.statfs(path)?.flags & READ_ONLY != 0 {
        Finding::fail(
            NOT_WRITABLE,
            "IPv4 packets are not forwarded, and dockerd cannot switch it on: /proc/sys is read-only",
        )
    } else {
        Finding::pass("IPv4 packets are not forwarded yet; dockerd switches it on")
    };
    Ok(finding.with("path", IP_FORWARD).with("value", value))
}

/// Whether dockerd will ask for `br_netfilter`, and it is not there.
pub(super) fn needs_br_netfilter(host: &dyn SystemReader, daemon: &Daemon) -> anyhow::Result<bool> {
    let settings = &daemon.settings;
    let wanted = settings.iptables && settings.bridge != "none" && !(settings.icc && settings.userland_proxy);
    Ok(wanted && !host.exists(Path::new(BRIDGE_NF))?)
}

/// Up to 27 dockerd lets it pass where `/.dockerenv` is; later only where a variable says so
/// (setup_bridgenetfiltering.go).
fn br_netfilter(host: &dyn SystemReader, facts: &Facts) -> anyhow::Result<Option<Finding>> {
    let refused = facts.tried.get("br-netfilter").and_then(|attempt| attempt.error.as_ref());
    let Some(error) = refused else { return Ok(None) };
    let told = host.env("DOCKER_IGNORE_BR_NETFILTER_ERROR").is_some_and(|value| value == "1");
    let old = facts.version < Version::new(28, 0, 0) && host.exists(Path::new("/.dockerenv"))?;
    let why = if facts.settings.icc { "--userland-proxy=false" } else { "--icc=false" };
    let finding = if told || old {
        Finding::warn(
            NO_BR_NETFILTER,
            format!("br_netfilter is not there, so {why} does not do what it says"),
        )
    } else {
        Finding::fail(
            NO_BR_NETFILTER,
            format!("br_netfilter is not there, and dockerd refuses to start with {why}"),
        )
        .hint(kernel_modules::hint(NO_BR_NETFILTER))
    };
    Ok(Some(finding.with("tried", error)))
}

/// The repair: only in a network namespace of this container's own.
pub(super) fn switch_on(host: &dyn SystemReader, hands: &mut RepairLog<'_>) -> anyhow::Result<()> {
    ensure!(
        !is_host_namespace(host)?,
        "the network namespace is the host's own: there it is the host's to decide (sysctl -w net.ipv4.ip_forward=1)"
    );
    let path = Path::new(IP_FORWARD);
    let before = host.read_line(path)?;
    hands.write(path, "1", &before).context("switch IP forwarding on")
}

/// The other repair: dockerd then writes the sysctl itself.
pub(super) fn make_writable(host: &dyn SystemReader, hands: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let mounts = Mounts::read(host)?;
    let mount = mounts.holding(Path::new(IP_FORWARD)).context("no mount holds the sysctl")?;
    ensure!(mount.is_read_only(), "the file system below {} is read-only as a whole", mount.target.display());
    hands.remount_writable(&mount.target, mount.kept_flags()).context("make the sysctl writable")?;
    Ok(())
}

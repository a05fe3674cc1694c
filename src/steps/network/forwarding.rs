//! Checks IP forwarding, and that iptables sees the packets of a bridge.

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

/// With iptables dockerd writes the sysctl itself; with nftables it only reads it (setup_ip_forwarding.go).
fn forwarding(host: &dyn SystemReader, facts: &Facts) -> anyhow::Result<Finding> {
    let path = Path::new(IP_FORWARD);
    let value = match host.read_line(path) {
        Ok(value) => value,
        Err(error) if error.errno() == Errno::EIO => {
            return Ok(Finding::fail(
                IO_ERROR,
                "the sysctl ip_forward cannot be read: the emulation of /proc/sys fails",
            )
            .with("tried", error));
        }
        Err(error) => return Err(error.into()),
    };
    let finding = if value == "1" {
        Finding::pass("IPv4 forwarding is on")
    } else if !facts.settings.ip_forward {
        Finding::warn(OFF, "IPv4 forwarding is off, and dockerd does not enable it (--ip-forward=false): containers do not reach the outside")
            .hint("sysctl -w net.ipv4.ip_forward=1")
    } else if facts.settings.firewall == Firewall::Nftables {
        Finding::fail(OFF, "IPv4 forwarding is off: with the nftables backend dockerd does not start")
            .hint("sysctl -w net.ipv4.ip_forward=1")
    } else if host.statfs(path)?.flags & READ_ONLY != 0 {
        Finding::fail(
            NOT_WRITABLE,
            "IPv4 forwarding is off, and dockerd cannot enable it: /proc/sys is read-only",
        )
    } else {
        Finding::pass("IPv4 forwarding is off; dockerd enables it")
    };
    Ok(finding.with("path", IP_FORWARD).with("value", value))
}

/// Whether dockerd needs `br_netfilter` and it is missing.
pub(super) fn needs_br_netfilter(host: &dyn SystemReader, daemon: &Daemon) -> anyhow::Result<bool> {
    let settings = &daemon.settings;
    let wanted = settings.iptables && settings.bridge != "none" && !(settings.icc && settings.userland_proxy);
    Ok(wanted && !host.exists(Path::new(BRIDGE_NF))?)
}

/// Up to 27 dockerd ignores this if `/.dockerenv` exists; later only if a variable says so
/// (setup_bridgenetfiltering.go).
fn br_netfilter(host: &dyn SystemReader, facts: &Facts) -> anyhow::Result<Option<Finding>> {
    let refused = facts.tried.get("br-netfilter").and_then(|attempt| attempt.error.as_ref());
    let Some(error) = refused else { return Ok(None) };
    let ignored = host.env("DOCKER_IGNORE_BR_NETFILTER_ERROR").is_some_and(|value| value == "1");
    let old = facts.version < Version::new(28, 0, 0) && host.exists(Path::new("/.dockerenv"))?;
    let why = if facts.settings.icc { "--userland-proxy=false" } else { "--icc=false" };
    let finding = if ignored || old {
        Finding::warn(NO_BR_NETFILTER, format!("br_netfilter is missing, so {why} has no effect"))
    } else {
        Finding::fail(NO_BR_NETFILTER, format!("br_netfilter is missing: dockerd does not start with {why}"))
            .hint(format!("{}, or start dockerd without `{why}`", kernel_modules::hint(NO_BR_NETFILTER)))
    };
    Ok(Some(finding.with("tried", error)))
}

/// The repair, only in a private network namespace.
pub(super) fn enable(host: &dyn SystemReader, log: &mut RepairLog<'_>) -> anyhow::Result<()> {
    ensure!(
        !is_host_namespace(host)?,
        "not changed in the host's network namespace (on the host: sysctl -w net.ipv4.ip_forward=1)"
    );
    let path = Path::new(IP_FORWARD);
    let before = host.read_line(path)?;
    log.write(path, "1", &before).context("enable IP forwarding")
}

/// The repair of a read-only sysctl: dockerd then writes it itself.
pub(super) fn make_writable(host: &dyn SystemReader, log: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let mounts = Mounts::read(host)?;
    let mount = mounts.holding(Path::new(IP_FORWARD)).context("no mount contains the sysctl")?;
    ensure!(mount.is_read_only(), "the whole file system of {} is read-only", mount.target.display());
    log.remount_writable(&mount.target, mount.kept_flags()).context("make the sysctl writable")?;
    Ok(())
}

//! Checks that the inner engine can give its containers a network.
//!
//! A child with its own network namespace makes interfaces and firewall rules, with the firewall backend that dockerd will
//! use. From the real namespace, routes, forwarding, MTU, resolvers and reverse path filters are only read.

use crate::diagnosis::causes;
use std::path::{Path, PathBuf};

use crate::facts::daemon::{self, Daemon, Settings};
use crate::facts::programs::{Place, find, path_dirs};
use crate::facts::routes::Routes;
use crate::facts::version::Version;
use crate::finding::{Finding, Level, Reach};
use crate::host::trial::{Firewall, NetworkRequest, Trial, TrialReport};
use crate::host::{HostResult, SystemReader};
use crate::kernel_modules;
use crate::options::Need;
use crate::repair_log::RepairLog;
use crate::step::{Cx, Phase, Repair, Step};

mod addresses;
mod dropping;
mod firewall;
mod forwarding;
mod links;
mod resolver;

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "network",
    title: "Network and firewall",
    why: "dockerd makes a bridge and NAT rules before it serves; if it cannot, it exits, or its containers reach nothing.",
    phase: Phase::Environment,
    worst: Level::Fail,
    needs: &[Need::DockerdVersion],
    rests_on: &[],
    check,
    repair: Some(Repair {
        title: "Enable IP forwarding, and load missing modules where the host may be changed",
        reach: Reach::Container,
        apply: repair,
    }),
};

/// The configuration of dockerd and the state of this machine.
struct Facts {
    version: Version,
    settings: Settings,
    /// The firewall programs.
    programs: Programs,
    /// The report of the trial.
    tried: TrialReport,
    routes: Routes,
    /// Whether the network namespace is the host's.
    is_host: bool,
}

/// The firewall programs in dockerd's PATH.
struct Programs {
    /// iptables, or nft with the nftables backend.
    chosen: Option<PathBuf>,
    /// ip6tables.
    six: Option<PathBuf>,
    /// The other iptables variants: `iptables-legacy` and `iptables-nft`.
    kinds: Vec<PathBuf>,
}

/// Starts the trial while the steps before are still running.
pub(super) fn begin(host: &dyn SystemReader, daemon: &Daemon) -> anyhow::Result<()> {
    let programs = programs(host, &daemon.settings)?;
    host.trial_ahead(&trial(host, daemon, &programs)?);
    Ok(())
}

/// The trial.
fn trial(host: &dyn SystemReader, daemon: &Daemon, programs: &Programs) -> anyhow::Result<Trial> {
    Ok(Trial::Network(NetworkRequest {
        firewall: firewall_trial(host, daemon, programs),
        br_netfilter: forwarding::needs_br_netfilter(host, daemon)?,
    }))
}

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let daemon = Daemon::read(cx.host, &cx.options.daemon())?;
    let programs = programs(cx.host, &daemon.settings)?;
    let trial = trial(cx.host, &daemon, &programs)?;
    let facts = Facts {
        version: daemon.version,
        tried: cx.host.trial(&trial)?,
        routes: Routes::read(cx.host)?,
        is_host: is_host_namespace(cx.host)?,
        settings: daemon.settings,
        programs,
    };
    let mut findings = links::judge(&facts.tried, &facts.settings);
    // The headline of a passed step is its last finding: that the firewall works.
    let mut good = Vec::new();
    if facts.tried.get("network-namespace").is_some_and(|attempt| attempt.error.is_none()) {
        let (works, refused) =
            firewall::judge(cx.host, &facts)?.into_iter().partition(|finding| finding.level == Level::Pass);
        good = works;
        findings.extend::<Vec<Finding>>(refused);
    }
    findings.extend(forwarding::judge(cx.host, &facts)?);
    findings.extend(dropping::judge(cx.host, &facts));
    findings.extend(addresses::judge(cx.host, &facts)?);
    findings.extend(resolver::judge(cx.host, &facts)?);
    findings.extend(resolver::proxy(cx.host));
    findings.append(&mut good);
    Ok(findings)
}

/// Finds the programs as dockerd does, by name in PATH.
fn programs(host: &dyn SystemReader, settings: &Settings) -> HostResult<Programs> {
    let dirs = path_dirs(host);
    let at = |name: &str| -> HostResult<Option<PathBuf>> {
        Ok(match find(host, name, &dirs)? {
            Place::At(path) => Some(path),
            Place::NotExecutable(_) | Place::Nowhere => None,
        })
    };
    let kinds = [at("iptables-legacy")?, at("iptables-nft")?];
    let chosen = match settings.firewall {
        daemon::Firewall::Iptables => at("iptables")?,
        daemon::Firewall::Nftables => at("nft")?,
    };
    Ok(Programs { chosen, six: at("ip6tables")?, kinds: kinds.into_iter().flatten().collect() })
}

/// The firewall part of the trial: none if dockerd sets no rules, or if the program is missing.
fn firewall_trial(host: &dyn SystemReader, daemon: &Daemon, programs: &Programs) -> Option<Firewall> {
    let program = programs.chosen.clone().filter(|_| daemon.settings.iptables)?;
    let six = programs.six.clone().filter(|_| daemon.settings.ip6tables);
    let no_raw = host.env("DOCKER_INSECURE_NO_IPTABLES_RAW").is_some_and(|value| value == "1");
    Some(match daemon.settings.firewall {
        daemon::Firewall::Nftables => Firewall::Nft { program },
        daemon::Firewall::Iptables => Firewall::Iptables {
            program,
            six,
            raw: daemon.version >= Version::new(28, 0, 0) && !no_raw,
            others: programs.kinds.clone(),
        },
    })
}

/// Some sysctls exist only in the host's network namespace (net/core/sysctl_net_core.c, `net_core_table`).
fn is_host_namespace(host: &dyn SystemReader) -> HostResult<bool> {
    host.exists(Path::new("/proc/sys/net/core/dev_weight"))
}

/// Repairs what the failed check found.
fn repair(cx: &Cx<'_>, log: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let findings = check(cx)?;
    let failed = findings.iter().filter(|finding| finding.level == Level::Fail);
    for cause in failed.filter_map(|finding| finding.cause) {
        match (cause, kernel_modules::behind(cause)) {
            (causes::IP_FORWARD_DISABLED, _) => forwarding::enable(cx.host, log)?,
            (causes::IP_FORWARD_NOT_WRITABLE, _) => forwarding::make_writable(cx.host, log)?,
            (_, modules) => kernel_modules::load(cx, log, modules)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Can the inner engine give its containers a network?
//!
//! Interfaces and firewall rules are tried in a child with a network namespace of its own, in the back end that
//! dockerd will use; the real namespace is only read: routes, forwarding, MTU, resolvers, reverse path filters.

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
mod firewall;
mod forwarding;
mod links;
mod resolver;

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "network",
    title: "Network and firewall",
    why: "dockerd makes a bridge and NAT rules before it serves; without them it ends, or its containers reach nothing.",
    phase: Phase::Environment,
    worst: Level::Fail,
    needs: &[Need::DockerdVersion],
    check,
    repair: Some(Repair {
        title: "Switch IP forwarding on, and load the missing modules where the host may be changed",
        reach: Reach::Container,
        apply: repair,
    }),
};

/// What dockerd may be asked for, and what is here.
struct Facts {
    version: Version,
    settings: Settings,
    /// Programs of the firewall, by what they are for.
    programs: Programs,
    /// What was tried.
    tried: TrialReport,
    routes: Routes,
    /// Whether the network namespace is the host's own.
    is_host: bool,
}

/// The firewall programs in dockerd's PATH.
struct Programs {
    /// iptables, or nft with that back end.
    chosen: Option<PathBuf>,
    /// ip6tables.
    six: Option<PathBuf>,
    /// iptables of either kind by its full name.
    kinds: Vec<PathBuf>,
}

/// Begins what will be tried, while the step before is still at work.
pub(super) fn begin(host: &dyn SystemReader, daemon: &Daemon) -> anyhow::Result<()> {
    let programs = programs(host, &daemon.settings)?;
    host.trial_ahead(&wanted(host, daemon, &programs)?);
    Ok(())
}

/// What is to be tried.
fn wanted(host: &dyn SystemReader, daemon: &Daemon, programs: &Programs) -> anyhow::Result<Trial> {
    Ok(Trial::Network(NetworkRequest {
        firewall: firewall_wanted(host, daemon, programs),
        br_netfilter: forwarding::needs_br_netfilter(host, daemon)?,
    }))
}

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let daemon = Daemon::read(cx.host, &cx.options.daemon())?;
    let programs = programs(cx.host, &daemon.settings)?;
    let trial = wanted(cx.host, &daemon, &programs)?;
    let facts = Facts {
        version: daemon.version,
        tried: cx.host.trial(&trial)?,
        routes: Routes::read(cx.host)?,
        is_host: is_host_namespace(cx.host)?,
        settings: daemon.settings,
        programs,
    };
    let mut findings = links::judge(&facts.tried, &facts.settings);
    // That the firewall works is what a reader wants to be told in one line, so it comes last.
    let mut good = Vec::new();
    if facts.tried.get("network-namespace").is_some_and(|attempt| attempt.error.is_none()) {
        let (works, refused) =
            firewall::judge(cx.host, &facts)?.into_iter().partition(|finding| finding.level == Level::Pass);
        good = works;
        findings.extend::<Vec<Finding>>(refused);
    }
    findings.extend(forwarding::judge(cx.host, &facts)?);
    findings.extend(addresses::judge(cx.host, &facts)?);
    findings.extend(resolver::judge(cx.host, &facts)?);
    findings.extend(resolver::proxy(cx.host));
    findings.append(&mut good);
    Ok(findings)
}

/// Looks for the programs as dockerd does, by name in PATH.
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

/// What is to be tried: nothing where dockerd sets up no rules, or the program is missing.
fn firewall_wanted(host: &dyn SystemReader, daemon: &Daemon, programs: &Programs) -> Option<Firewall> {
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

/// Some sysctls are shown only in the host's own network namespace (net/core/sysctl_net_core.c, `net_core_table`).
fn is_host_namespace(host: &dyn SystemReader) -> HostResult<bool> {
    host.exists(Path::new("/proc/sys/net/core/dev_weight"))
}

/// What a failed check named decides what is done.
fn repair(cx: &Cx<'_>, hands: &mut RepairLog<'_>) -> anyhow::Result<()> {
    let findings = check(cx)?;
    let failed = findings.iter().filter(|finding| finding.level == Level::Fail);
    for cause in failed.filter_map(|finding| finding.cause) {
        match (cause, kernel_modules::behind(cause)) {
            (causes::IP_FORWARD_DISABLED, _) => forwarding::switch_on(cx.host, hands)?,
            (causes::IP_FORWARD_NOT_WRITABLE, _) => forwarding::make_writable(cx.host, hands)?,
            (_, modules) => kernel_modules::load(cx, hands, modules)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

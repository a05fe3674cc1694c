//! Checks that dockerd will accept its arguments, daemon.json and environment, and reports the resulting configuration.

mod attached;
mod environment;
mod exposure;
mod formats;
mod logging;
mod paths;
mod plugins;
mod rules;
mod runtimes;
mod subnets;
#[cfg(test)]
mod tests;
mod values;

use crate::facts::daemon::hosts::Listen;
use crate::facts::daemon::{Containerd, Daemon, Firewall, Store};
use crate::finding::{Finding, Level};
use crate::host::recorded::if_recorded;
use crate::options::Need;
use crate::step::{Cx, Phase, Step};

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "daemon-config",
    title: "Configuration of the daemon",
    why: "dockerd does not start if it cannot read daemon.json, or if an option is unknown or set twice; the configuration also decides what it stores where.",
    phase: Phase::Environment,
    worst: Level::Fail,
    needs: &[Need::DockerdVersion],
    rests_on: &[],
    check,
    repair: None,
};

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    if let Some(endpoint) = &cx.options.attach {
        return attached::check(cx, endpoint);
    }
    let daemon = Daemon::read(cx.host, &cx.options.daemon())?;
    let mut findings = judge(cx, &daemon)?;
    if !findings.iter().any(|finding| finding.level == Level::Fail) {
        findings.insert(0, summary(&daemon, "will keep"));
        super::begin_trials(cx, &daemon);
    }
    Ok(findings)
}

/// What is wrong with the configuration.
fn judge(cx: &Cx<'_>, daemon: &Daemon) -> anyhow::Result<Vec<Finding>> {
    let mut findings = daemon.problems.clone();
    // dockerd validates values only if all names and types are valid.
    if !findings.iter().any(|finding| finding.level == Level::Fail) {
        findings.extend(values::judge(daemon));
        findings.extend(rules::judge(daemon));
        findings.extend(environment::judge(cx.host, daemon)?);
        findings.extend(named(cx, daemon)?);
        findings.extend(exposure::judge(daemon));
    }
    Ok(findings)
}

/// What the options name: paths, plugins, programs, addresses.
fn named(cx: &Cx<'_>, daemon: &Daemon) -> anyhow::Result<Vec<Finding>> {
    let mut findings = subnets::judge(daemon);
    findings.extend(if_recorded(paths::judge(cx.host, daemon))?.unwrap_or_default());
    findings.extend(formats::judge(cx.host, daemon)?);
    findings.extend(runtimes::judge(cx.host, daemon)?);
    findings.extend(plugins::judge(cx.host, daemon)?);
    // A trial, so that it is last.
    if findings.iter().all(|finding| finding.level != Level::Fail) {
        findings.extend(logging::judge(cx, daemon)?);
    }
    Ok(findings)
}

/// The resulting configuration.
fn summary(daemon: &Daemon, keeps: &str) -> Finding {
    let settings = &daemon.settings;
    let store = match &settings.store {
        Store::Graph(Some(driver)) => format!("graphdriver {driver}"),
        Store::Graph(None) => "graphdriver, the first that works".to_owned(),
        Store::Snapshotter { name, .. } => format!("containerd snapshotter {name}"),
    };
    let containerd = match &settings.containerd {
        Containerd::Managed => "started by dockerd".to_owned(),
        Containerd::Named(path) | Containerd::System(path) => path.display().to_string(),
    };
    let firewall = match (settings.iptables, settings.firewall) {
        (false, _) => "none",
        (true, Firewall::Iptables) => "iptables",
        (true, Firewall::Nftables) => "nftables",
    };
    let absent = if daemon.config_found { "" } else { " (absent)" };
    let config = format!("{}{absent}", daemon.config.display());
    Finding::pass(format!("dockerd {} {keeps} its data in {}", daemon.version, settings.data_root.display()))
        .with("config", config)
        .with("hosts", settings.hosts.iter().map(Listen::to_string).collect::<Vec<_>>().join(" "))
        .with("store", store)
        .with("containerd", containerd)
        .with("firewall", firewall)
}

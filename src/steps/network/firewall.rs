//! Checks that the firewall backend of dockerd accepts its rules.

use std::path::Path;

use nix::errno::Errno;

use super::Facts;
use crate::diagnosis::{CauseId, causes};
use crate::facts::daemon::Firewall;
use crate::facts::locks;
use crate::finding::Finding;
use crate::host::trial::{Attempt, TrialReport};
use crate::host::{HostResult, SystemReader};
use crate::kernel_modules;

const NO_PROGRAM: CauseId = causes::IPTABLES_PROGRAM_MISSING;
const NO_NFT: CauseId = causes::NFT_TOOL_MISSING;
const NO_NF_TABLES: CauseId = causes::KERNEL_LACKS_NF_TABLES;
const NO_LEGACY: CauseId = causes::KERNEL_LACKS_LEGACY_IPTABLES_NAT;
const NO_RAW: CauseId = causes::KERNEL_LACKS_IPTABLES_RAW;
const NO_SIX: CauseId = causes::KERNEL_LACKS_IP6TABLES_NAT;
const BUSY: CauseId = causes::IPTABLES_RESOURCE_BUSY;
const MIXED: CauseId = causes::IPTABLES_BACKENDS_MIXED;

/// The lock of iptables (iptables(8), `--wait`).
const XTABLES_LOCK: &str = "/run/xtables.lock";
/// Lists the legacy tables in use in this network namespace.
const LEGACY_TABLES: &str = "/proc/net/ip_tables_names";

pub(super) fn judge(host: &dyn SystemReader, facts: &Facts) -> HostResult<Vec<Finding>> {
    if !facts.settings.iptables && facts.settings.firewall == Firewall::Iptables {
        let what = "dockerd sets no firewall rules (--iptables=false): containers reach the outside only if something else masquerades them";
        return Ok(vec![Finding::pass(what)]);
    }
    let Some(program) = &facts.programs.chosen else {
        return Ok(vec![no_program(facts.settings.firewall)]);
    };
    let mut findings = match facts.settings.firewall {
        Firewall::Nftables => nft(&facts.tried, program),
        Firewall::Iptables => iptables(facts, program),
    };
    findings.extend(no_ip6tables(facts));
    findings.extend(mixed(host, facts)?);
    let busy = |finding: Finding| {
        if finding.cause == Some(BUSY) { finding.hint(release(host)) } else { finding }
    };
    Ok(findings.into_iter().map(busy).collect())
}

/// How the xtables lock comes free.
fn release(host: &dyn SystemReader) -> String {
    match locks::users(host, Path::new(XTABLES_LOCK)) {
        none if none.is_empty() => {
            format!("find what holds it, here or in another container: `fuser -v {XTABLES_LOCK}`")
        }
        pids => {
            format!("wait until it comes free, or end what holds {XTABLES_LOCK}: `{}`", locks::end(&pids))
        }
    }
}

fn no_program(firewall: Firewall) -> Finding {
    match firewall {
        Firewall::Iptables => {
            Finding::fail(NO_PROGRAM, "iptables is not in dockerd's PATH; dockerd does not start without it")
        }
        Firewall::Nftables => {
            Finding::fail(NO_NFT, "nft is not in dockerd's PATH; the nftables backend needs it")
        }
    }
}

/// With the nftables backend all rules are one transaction.
fn nft(tried: &TrialReport, program: &Path) -> Vec<Finding> {
    let Some(attempt) = tried.get("nft") else { return Vec::new() };
    let finding = match &attempt.error {
        None => Finding::pass("nft accepts the chains and rules of a Docker network"),
        Some(_) => Finding::fail(NO_NF_TABLES, "nft rejects the chains and rules of a Docker network")
            .hint(kernel_modules::hint(NO_NF_TABLES)),
    };
    vec![with_output(finding.with("program", program.display()), attempt)]
}

/// The rules of IPv4 by purpose, then those of IPv6.
fn iptables(facts: &Facts, program: &Path) -> Vec<Finding> {
    let tried = &facts.tried;
    let kind = tried.get("backend").and_then(|attempt| attempt.detail.as_deref()).unwrap_or("unknown");
    let lacking = if kind == "nft" { NO_NF_TABLES } else { NO_LEGACY };
    let mut findings: Vec<Finding> = tried
        .attempts
        .iter()
        .filter(|attempt| attempt.error.is_some())
        .filter_map(|attempt| refused(attempt, facts, lacking))
        .map(|finding| finding.with("program", program.display()).with("kind", kind))
        .collect();
    let four = ["nat", "masquerade", "addrtype", "filter", "conntrack"];
    if four.iter().all(|name| tried.get(name).is_some_and(|attempt| attempt.error.is_none())) {
        let good =
            Finding::pass(format!("iptables ({kind}) accepts the chains and rules of a Docker network"));
        findings.insert(0, good.with("program", program.display()));
    }
    findings
}

/// The finding on a rejected rule.
fn refused(attempt: &Attempt, facts: &Facts, lacking: CauseId) -> Option<Finding> {
    let not_run = attempt.error.as_ref().is_some_and(|error| error.errno() != Errno::EIO);
    let finding = match attempt.name.as_str() {
        "nat" if not_run => Finding::fail(NO_PROGRAM, "iptables is present but does not run"),
        "nat" => with_alternative(&facts.tried, Finding::fail(lacking, "iptables cannot create a chain in the nat table; dockerd does not start without it"), lacking),
        "masquerade" if !facts.settings.ip_masq => {
            Finding::warn(lacking, "iptables rejects MASQUERADE; user-defined networks still need it")
        }
        "masquerade" => Finding::fail(lacking, "iptables rejects MASQUERADE; the default bridge needs it"),
        "addrtype" => Finding::fail(lacking, "iptables rejects the match addrtype; dockerd does not start without it"),
        "filter" => Finding::fail(lacking, "iptables cannot create a chain in the filter table; dockerd does not start without it"),
        "conntrack" => Finding::fail(lacking, "iptables rejects the match conntrack; the default bridge needs it"),
        "publish" => Finding::warn(lacking, "iptables rejects DNAT: containers cannot publish ports"),
        "raw" => Finding::fail(NO_RAW, format!("iptables rejects rules in the raw table; Docker {} adds one for each container on a bridge", facts.version))
            .hint(format!("{}, or set DOCKER_INSECURE_NO_IPTABLES_RAW=1, which lets others on the outer network reach unpublished ports", kernel_modules::hint(NO_RAW))),
        "nat6" | "masquerade6" | "addrtype6" | "filter6" => {
            Finding::warn(NO_SIX, "ip6tables rejects the chains and rules of a Docker network: dockerd continues with IPv4 only")
                .hint(format!("{}, or set `\"ip6tables\": false` in daemon.json", kernel_modules::hint(NO_SIX)))
        }
        "lock" => Finding::fail(BUSY, "another process holds the xtables lock: dockerd waits for it forever"),
        _ => return None,
    };
    Some(with_output(finding, attempt))
}

/// Adds whether the other iptables variant works, and how to select it.
fn with_alternative(tried: &TrialReport, finding: Finding, lacking: CauseId) -> Finding {
    let works = tried.attempts.iter().find(|attempt| attempt.name == "other" && attempt.error.is_none());
    match works.and_then(|attempt| attempt.detail.as_deref()) {
        Some(other) => finding.with("works", other).hint(format!(
            "{other} works here: `update-alternatives --set iptables {other}; update-alternatives --set ip6tables {}` (the official dind image: DOCKER_IPTABLES_LEGACY={})",
            other.replace("/iptables", "/ip6tables"),
            if lacking == NO_NF_TABLES { "1" } else { "" }
        )),
        None => finding.hint(kernel_modules::hint(lacking)),
    }
}

/// Adds the output of the program.
fn with_output(finding: Finding, attempt: &Attempt) -> Finding {
    match (&attempt.detail, &attempt.error) {
        (Some(words), Some(_)) if !words.is_empty() => finding.with("said", words),
        (_, Some(error)) => finding.with("said", error),
        _ => finding,
    }
}

/// dockerd only logs it and continues.
fn no_ip6tables(facts: &Facts) -> Option<Finding> {
    let missed = facts.settings.ip6tables
        && facts.settings.firewall == Firewall::Iptables
        && facts.programs.six.is_none();
    missed.then(|| {
        Finding::warn(NO_PROGRAM, "ip6tables is not in dockerd's PATH: dockerd continues with IPv4 only")
    })
}

/// Every packet passes the rules of both variants, and neither program shows those of the other.
fn mixed(host: &dyn SystemReader, facts: &Facts) -> HostResult<Option<Finding>> {
    let kind = facts.tried.get("backend").and_then(|attempt| attempt.detail.as_deref());
    let nft_rules = facts.tried.get("nft-rules").and_then(|attempt| attempt.detail.as_deref());
    let legacy = match host.read_if_there(Path::new(LEGACY_TABLES)) {
        // It is unreadable in a user namespace: then this check is left out.
        Err(error) if error.errno() == Errno::EACCES => None,
        read => read?,
    };
    let legacy = legacy.unwrap_or_default();
    let tables: Vec<&str> = legacy.split_whitespace().collect();
    Ok(match (kind, facts.settings.firewall, nft_rules) {
        (Some("nft"), ..) | (_, Firewall::Nftables, _) if !tables.is_empty() => Some(
            Finding::warn(
                MIXED,
                format!(
                    "dockerd will use nf_tables, but the legacy tables {} are also in use here",
                    tables.join(", ")
                ),
            )
            .with("path", LEGACY_TABLES),
        ),
        (Some("legacy"), _, Some(rules)) if rules != "0" => Some(Finding::warn(
            MIXED,
            format!("dockerd will use legacy iptables, but nf_tables also has {rules} nat rules here"),
        )),
        _ => None,
    })
}

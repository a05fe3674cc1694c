//! Checks the network of an inner container: it is reachable, and reaches what this container reaches.
//!
//! Nothing here needs the internet: a gateway that refuses a connection has answered, and what the inner container does
//! not reach is tried from this container as well, so that a missing uplink is not blamed on the inner engine. A profile
//! may name destinations that must be reached.

use nix::errno::Errno;

use crate::diagnosis::{CauseId, causes};
use crate::engine::containers::connectivity::{AddressKind, Visit};
use crate::facts::daemon::{Expected, Off};
use crate::finding::{Finding, Level};
use crate::host::trial::{ReachRequest, Trial};
use crate::host::{HostError, SystemReader};
use crate::options::Need;
use crate::probe::Document;
use crate::probe::reach::{Attempt, Kind, Reached};
use crate::step::{Cx, Phase, Step};
use crate::workload::{Part, Shown, spec};

mod dropped;
mod neighbour;
mod outbound;

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "container-network",
    title: "Network of an inner container",
    why: "Builds and tests inside need an address, a route out, name resolution, and published ports that answer.",
    phase: Phase::Workload,
    worst: Level::Fail,
    needs: &[Need::Network, Need::Restart],
    rests_on: &["image"],
    check,
    repair: None,
};

const NONE: CauseId = causes::CONTAINER_NO_NETWORK;
const PORT: CauseId = causes::PUBLISHED_PORT_UNREACHABLE;
const OFF: CauseId = causes::CONTAINER_NETWORK_SWITCHED_OFF;

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let shown = match cx.workload.shown(Part::Network, NONE)? {
        Ok(shown) => shown,
        Err(finding) => return Ok(vec![finding]),
    };
    let (document, expected) = (shown.document(), &cx.workload.wanted().expected);
    let mut findings = Vec::new();
    if let Some(off) = &expected.bridge {
        findings.push(without_bridge(off));
    } else {
        findings.extend(judge_addresses(document));
        findings.extend(judge_visits(&shown.run().visits, expected));
    }
    if let Some(reached) = &document.reached {
        findings.extend(outbound::judge(reached, &Compared::with(cx.host, reached), expected));
    }
    if let (Shown::First(..), Some(together)) = (&shown, cx.workload.together()) {
        findings.extend(neighbour::judge(together, expected)?);
    }
    dropped::explain(cx, expected, (document, &shown.run().visits), &mut findings);
    if findings.iter().all(|finding| finding.level == Level::Pass) {
        findings.push(Finding::pass(
            "an inner container has an address, answers at its published port, and reaches what this container reaches",
        ));
    }
    Ok(findings)
}

/// Something that an option switches off.
fn switched_off(what: &str, off: &Off) -> Finding {
    Finding::warn(OFF, format!("{what}: {}", off.by)).with("switched_off_by", &off.by).hint(&off.undo)
}

/// Without a default network only those that somebody makes are judged.
fn without_bridge(off: &Off) -> Finding {
    switched_off("a container gets no network unless one is made and named (`--network NAME`)", off)
}

/// What this container reaches of the destinations that the inner one did not.
#[derive(Debug, Default, PartialEq, Eq)]
struct Compared {
    /// Whether its gateway answers.
    outer: bool,
    /// Whether a resolver answers.
    resolver: bool,
}

impl Compared {
    /// Tries only what the inner container did not reach.
    fn with(host: &dyn SystemReader, reached: &Reached) -> Self {
        let missed = |kind: Kind| reached.of(kind).any(|attempt| attempt.error.is_some());
        let dumb = reached.of(Kind::Resolver).all(|attempt| attempt.error.is_some());
        let request = ReachRequest {
            outer: spec::outer_gateway(host).filter(|_| missed(Kind::Outer)),
            resolvers: dumb,
            ..ReachRequest::default()
        };
        if request == ReachRequest::default() {
            return Self::default();
        }
        // Without a result the inner container is not blamed.
        let report = host.trial(&Trial::Reach(request)).unwrap_or_default();
        let good = |kind: Kind| {
            report.attempts.iter().any(|attempt| attempt.name == kind.name() && attempt.error.is_none())
        };
        Self { outer: good(Kind::Outer), resolver: good(Kind::Resolver) }
    }
}

/// Address and gateway.
fn judge_addresses(document: &Document) -> Vec<Finding> {
    let network = &document.network;
    let is_v4 = |address: &&String| address.parse::<std::net::Ipv4Addr>().is_ok();
    let mut outward = network.interfaces.iter().filter(|one| one.name != "lo");
    let addressed = outward.find_map(|one| Some((one, one.addresses.iter().find(is_v4)?)));
    let Some((interface, address)) = addressed else {
        let names = network.interfaces.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(" ");
        return vec![
            Finding::fail(NONE, "a container on the default bridge has no address").with("interfaces", names),
        ];
    };
    let Some(gateway) = &network.gateway else {
        return vec![Finding::fail(
            NONE,
            format!("the container has the address {address} and no default route"),
        )];
    };
    let knocked = document.reached.iter().flat_map(|reached| reached.of(Kind::Gateway)).next();
    let finding = match knocked {
        Some(Attempt { error: Some(error), .. }) => Finding::fail(
            NONE,
            format!("the gateway {gateway} of the container at {address} does not answer: {error}"),
        )
        .with("to", gateway)
        .with("errno", error.errno),
        Some(attempt) => {
            Finding::pass(format!("the container has {address}, and its gateway {gateway} answers"))
                .with("answer", &attempt.answer)
        }
        None => Finding::pass(format!("the container has the address {address} and the gateway {gateway}")),
    };
    vec![finding.with("interface", &interface.name).with("mtu", interface.mtu)]
}

/// Connections from here to the container's own address and to its published port.
fn judge_visits(visits: &[Visit], expected: &Expected) -> Vec<Finding> {
    if visits.iter().all(|visit| visit.kind == AddressKind::Container) {
        return vec![Finding::fail(PORT, "the daemon did not publish the requested port")];
    }
    // If the container itself does not answer, no published port can.
    let direct = visits.iter().find(|visit| visit.kind == AddressKind::Container);
    if let Some((visit, error)) = direct.and_then(|visit| Some((visit, visit.end.as_ref().err()?))) {
        let what = format!("the container does not answer at {} although it listens: {error}", visit.to);
        return vec![Finding::fail(NONE, what).with("to", visit.to).with("errno", error.errno)];
    }
    let published = visits.iter().filter(|visit| visit.kind != AddressKind::Container);
    let silent: Vec<_> = published.filter_map(|visit| judge_visit(visit, expected)).collect();
    let off = expected.no_ports().filter(|_| !silent.is_empty());
    let silent = off.map_or(silent, |off| vec![switched_off("a published port answers nowhere", off)]);
    silent.into_iter().chain(answering(visits)).collect()
}

/// A published port that does not answer.
fn judge_visit(visit: &Visit, expected: &Expected) -> Option<Finding> {
    let error = visit.end.as_ref().err()?;
    // IPv6 may be disabled in this container. Only a proxy takes connections to [::1]: the kernel routes none of them to a
    // container (net/ipv6/ip6_input.c), as it does with `route_localnet` of IPv4.
    let without_proxy = visit.kind == AddressKind::Loopback && expected.proxy.is_some();
    if visit.to.is_ipv6() && (is_off(error) || without_proxy) {
        return None;
    }
    let why = match visit.kind {
        AddressKind::Loopback => "docker-proxy, or a rule in its place",
        _ => "the nat table",
    };
    let what = format!("a published port does not answer at {} (served by {why}): {error}", visit.to);
    let hint = match visit.kind {
        AddressKind::Loopback => {
            "look at `iptables -S`, and for a docker-proxy process while a port is published".to_owned()
        }
        _ => "look at `iptables -t nat -S DOCKER` and `iptables -S` while a port is published".to_owned(),
    };
    Some(Finding::fail(PORT, what).with("address", visit.to).with("errno", error.errno).hint(hint))
}

/// Whether IPv6 is off in this network namespace.
fn is_off(error: &HostError) -> bool {
    matches!(error.errno(), Errno::EADDRNOTAVAIL | Errno::ENETUNREACH | Errno::EAFNOSUPPORT)
}

/// The addresses that answer.
fn answering(visits: &[Visit]) -> Option<Finding> {
    let good = visits.iter().filter(|visit| visit.end.is_ok());
    let good: Vec<_> = good.map(|visit| visit.to.to_string()).collect();
    (!good.is_empty()).then(|| Finding::pass(format!("the container's port answers at {}", good.join(", "))))
}

#[cfg(test)]
mod tests;

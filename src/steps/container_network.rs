//! Is an inner container reached, and does it reach what this container reaches?
//!
//! Nothing here needs the internet: gateways answer by refusing, and what the inner container does not reach is tried
//! from this one as well, so that a world without a way out is not held against the inner engine. A profile may name
//! what must be reached all the same.

use nix::errno::Errno;

use crate::diagnosis::{CauseId, causes};
use crate::engine::containers::connectivity::{Visit, Way};
use crate::finding::{Finding, Level};
use crate::host::SystemReader;
use crate::host::trial::{ReachRequest, Trial};
use crate::options::Need;
use crate::probe::Document;
use crate::probe::reach::{Attempt, Kind, Reached};
use crate::step::{Cx, Phase, Step};
use crate::workload::{Part, Shown, spec};

mod neighbour;
mod way_out;

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "container-network",
    title: "Network of an inner container",
    why: "Builds and tests inside need an address, a way out, names, and ports that answer.",
    phase: Phase::Workload,
    worst: Level::Fail,
    needs: &[Need::Network, Need::Restart],
    check,
    repair: None,
};

const NONE: CauseId = causes::CONTAINER_NO_NETWORK;
const PORT: CauseId = causes::PUBLISHED_PORT_UNREACHABLE;

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let shown = match cx.workload.shown(Part::Network, NONE)? {
        Ok(shown) => shown,
        Err(finding) => return Ok(vec![finding]),
    };
    let document = shown.document();
    let mut findings = judge_inside(document);
    findings.extend(judge_visits(&shown.run().visits));
    if let Some(reached) = &document.reached {
        findings.extend(way_out::judge(reached, &Compared::with(cx.host, reached)));
    }
    if let (Shown::First(..), Some(together)) = (&shown, cx.workload.together()) {
        findings.extend(neighbour::judge(together)?);
    }
    if findings.iter().all(|finding| finding.level == Level::Pass) {
        findings.push(Finding::pass(
            "an inner container has its address, is reached at its port, and reaches what this one does",
        ));
    }
    Ok(findings)
}

/// What this container itself reaches of what the inner one did not.
#[derive(Debug, Default, PartialEq, Eq)]
struct Compared {
    /// Its gateway answers it.
    outer: bool,
    /// A resolver answers it.
    resolver: bool,
}

impl Compared {
    /// Tries only what the inner container did not reach.
    fn with(host: &dyn SystemReader, reached: &Reached) -> Self {
        let missed = |kind: Kind| reached.of(kind).any(|attempt| attempt.error.is_some());
        let dumb = reached.of(Kind::Resolver).all(|attempt| attempt.error.is_some());
        let wanted = ReachRequest {
            outer: spec::outer_gateway(host).filter(|_| missed(Kind::Outer)),
            resolvers: dumb,
            ..ReachRequest::default()
        };
        if wanted == ReachRequest::default() {
            return Self::default();
        }
        // Without an answer nothing is held against the inner container.
        let report = host.trial(&Trial::Reach(wanted)).unwrap_or_default();
        let good = |kind: Kind| {
            report.attempts.iter().any(|attempt| attempt.name == kind.name() && attempt.error.is_none())
        };
        Self { outer: good(Kind::Outer), resolver: good(Kind::Resolver) }
    }
}

/// Address and gateway.
fn judge_inside(document: &Document) -> Vec<Finding> {
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
        .with("errno", error.errno),
        Some(attempt) => {
            Finding::pass(format!("the container has {address}, and its gateway {gateway} answers"))
                .with("answer", &attempt.answer)
        }
        None => Finding::pass(format!("the container has the address {address} and the gateway {gateway}")),
    };
    vec![finding.with("interface", &interface.name).with("mtu", interface.mtu)]
}

/// The container's own address and its published port, visited from here.
fn judge_visits(visits: &[Visit]) -> Vec<Finding> {
    if visits.iter().all(|visit| visit.way == Way::Container) {
        return vec![Finding::fail(PORT, "the daemon did not publish the port that it was asked to")];
    }
    // Where the container itself is not reached, no way to it can be.
    let direct = visits.iter().find(|visit| visit.way == Way::Container);
    if let Some((visit, error)) = direct.and_then(|visit| Some((visit, visit.end.as_ref().err()?))) {
        let what = format!("the container does not answer at {} although it listens: {error}", visit.to);
        return vec![Finding::fail(NONE, what).with("errno", error.errno)];
    }
    visits
        .iter()
        .filter(|visit| visit.way != Way::Container)
        .filter_map(judge_visit)
        .chain(reached(visits))
        .collect()
}

/// A published port that is not reached.
fn judge_visit(visit: &Visit) -> Option<Finding> {
    let error = visit.end.as_ref().err()?;
    // IPv6 that is switched off in this container is no fault of the port.
    let six_is_off = matches!(error.errno(), Errno::EADDRNOTAVAIL | Errno::ENETUNREACH | Errno::EAFNOSUPPORT);
    if visit.to.is_ipv6() && six_is_off {
        return None;
    }
    let why = match visit.way {
        Way::Loopback => "docker-proxy, or a rule in its place",
        _ => "the nat table",
    };
    let what = format!("a published port does not answer at {} (served by {why}): {error}", visit.to);
    let hint = match visit.way {
        Way::Loopback => {
            "look at `iptables -S`, and for a docker-proxy process while a port is published".to_owned()
        }
        _ => "look at `iptables -t nat -S DOCKER` and `iptables -S` while a port is published".to_owned(),
    };
    Some(Finding::fail(PORT, what).with("address", visit.to).with("errno", error.errno).hint(hint))
}

/// Those that are reached.
fn reached(visits: &[Visit]) -> Option<Finding> {
    let good = visits.iter().filter(|visit| visit.end.is_ok());
    let good: Vec<_> = good.map(|visit| visit.to.to_string()).collect();
    (!good.is_empty())
        .then(|| Finding::pass(format!("the container's port is reached at {}", good.join(", "))))
}

#[cfg(test)]
mod tests;

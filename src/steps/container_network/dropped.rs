//! Names what drops the traffic of inner containers: the rule of a firewall, a route, or a sysctl.
//!
//! What failed is tried once more between two readings of the rules beside dockerd's own: a rule whose counter grew, and that
//! matches the packets of the attempt, drops them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Visit;
use super::outbound::OUT;
use crate::diagnosis::causes;
use crate::engine::cleanup::objects;
use crate::facts::daemon::Expected;
use crate::facts::firewall::kernel::{Drops, Traffic};
use crate::facts::firewall::{Firewall, Packet, Suspect};
use crate::finding::{Finding, Level};
use crate::host::SystemReader;
use crate::probe::Document;
use crate::probe::reach::{Attempt, Kind, Reached};
use crate::step::Cx;
use crate::workload;

/// The answer of a destination that refused a connection.
const REFUSES: &str = "refuses";

mod flows;
mod place;
mod reasons;

use place::Place;

/// What failed, so that it can be tried once more.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failed {
    /// A connection of the container.
    Attempt(Kind, Vec<String>),
    /// A connection to its port from here.
    Visit(super::AddressKind, bool),
    /// Packets of full size to the gateway of this container.
    Large,
}

/// A reading of everything that counts dropped packets.
#[derive(Clone)]
struct Reading {
    firewall: Firewall,
    drops: Drops,
    traffic: BTreeMap<String, Traffic>,
}

impl Reading {
    fn take(host: &dyn SystemReader) -> Self {
        Self { firewall: Firewall::read(host), drops: Drops::read(host), traffic: Traffic::of_all(host) }
    }
}

/// Both readings, and what was tried between them.
struct Measured<'m> {
    host: &'m dyn SystemReader,
    place: Place,
    before: Reading,
    after: Reading,
    reached: Reached,
    visits: Vec<Visit>,
}

/// Says in each failed finding what drops the packets, and how to take that away. Without a failure nothing is done.
pub(super) fn explain(
    cx: &Cx<'_>,
    expected: &Expected,
    (document, visits): (&Document, &[Visit]),
    findings: &mut [Finding],
) {
    let neighbours = objects::bridge(&cx.options.run);
    let Some(place) = Place::find(cx.host, document, neighbours) else { return };
    let reached = document.reached.clone().unwrap_or_default();
    if expected.no_way_out().is_none() {
        refused(cx.host, &place, document, findings);
    }
    let failed: Vec<_> = findings.iter().map(|finding| failed(finding, &reached, visits)).collect();
    if failed.iter().all(Option::is_none) {
        return;
    }
    let measured = measure(cx, place, &failed);
    for (finding, failed) in findings.iter_mut().zip(failed) {
        if let Some(failed) = failed {
            let packets = flows::packets(&measured, &failed);
            reasons::add(finding, &measured, &packets);
        }
    }
}

/// A gateway that seems to refuse a connection has not answered where a rule here does so in its place.
fn refused(host: &dyn SystemReader, place: &Place, document: &Document, findings: &mut [Finding]) {
    let reached = document.reached.clone().unwrap_or_default();
    let said = |finding: &Finding, key: &str, value: &str| {
        finding.evidence.iter().any(|(known, evidence)| *known == key && evidence == value)
    };
    for attempt in reached.of(Kind::Outer).filter(|attempt| attempt.answer == REFUSES) {
        let place = Place { containers: place::addresses(document), ..place.clone() };
        let after = Reading::take(host);
        let (before, visits) = (after.clone(), Vec::new());
        let measured = Measured { host, place, before, after, reached: reached.clone(), visits };
        let packets = flows::from_container(&measured, Kind::Outer, &attempt.to);
        let Some((what, command)) = reasons::rejecting(&measured, &packets) else { continue };
        let to = &attempt.to;
        for finding in findings.iter_mut().filter(|finding| said(finding, "to", to)) {
            let whole = format!("an inner container does not reach this container's gateway {to}: {what}");
            *finding = Finding::fail(OUT, whole).with("to", to).hint(command.clone());
        }
    }
}

/// What a finding says that failed.
fn failed(finding: &Finding, reached: &Reached, visits: &[Visit]) -> Option<Failed> {
    if finding.level != Level::Fail {
        return None;
    }
    if finding.cause == Some(causes::MTU_MISMATCH) {
        return Some(Failed::Large);
    }
    let to = &finding.evidence.iter().find(|(key, _)| ["to", "address"].contains(key))?.1;
    if let Some(visit) = visits.iter().find(|visit| visit.to.to_string() == *to) {
        return Some(Failed::Visit(visit.kind, visit.to.is_ipv6()));
    }
    let names: Vec<String> = to.split(", ").map(str::to_owned).collect();
    let kind =
        reached.attempts.iter().find(|attempt| names.contains(&attempt.to)).map(|attempt| attempt.kind);
    // The neighbour's attempts are in another document.
    Some(Failed::Attempt(kind.unwrap_or(Kind::Peer), names))
}

/// Tries what failed once more between two readings.
fn measure<'m>(cx: &'m Cx<'_>, place: Place, failed: &[Option<Failed>]) -> Measured<'m> {
    let is_peer = |failed: &Failed| matches!(failed, Failed::Attempt(Kind::Peer, _));
    let before = Reading::take(cx.host);
    let (run, pair) = cx.workload.network_again(failed.iter().flatten().any(is_peer));
    let after = Reading::take(cx.host);
    let documents = [workload::read(&run).ok()]
        .into_iter()
        .chain(pair.iter().flat_map(|pair| &pair.others).map(|other| workload::read(other).ok()));
    let mut reached = Reached::default();
    let mut place = place;
    for document in documents.flatten() {
        place.containers.extend(place::addresses(&document));
        reached.attempts.extend(document.reached.unwrap_or_default().attempts);
    }
    Measured { host: cx.host, place, before, after, reached, visits: run.visits }
}

impl Measured<'_> {
    /// The attempts of a kind that failed once more.
    fn attempts(&self, kind: Kind) -> impl Iterator<Item = &Attempt> {
        self.reached.of(kind).filter(|attempt| attempt.error.is_some())
    }

    /// What dropped one of these packets.
    fn droppers(&self, packets: &[Packet]) -> Vec<Suspect> {
        distinct(
            packets.iter().flat_map(|packet| self.after.firewall.droppers(&self.before.firewall, packet)),
        )
    }

    /// Whether an address is one of this container.
    fn is_local(&self, address: IpAddr) -> bool {
        self.place.local.contains(&address)
    }
}

/// Each once; where some were counted, only those.
fn distinct(suspects: impl Iterator<Item = Suspect>) -> Vec<Suspect> {
    let mut found: Vec<Suspect> = Vec::new();
    for suspect in suspects {
        if !found.iter().any(|known| known.is(&suspect)) {
            found.push(suspect);
        }
    }
    if found.iter().any(Suspect::is_counted) {
        found.retain(Suspect::is_counted);
    }
    if found.iter().any(|suspect| !suspect.is_dockerds()) {
        found.retain(|suspect| !suspect.is_dockerds());
    }
    found
}

#[cfg(test)]
mod tests;

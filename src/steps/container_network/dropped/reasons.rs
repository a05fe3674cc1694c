//! What drops the packets of a failed attempt, said in its finding, with the command that takes it away.

use super::Measured;
use super::place::Place;
use crate::facts::firewall::kernel::conf;
use crate::facts::firewall::{Hook, Packet, Suspect, Way};
use crate::finding::{Finding, quoted_text};

mod routes;

/// What drops packets, and the command that takes it away.
struct Reason {
    /// What follows the finding's own words.
    what: String,
    /// The command, where there is one.
    command: Option<String>,
    evidence: Vec<(&'static str, String)>,
}

impl Reason {
    fn new(what: impl Into<String>, command: impl Into<String>) -> Self {
        Self { what: what.into(), command: Some(command.into()), evidence: Vec::new() }
    }

    fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.evidence.push((key, value.to_string()));
        self
    }
}

/// Adds the reason to a finding.
pub(super) fn add(finding: &mut Finding, measured: &Measured<'_>, packets: &[Packet]) {
    if packets.is_empty() {
        return;
    }
    match reason(measured, packets) {
        Some(reason) => {
            finding.what.push_str(&format!(": {}", reason.what));
            let (mut said, evidence) = (finding.clone(), reason.evidence);
            said = evidence.into_iter().fold(said, |said, (key, value)| said.with(key, value));
            *finding = match reason.command {
                Some(command) => said.hint(command),
                None => said,
            };
        }
        None if !measured.after.firewall.unread.is_empty() => {
            *finding = finding.clone().with("unread", measured.after.firewall.unread.join("; "));
        }
        None => {}
    }
}

/// The first that is certain: a rule whose counter grew, the kernel itself, a translation; then what may be.
fn reason(measured: &Measured<'_>, packets: &[Packet]) -> Option<Reason> {
    let droppers = measured.droppers(packets);
    let is_counted = droppers.iter().any(Suspect::is_counted);
    let rules = || (!droppers.is_empty()).then(|| rules(measured, packets, &droppers));
    let certain = if is_counted { rules() } else { None };
    certain
        .or_else(|| reverse_path(measured, packets))
        .or_else(|| forwarding(measured, packets))
        .or_else(|| routes::rejecting(measured, packets))
        .or_else(|| diverted(measured, packets))
        .or_else(rules)
        .or_else(|| masquerade(measured, packets))
        .or_else(|| outside(measured, packets))
}

/// Rules and policies, with all that must go until the packets pass.
fn rules(measured: &Measured<'_>, packets: &[Packet], droppers: &[Suspect]) -> Reason {
    let remover = measured.after.firewall.remover;
    let mut all = droppers.to_vec();
    for packet in packets {
        for next in measured.after.firewall.certain_droppers(packet, &all) {
            if !next.is_dockerds() {
                all.push(next);
            }
        }
    }
    let commands: Vec<String> = all
        .iter()
        .map(|suspect| match &suspect.rule {
            Some(rule) => remover.rule(&suspect.chain, rule),
            None => remover.policy(&suspect.chain),
        })
        .collect();
    let first = &droppers[0];
    let drops = if first.is_counted() { "drops" } else { "may drop" };
    let what = match &first.rule {
        Some(rule) => format!("the rule `{}` in {} {drops} its packets", rule.text, first.chain.title()),
        None => format!("the policy of {} {drops} its packets", first.chain.title()),
    };
    droppers.iter().fold(Reason::new(what, commands.join("; ")), said)
}

/// A rule as evidence.
fn said(reason: Reason, suspect: &Suspect) -> Reason {
    let Suspect { chain, .. } = suspect;
    let counted = match suspect.packets {
        Some((before, after)) => format!("{before} before the attempt, {after} after it"),
        None => "not counted".to_owned(),
    };
    reason
        .with("back-end", chain.back_end)
        .with("table", format!("{} {}", chain.family, chain.table))
        .with("chain", &chain.name)
        .with("rule", suspect.text())
        .with("packets", counted)
}

/// The strict reverse path filter of an interface by which packets come.
fn reverse_path(measured: &Measured<'_>, packets: &[Packet]) -> Option<Reason> {
    let (before, after) = (measured.before.drops.reverse_path, measured.after.drops.reverse_path);
    if after <= before {
        return None;
    }
    let inputs = packets.iter().flat_map(|packet| packet.inputs.iter().map(String::as_str));
    // The larger of the two counts (ip-sysctl, `rp_filter`), and 2 only asks for any route back.
    let all = (conf(measured.host, "all", "rp_filter") == Some(1)).then_some("all");
    let strict = |name: &&str| conf(measured.host, name, "rp_filter") == Some(1);
    let name = all.or_else(|| inputs.into_iter().find(strict))?;
    let sysctl = format!("net/ipv4/conf/{name}/rp_filter");
    let what = format!(
        "the reverse path filter ({} = 1) drops packets that come by another interface than their answers would leave by",
        sysctl.replace('/', ".")
    );
    let command = format!("sysctl -w {}", quoted_text(&format!("{sysctl}=2")));
    Some(Reason::new(what, command).with("IPReversePathFilter", format!("{before} before the attempt, {after} after it")))
}

/// Forwarding that is off.
fn forwarding(measured: &Measured<'_>, packets: &[Packet]) -> Option<Reason> {
    let through = packets.iter().find(|packet| packet.way == Way::Through && packet.inputs != packet.outputs)?;
    if through.v6 {
        return None;
    }
    let off = |name: &str| conf(measured.host, name, "forwarding") == Some(0);
    if off("all") {
        return Some(Reason::new("IPv4 forwarding is off", "sysctl -w net.ipv4.ip_forward=1")
            .with("net.ipv4.ip_forward", 0));
    }
    let name = through.inputs.iter().chain(&through.outputs).find(|name| off(name))?;
    let sysctl = format!("net/ipv4/conf/{name}/forwarding");
    let what = format!("IPv4 forwarding of {name} is off");
    Some(Reason::new(what, format!("sysctl -w {}", quoted_text(&format!("{sysctl}=1")))).with("sysctl", format!("{sysctl} = 0")))
}

/// A rule that translates or marks them.
fn diverted(measured: &Measured<'_>, packets: &[Packet]) -> Option<Reason> {
    let (after, before) = (&measured.after.firewall, &measured.before.firewall);
    let found = super::distinct(packets.iter().flat_map(|packet| after.diverters(before, packet)));
    let first = found.first()?;
    let rule = first.rule.as_ref()?;
    let what = format!(
        "the rule `{}` in {} diverts its packets, or keeps them from dockerd's translation",
        rule.text,
        first.chain.title()
    );
    let commands: Vec<String> = found
        .iter()
        .filter_map(|suspect| Some(after.remover.rule(&suspect.chain, suspect.rule.as_ref()?)))
        .collect();
    Some(found.iter().fold(Reason::new(what, commands.join("; ")), said))
}

/// No rule that gives packets of containers this container's address.
fn masquerade(measured: &Measured<'_>, packets: &[Packet]) -> Option<Reason> {
    let out = packets.iter().find(|packet| leaves(packet))?;
    let Place { subnet: Some(subnet), bridge, .. } = &measured.place else { return None };
    let has_rules = !measured.after.firewall.chains.is_empty();
    if !has_rules || measured.after.firewall.translates(out) {
        return None;
    }
    let what = format!("no rule masquerades the subnet {subnet} of the containers");
    let (subnet, bridge) = (quoted_text(subnet), quoted_text(bridge));
    Some(Reason::new(what, format!("iptables -t nat -A POSTROUTING -s {subnet} ! -o {bridge} -j MASQUERADE"))
        .with("table", "ip nat")
        .with("chain", "POSTROUTING"))
}

/// Packets that leave, and nothing here that drops them.
fn outside(measured: &Measured<'_>, packets: &[Packet]) -> Option<Reason> {
    packets.iter().find(|packet| leaves(packet))?;
    let interface = measured.place.outside.as_deref()?;
    let (before, after) = (measured.before.traffic?, measured.after.traffic?);
    let (sent, received) = (after.sent.saturating_sub(before.sent), after.received.saturating_sub(before.received));
    if sent == 0 {
        return None;
    }
    let what = format!(
        "its packets leave by {interface} and no rule here drops them: what drops them, or their answers, is outside of this container"
    );
    let hint = format!("permit it outside of this container, in the firewall behind {interface} (on a Docker host: `iptables -S DOCKER-USER`, `nft list ruleset`)");
    Some(Reason::new(what, hint).with("interface", interface).with("sent", sent).with("received", received))
}

/// Whether it leaves this network namespace by another interface than a bridge of containers.
fn leaves(packet: &Packet) -> bool {
    packet.way == Way::Through && packet.inputs != packet.outputs && !packet.established && packet.hooks().contains(&Hook::Postrouting)
}

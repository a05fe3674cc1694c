//! Warns of rules beside dockerd's own that will drop the packets of inner containers.

use super::Facts;
use crate::diagnosis::causes;
use crate::facts::daemon;
use crate::facts::firewall::{Chain, Firewall, Packet, Rule, Suspect, Verdict, Way};
use crate::finding::Finding;
use crate::host::SystemReader;

/// The chain in which dockerd leaves the rules of others before its own.
const USER: &str = "DOCKER-USER";
/// The table of firewalld, in which dockerd has its bridges accepted when it starts (moby libnetwork/iptables/firewalld.go).
const FIREWALLD: &str = "firewalld";

/// Only rules that match for certain count: those that ask for more than interfaces, protocol and state may not match.
pub(super) fn judge(host: &dyn SystemReader, facts: &Facts) -> Option<Finding> {
    let settings = &facts.settings;
    let by_iptables = settings.firewall == daemon::Firewall::Iptables;
    if (by_iptables && !settings.iptables) || settings.bridge == "none" {
        return None;
    }
    let outside = facts.routes.defaults().first()?.device.clone();
    let mut firewall = Firewall::read(host);
    if !firewall.unread.is_empty() {
        let what = "rules beside dockerd's own are not checked here, because not all of them can be read";
        return Some(Finding::pass(what).with("unread", firewall.unread.join("; ")));
    }
    firewall.chains.retain(|chain| chain.table != FIREWALLD);
    if by_iptables {
        let own = firewall.remover.plain;
        firewall.chains.iter_mut().filter(|chain| Some(chain.back_end) == own).for_each(|chain| {
            if (chain.table.as_str(), chain.name.as_str()) == ("filter", "FORWARD") {
                as_dockerd_makes_it(chain);
            }
        });
    }
    let out = Packet {
        inputs: vec![settings.bridge.clone()],
        outputs: vec![outside],
        ..Packet::new(Way::Through, false)
    };
    let mut droppers = firewall.certain_droppers(&out, &[]);
    droppers.extend(firewall.certain_droppers(&out.answer(), &droppers));
    warning(&firewall, &droppers)
}

/// dockerd accepts its own packets before the rules and the policy that it finds in this chain.
fn as_dockerd_makes_it(chain: &mut Chain) {
    chain.rules = vec![Rule {
        text: format!("-A FORWARD -j {USER}"),
        handle: None,
        packets: None,
        conditions: Vec::new(),
        verdict: Verdict::Jump(USER.to_owned()),
    }];
    if let Some(base) = &mut chain.base {
        base.drops = false;
    }
}

fn warning(firewall: &Firewall, droppers: &[Suspect]) -> Option<Finding> {
    let first = droppers.first()?;
    let what = match &first.rule {
        Some(rule) => format!("the rule `{}` in {}", rule.text, first.chain.title()),
        None => format!("the policy of {}", first.chain.title()),
    };
    let commands: Vec<String> = droppers.iter().map(|suspect| firewall.remover.command(suspect)).collect();
    let what = format!("{what} drops what inner containers send to the outside, or the answers");
    let warning = Finding::warn(causes::CONTAINER_OUTBOUND_NETWORK_UNREACHABLE, what)
        .with("back_end", first.chain.back_end)
        .with("table", format!("{} {}", first.chain.family, first.chain.table))
        .with("chain", &first.chain.name)
        .with("rule", first.text());
    Some(warning.hint(commands.join("; ")))
}

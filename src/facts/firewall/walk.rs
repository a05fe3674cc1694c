//! Follows a packet through the chains, and finds what drops it.

use super::{Base, Chain, Firewall, Hook, Match, Packet, Rule, Verdict, names};

/// How many jumps are followed: the kernel permits 16.
const JUMPS: usize = 16;
/// How many rules that drop one packet after the other are looked for.
const MOST: usize = 8;

/// A rule or a policy that drops a packet, or diverts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// Its chain.
    pub chain: Chain,
    /// The rule; `None` for the policy of the chain.
    pub rule: Option<Rule>,
    /// The packets before and after an attempt, where they are counted.
    pub packets: Option<(u64, u64)>,
    /// Whether it matches by its text.
    pub matches: Match,
}

impl Suspect {
    /// Whether its counter grew, so that it is known to have met packets.
    pub fn is_counted(&self) -> bool {
        self.packets.is_some()
    }

    /// Whether dockerd makes such a rule.
    pub fn is_dockerds(&self) -> bool {
        names::is_dockers_chain(&self.chain.name) && self.chain.name != "DOCKER-USER"
            || self.rule.as_ref().is_some_and(|rule| names::is_dockers_rule(&rule.text))
    }

    /// The text of the rule, or the policy.
    pub fn text(&self) -> String {
        match &self.rule {
            Some(rule) => rule.text.clone(),
            None => "policy drop".to_owned(),
        }
    }

    /// Whether it is the same rule or policy.
    pub fn is(&self, other: &Self) -> bool {
        self.chain.is(&other.chain)
            && self.rule.as_ref().map(|rule| (&rule.text, rule.handle))
                == other.rule.as_ref().map(|rule| (&rule.text, rule.handle))
    }
}

/// What becomes of a packet in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It passed the whole chain.
    Passed,
    /// It was accepted, or nothing more is known of it.
    Accepted,
    /// It was dropped.
    Dropped,
}

impl Firewall {
    /// What dropped a packet between an earlier reading and this one: rules and policies whose counters grew, and, only
    /// where there are none, those without a counter that it meets.
    pub fn droppers(&self, before: &Self, packet: &Packet) -> Vec<Suspect> {
        let mut walk = Walk { now: self, before: Some(before), packet, without: &[], found: Vec::new() };
        walk.all();
        let (counted, open): (Vec<_>, Vec<_>) = walk.found.into_iter().partition(Suspect::is_counted);
        let is_certain = |suspect: &Suspect| suspect.matches == Match::Yes;
        let (certain, maybe): (Vec<_>, Vec<_>) = open.into_iter().partition(is_certain);
        let (own, foreign): (Vec<_>, Vec<_>) = counted.into_iter().partition(Suspect::is_dockerds);
        [foreign, own, certain, maybe].into_iter().find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// What drops a packet for certain by the text of the rules alone, one after the other as each is taken away, where
    /// `without` is gone already.
    pub fn certain_droppers(&self, packet: &Packet, without: &[Suspect]) -> Vec<Suspect> {
        let mut gone = without.to_vec();
        for _ in 0..MOST {
            let mut walk = Walk { now: self, before: None, packet, without: &gone, found: Vec::new() };
            walk.all();
            match walk.found.into_iter().next() {
                Some(next) => gone.push(next),
                None => break,
            }
        }
        gone.split_off(without.len())
    }

    /// Rules of others that translated or marked a packet since an earlier reading, or let it pass a nat table before
    /// dockerd's rules.
    pub fn diverters(&self, before: &Self, packet: &Packet) -> Vec<Suspect> {
        let mut found = Vec::new();
        for (chain, hook) in self.reached(packet) {
            for (at, rule) in chain.rules.iter().enumerate() {
                let passes =
                    chain.table == "nat" && matches!(rule.verdict, Verdict::Accept | Verdict::Return);
                if !(passes || rule.verdict == Verdict::Divert) || rule.matches(packet, hook) == Match::No {
                    continue;
                }
                let suspect = Suspect {
                    chain: chain.clone(),
                    rule: Some(rule.clone()),
                    packets: before.growth(chain, at, rule),
                    matches: rule.matches(packet, hook),
                };
                if suspect.is_counted() && !suspect.is_dockerds() {
                    found.push(suspect);
                }
            }
        }
        found
    }

    /// Whether a rule may give a packet that leaves the address of this network namespace.
    pub fn translates(&self, packet: &Packet) -> bool {
        let targets = ["MASQUERADE", "SNAT", "masquerade", "snat"];
        let is_one = |rule: &Rule| rule.text.split_whitespace().any(|word| targets.contains(&word));
        let leaving = self.reached(packet).into_iter().filter(|(_, hook)| *hook == Hook::Postrouting);
        leaving
            .flat_map(|(chain, hook)| chain.rules.iter().map(move |rule| (rule, hook)))
            .any(|(rule, hook)| is_one(rule) && rule.matches(packet, hook) != Match::No)
    }

    /// The base chains that a packet passes, in the order in which they are asked.
    fn bases<'f>(&'f self, packet: &Packet) -> Vec<(&'f Chain, &'f Base)> {
        let mut found = Vec::new();
        for hook in packet.hooks() {
            let of_hook = self.chains.iter().filter(|chain| chain.takes(packet));
            let mut bases: Vec<_> = of_hook
                .filter_map(|chain| Some((chain, chain.base.as_ref().filter(|base| base.hook == *hook)?)))
                .collect();
            bases.sort_by_key(|(_, base)| base.priority);
            found.extend(bases);
        }
        found
    }

    /// The chains that a packet may pass, each with the hook at which it does.
    fn reached<'f>(&'f self, packet: &Packet) -> Vec<(&'f Chain, Hook)> {
        let mut found: Vec<(&Chain, Hook)> =
            self.bases(packet).into_iter().map(|(chain, base)| (chain, base.hook)).collect();
        let mut at = 0;
        while let Some((chain, hook)) = found.get(at).copied() {
            for rule in &chain.rules {
                if let Verdict::Jump(name) | Verdict::Goto(name) = &rule.verdict
                    && let Some(next) = self.chain(chain, name)
                    && !found.iter().any(|(known, of)| known.is(next) && *of == hook)
                {
                    found.push((next, hook));
                }
            }
            at += 1;
        }
        found
    }

    /// The chain of that name in the table of another one.
    fn chain(&self, beside: &Chain, name: &str) -> Option<&Chain> {
        let same = |chain: &&Chain| {
            let iptables = |chain: &Chain| chain.back_end == super::BackEnd::IptablesLegacy;
            iptables(chain) == iptables(beside)
                && (&chain.family, &chain.table) == (&beside.family, &beside.table)
                && chain.name == name
        };
        self.chains.iter().find(same)
    }

    /// The packets of a rule here and in a later reading, where they are more; a rule that is new had none.
    fn growth(&self, chain: &Chain, at: usize, rule: &Rule) -> Option<(u64, u64)> {
        let now = rule.packets?;
        let of = self.chains.iter().find(|known| known.is(chain));
        let same = |known: &&Rule| known.text == rule.text && known.handle == rule.handle;
        // Without handles only their order distinguishes equal rules.
        let nth = chain.rules.iter().take(at).filter(|known| same(known)).count();
        let earlier = of.and_then(|of| of.rules.iter().filter(same).nth(nth));
        let before = earlier.and_then(|earlier| earlier.packets).unwrap_or(0);
        (now > before).then_some((before, now))
    }
}

/// A packet on its way.
struct Walk<'w> {
    now: &'w Firewall,
    /// The earlier reading; `None` to judge by the text of the rules alone.
    before: Option<&'w Firewall>,
    packet: &'w Packet,
    /// What is taken as gone.
    without: &'w [Suspect],
    found: Vec<Suspect>,
}

impl Walk<'_> {
    /// Through all hooks. By the text alone the first that drops it ends its way.
    fn all(&mut self) {
        for (chain, base) in self.now.bases(self.packet) {
            if self.through(chain, base.hook, 0) == End::Passed && base.drops {
                self.policy(chain, base);
            }
            if self.before.is_none() && !self.found.is_empty() {
                return;
            }
        }
    }

    /// A packet that met the policy of a chain.
    fn policy(&mut self, chain: &Chain, base: &Base) {
        let suspect = Suspect { chain: chain.clone(), rule: None, packets: None, matches: Match::Yes };
        if self.without.iter().any(|gone| gone.is(&suspect)) {
            return;
        }
        let packets = match (self.before, base.packets) {
            (Some(before), Some(now)) => {
                let of = before.chains.iter().find(|known| known.is(chain));
                let was = of.and_then(|of| of.base.as_ref()?.packets).unwrap_or(0);
                if now <= was {
                    return;
                }
                Some((was, now))
            }
            _ => None,
        };
        self.found.push(Suspect { packets, ..suspect });
    }

    /// Through one chain, and those that it leads to.
    fn through(&mut self, chain: &Chain, hook: Hook, jumps: usize) -> End {
        for (at, rule) in chain.rules.iter().enumerate() {
            let matches = rule.matches(self.packet, hook);
            let growth = self.before.and_then(|before| before.growth(chain, at, rule));
            let not_hit = self.before.is_some() && rule.packets.is_some() && growth.is_none();
            if matches == Match::No || not_hit {
                continue;
            }
            let end = match &rule.verdict {
                Verdict::Drop => self.drop(chain, rule, matches, growth),
                Verdict::Accept if matches == Match::Yes || self.before.is_none() => Some(End::Accepted),
                Verdict::Return if matches == Match::Yes || self.before.is_none() => Some(End::Passed),
                Verdict::Jump(name) | Verdict::Goto(name) => {
                    let goes = matches!(rule.verdict, Verdict::Goto(_));
                    self.jump(chain, hook, name, jumps)
                        .filter(|end| matches == Match::Yes && (goes || *end != End::Passed))
                }
                _ => None,
            };
            if let Some(end) = end {
                return end;
            }
        }
        End::Passed
    }

    fn drop(
        &mut self,
        chain: &Chain,
        rule: &Rule,
        matches: Match,
        packets: Option<(u64, u64)>,
    ) -> Option<End> {
        let suspect = Suspect { chain: chain.clone(), rule: Some(rule.clone()), packets, matches };
        let gone = self.without.iter().any(|gone| gone.is(&suspect));
        let is_certain = matches == Match::Yes;
        if gone || (self.before.is_none() && !is_certain) {
            return None;
        }
        self.found.push(suspect);
        is_certain.then_some(End::Dropped)
    }

    /// Into another chain; `None` where the name is that of a target without a verdict.
    fn jump(&mut self, from: &Chain, hook: Hook, name: &str, jumps: usize) -> Option<End> {
        let next = self.now.chain(from, name)?.clone();
        (jumps < JUMPS).then(|| self.through(&next, hook, jumps + 1))
    }
}

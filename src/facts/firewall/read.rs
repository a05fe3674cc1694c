//! Reads the rules with the programs that are here.

use std::path::Path;
use std::time::Duration;

use super::saved::{Line, lines};
use super::{BackEnd, Base, Chain, Firewall, Hook, Rule, iptables, listing};
use crate::facts::programs::locate;
use crate::host::{HostError, HostResult, SystemReader};

/// The deadline of a program: it takes milliseconds, or waits for a lock.
const WITHIN: Duration = Duration::from_secs(5);
/// The arguments of nft, the best first: without the elements of sets, which may be many (since 0.9.1).
const LISTS: [&[&str]; 2] = [&["-a", "-t", "list", "ruleset"], &["-a", "list", "ruleset"]];

impl Firewall {
    /// Reads the rules of this network namespace. What cannot be read is said in `unread`.
    pub fn read(host: &dyn SystemReader) -> Self {
        let mut firewall = Self::default();
        firewall.read_nft(host);
        for (family, name) in [("ip", "iptables"), ("ip6", "ip6tables")] {
            firewall.read_saved(host, family, name);
        }
        if firewall.chains.is_empty() && !has_programs(host) {
            let what = "the rules cannot be read: neither nft nor iptables-save is in PATH";
            firewall.unread.push(what.to_owned());
        }
        firewall
    }

    fn read_nft(&mut self, host: &dyn SystemReader) {
        match locate(host, "nft") {
            Ok(None) => {}
            Ok(Some(nft)) => match list(host, &nft) {
                Ok(text) => self.chains = listing::parse(&text),
                Err(error) => self.unread.push(error.to_string()),
            },
            Err(error) => self.unread.push(error.to_string()),
        }
    }

    /// Both back ends of one family. The plain name stands for one of them.
    fn read_saved(&mut self, host: &dyn SystemReader, family: &str, name: &str) {
        let plain = kind(host, &format!("{name}-save"));
        let mut names = vec![
            (format!("{name}-nft-save"), BackEnd::IptablesNft),
            (format!("{name}-legacy-save"), BackEnd::IptablesLegacy),
        ];
        if let Some(kind) = plain {
            self.remover.plain = Some(kind);
            if let Some(named) = names.iter_mut().find(|(_, of)| *of == kind) {
                named.0 = format!("{name}-save");
            }
        }
        for (program, kind) in names {
            match save(host, &program) {
                Ok(None) => {}
                Ok(Some(text)) => self.add(kind, family, &text),
                Err(error) => self.unread.push(error.to_string()),
            }
        }
    }

    /// Adds the chains of iptables-save. Those that nft has listed are put in the words of iptables.
    fn add(&mut self, back_end: BackEnd, family: &str, text: &str) {
        for saved in chains(back_end, family, text) {
            let listed = self.chains.iter_mut().find(|chain| {
                back_end == BackEnd::IptablesNft
                    && (&chain.family, &chain.table, &chain.name)
                        == (&saved.family, &saved.table, &saved.name)
            });
            match listed {
                Some(chain) => translate(chain, saved),
                None => self.chains.push(saved),
            }
        }
    }
}

/// The back end of a program, as it says itself.
fn kind(host: &dyn SystemReader, name: &str) -> Option<BackEnd> {
    let program = locate(host, name).ok().flatten()?;
    // Up to 1.6 it does not say it, and is the legacy one.
    let is_nft = host.ask(&program, &["--version"]).is_ok_and(|said| said.stdout.contains("nf_tables"));
    Some(if is_nft { BackEnd::IptablesNft } else { BackEnd::IptablesLegacy })
}

/// What a program prints; `None` where it is not there.
fn save(host: &dyn SystemReader, name: &str) -> HostResult<Option<String>> {
    let Some(program) = locate(host, name)? else { return Ok(None) };
    run(host, &program, &["-c"]).map(Some)
}

fn has_programs(host: &dyn SystemReader) -> bool {
    ["nft", "iptables-save", "iptables-nft-save", "iptables-legacy-save"]
        .iter()
        .any(|name| locate(host, name).is_ok_and(|found| found.is_some()))
}

/// The listing of nft.
fn list(host: &dyn SystemReader, nft: &Path) -> HostResult<String> {
    run(host, nft, LISTS[0]).or_else(|_| run(host, nft, LISTS[1]))
}

/// The whole output of a program that ended well.
fn run(host: &dyn SystemReader, program: &Path, args: &[&str]) -> HostResult<String> {
    let ran = host.run(program, args, WITHIN)?;
    if ran.code != 0 {
        let op = format!("read the rules ({}) with", ran.stderr.trim().replace('\n', " "));
        return Err(HostError::new(op, program, nix::errno::Errno::EPROTO));
    }
    ran.whole_stdout(program).map(str::to_owned)
}

/// The chains of iptables-save.
fn chains(back_end: BackEnd, family: &str, text: &str) -> Vec<Chain> {
    let (mut chains, mut table): (Vec<Chain>, _) = (Vec::new(), "");
    for line in lines(text) {
        match line {
            Line::Table(name) => table = name,
            Line::Chain { name, policy, packets } => chains.push(Chain {
                back_end,
                family: family.to_owned(),
                table: table.to_owned(),
                name: name.to_owned(),
                base: base(table, name, policy, packets),
                rules: Vec::new(),
            }),
            Line::Rule { text, packets } => {
                let name = text.split_whitespace().nth(1).unwrap_or_default();
                let of = chains.iter_mut().rev().find(|chain| chain.table == table && chain.name == name);
                let (conditions, verdict) = iptables::parse(text);
                let rule = Rule { text: text.to_owned(), handle: None, packets, conditions, verdict };
                if let Some(chain) = of {
                    chain.rules.push(rule);
                }
            }
        }
    }
    chains
}

/// How packets enter a built-in chain (`enum nf_ip_hook_priorities`).
fn base(table: &str, name: &str, policy: &str, packets: Option<u64>) -> Option<Base> {
    let hook = Hook::named(name).filter(|_| policy != "-")?;
    let priority = match (table, hook) {
        ("raw", _) => -300,
        ("mangle", _) => -150,
        ("nat", Hook::Prerouting | Hook::Output) => -100,
        ("security", _) => 50,
        ("nat", _) => 100,
        _ => 0,
    };
    Some(Base { hook, priority, drops: policy == "DROP", packets })
}

/// A chain of nft in the words of iptables, where it has as many rules there. What nft does not count is not counted.
fn translate(chain: &mut Chain, saved: Chain) {
    if let (Some(base), Some(from)) = (&mut chain.base, &saved.base) {
        base.packets = from.packets;
    }
    if chain.rules.len() != saved.rules.len() {
        return;
    }
    chain.back_end = BackEnd::IptablesNft;
    for (rule, from) in chain.rules.iter_mut().zip(saved.rules) {
        *rule = Rule { handle: rule.handle, packets: rule.packets.and(from.packets), ..from };
    }
}

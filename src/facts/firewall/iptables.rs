//! The rules of iptables in the form in which iptables-save prints them.

use super::Verdict;
use super::condition::{Condition, Field};

/// Targets that end the way of a packet.
const DROPS: &[&str] = &["DROP", "REJECT", "TARPIT", "QUEUE"];
/// Targets after which a packet is another one, or goes elsewhere.
const DIVERTS: &[&str] =
    &["DNAT", "REDIRECT", "NETMAP", "SNAT", "TPROXY", "CT", "NOTRACK", "TTL", "HL", "MARK", "TEE"];

/// Parses a rule, `-A CHAIN ...`: its conditions and its verdict.
pub(super) fn parse(rule: &str) -> (Vec<Condition>, Verdict) {
    let Some(words) = shlex::split(rule) else { return (vec![unknown()], Verdict::Other) };
    let mut words = words.iter().map(String::as_str).skip(2).peekable();
    let (mut conditions, mut negated) = (Vec::new(), false);
    while let Some(word) = words.next() {
        match word {
            "!" => {
                negated = true;
                continue;
            }
            "-j" => {
                return (conditions, target(words.next().unwrap_or_default(), &words.collect::<Vec<_>>()));
            }
            "-g" => return (conditions, Verdict::Goto(words.next().unwrap_or_default().to_owned())),
            "-m" => drop(words.next()),
            "--comment" => drop(words.next()),
            flag if flag.starts_with('-') => {
                let mut values = Vec::new();
                while let Some(value) = words.next_if(|word| !word.starts_with('-') && *word != "!") {
                    values.push(value);
                }
                conditions.push(Condition { field: field(flag, &values), negated });
            }
            _ => conditions.push(unknown()),
        }
        negated = false;
    }
    (conditions, Verdict::Other)
}

fn unknown() -> Condition {
    Condition { field: Field::Unknown, negated: false }
}

/// The field of a condition.
fn field(flag: &str, values: &[&str]) -> Field {
    let Some(value) = values.first() else { return Field::Unknown };
    let net = || value.parse().or_else(|_| value.parse::<std::net::IpAddr>().map(Into::into)).ok();
    let read = match flag {
        "-i" => Some(Field::Input(vec![(*value).to_owned()])),
        "-o" => Some(Field::Output(vec![(*value).to_owned()])),
        "-s" => net().map(|net| Field::Source(vec![net])),
        "-d" => net().map(|net| Field::Target(vec![net])),
        "-p" => Some(Field::Protocol(vec![(*value).to_owned()])),
        "--sport" | "--sports" => ports(value).map(Field::SourcePort),
        "--dport" | "--dports" => ports(value).map(Field::TargetPort),
        "--ctstate" | "--state" => {
            Some(Field::State(value.split(',').map(str::to_ascii_lowercase).collect()))
        }
        // `--syn`: the first packet of a connection.
        "--tcp-flags" if values == ["FIN,SYN,RST,ACK", "SYN"] => Some(Field::State(vec!["new".to_owned()])),
        _ => None,
    };
    read.unwrap_or(Field::Unknown)
}

/// `80`, `80:90` or `80,443`.
fn ports(text: &str) -> Option<Vec<(u16, u16)>> {
    let range = |one: &str| {
        let (from, to) = one.split_once(':').unwrap_or((one, one));
        Some((from.parse().ok()?, to.parse().ok()?))
    };
    text.split(',').map(range).collect()
}

fn target(name: &str, options: &[&str]) -> Verdict {
    match name {
        "ACCEPT" => Verdict::Accept,
        "RETURN" => Verdict::Return,
        "NFQUEUE" if !options.contains(&"--queue-bypass") => Verdict::Drop,
        drops if DROPS.contains(&drops) => Verdict::Drop,
        diverts if DIVERTS.contains(&diverts) => Verdict::Divert,
        chain => Verdict::Jump(chain.to_owned()),
    }
}

//! The rules of nf_tables in the form in which `nft list ruleset` prints them.

use super::Verdict;
use super::condition::{Condition, Field};

/// Parses a rule: its conditions and its verdict.
pub(super) fn parse(rule: &str) -> (Vec<Condition>, Verdict) {
    let words = words(rule);
    let mut conditions = Vec::new();
    let mut rest: &[String] = &words;
    while let Some((first, after)) = rest.split_first() {
        let second = after.first().map_or("", String::as_str);
        let (read, used) = match first.as_str() {
            // A map of verdicts may accept it.
            _ if rest.iter().take(4).any(|word| word == "vmap") => {
                conditions.push(unknown());
                return (conditions, Verdict::Accept);
            }
            "counter" if second == "packets" => (None, 5),
            "counter" => (None, 1),
            "comment" => (None, 2),
            "iifname" | "iif" => condition(after, |values| Some(Field::Input(values))),
            "oifname" | "oif" => condition(after, |values| Some(Field::Output(values))),
            "ip" | "ip6" if second == "saddr" => after_key(after, |values| nets(&values).map(Field::Source)),
            "ip" | "ip6" if second == "daddr" => after_key(after, |values| nets(&values).map(Field::Target)),
            "ip" if second == "protocol" => after_key(after, |values| Some(Field::Protocol(values))),
            "ip6" if second == "nexthdr" => after_key(after, |values| Some(Field::Protocol(values))),
            "meta" if second == "l4proto" => after_key(after, |values| Some(Field::Protocol(values))),
            "meta" if second == "nfproto" => {
                after_key(after, |values| Some(Field::Version6(values == ["ipv6"])))
            }
            "ct" if second == "state" => after_key(after, |values| Some(Field::State(split(&values)))),
            "tcp" | "udp" | "th" if second == "dport" => {
                conditions.extend(protocol(first));
                after_key(after, |values| ports(&values).map(Field::TargetPort))
            }
            "tcp" | "udp" | "th" if second == "sport" => {
                conditions.extend(protocol(first));
                after_key(after, |values| ports(&values).map(Field::SourcePort))
            }
            _ => match verdict(rest) {
                Some(verdict) => return (conditions, verdict),
                None => (Some(unknown()), 1),
            },
        };
        conditions.extend(read);
        rest = rest.get(used..).unwrap_or_default();
    }
    (conditions, Verdict::Other)
}

/// The words of a rule; quotes are removed, a set in braces is one word.
fn words(rule: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let (mut quoted, mut depth) = (false, 0_u32);
    for char in rule.chars() {
        match char {
            '"' => quoted = !quoted,
            ' ' if !quoted && depth == 0 => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            '{' if !quoted => depth += 1,
            '}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if char != '"' {
            word.push(char);
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

fn unknown() -> Condition {
    Condition { field: Field::Unknown, negated: false }
}

/// `tcp dport` asks for the protocol as well.
fn protocol(name: &str) -> Option<Condition> {
    (name != "th").then(|| Condition { field: Field::Protocol(vec![name.to_owned()]), negated: false })
}

/// A condition whose key has two words, and how many words it has.
fn after_key(after: &[String], field: impl Fn(Vec<String>) -> Option<Field>) -> (Option<Condition>, usize) {
    let (read, used) = condition(after.get(1..).unwrap_or_default(), field);
    (read, used + 1)
}

/// A condition from the words after its key, and how many words it has with a key of one word.
fn condition(after: &[String], field: impl Fn(Vec<String>) -> Option<Field>) -> (Option<Condition>, usize) {
    let negated = after.first().is_some_and(|word| word == "!=");
    let compares = negated || after.first().is_some_and(|word| word == "==");
    let at = usize::from(compares);
    let Some(value) = after.get(at) else { return (Some(unknown()), 1) };
    // A named set is not read.
    let open = value.starts_with(['@', '<', '>', '&']);
    let read = if open { None } else { field(values(value)) };
    (Some(read.map_or_else(unknown, |field| Condition { field, negated })), at + 2)
}

/// One value, or those of a set.
fn values(word: &str) -> Vec<String> {
    let inner = word.strip_prefix('{').and_then(|word| word.strip_suffix('}')).unwrap_or(word);
    inner.split(", ").map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()).collect()
}

/// `established,related` outside of a set.
fn split(values: &[String]) -> Vec<String> {
    values.iter().flat_map(|value| value.split(',').map(|one| one.trim().to_owned())).collect()
}

fn nets(values: &[String]) -> Option<Vec<ipnet::IpNet>> {
    let net =
        |value: &String| value.parse().or_else(|_| value.parse::<std::net::IpAddr>().map(Into::into)).ok();
    values.iter().map(net).collect()
}

fn ports(values: &[String]) -> Option<Vec<(u16, u16)>> {
    let range = |value: &String| {
        let (from, to) = value.split_once('-').unwrap_or((value, value));
        Some((from.parse().ok()?, to.parse().ok()?))
    };
    values.iter().map(range).collect()
}

/// The verdict that begins here.
fn verdict(words: &[String]) -> Option<Verdict> {
    let name = |at: usize| words.get(at).cloned().unwrap_or_default();
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    Some(match word(0) {
        "drop" | "reject" => Verdict::Drop,
        "queue" if !words.iter().any(|word| word.contains("bypass")) => Verdict::Drop,
        "accept" => Verdict::Accept,
        "return" => Verdict::Return,
        "jump" => Verdict::Jump(name(1)),
        "goto" => Verdict::Goto(name(1)),
        "dnat" | "redirect" | "snat" | "notrack" | "tproxy" => Verdict::Divert,
        "meta" if word(1) == "mark" && word(2) == "set" => Verdict::Divert,
        "ip" if word(1) == "ttl" && word(2) == "set" => Verdict::Divert,
        _ => return None,
    })
}

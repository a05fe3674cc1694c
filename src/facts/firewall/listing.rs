//! Parses `nft --handle list ruleset`.

use super::{BackEnd, Base, Chain, Hook, Rule, nft};

/// The chains of a listing.
pub(super) fn parse(text: &str) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    let (mut table, mut depth, mut open) = ((String::new(), String::new()), 0_usize, false);
    for line in text.lines() {
        let (line, handle) = without_handle(line.trim());
        let words: Vec<&str> = line.split_whitespace().collect();
        match (depth, words.as_slice()) {
            (0, ["table", family, name, "{"]) => table = ((*family).to_owned(), (*name).to_owned()),
            (1, ["chain", name, "{"]) => {
                open = true;
                chains.push(chain(&table, name));
            }
            (1, _) if line.ends_with('{') => open = false,
            (2, _) if open => {
                if let Some(chain) = chains.last_mut() {
                    content(chain, line, &words, handle);
                }
            }
            _ => {}
        }
        depth = deeper(depth, line);
    }
    chains
}

/// The depth of braces after a line; those of a set within one line are balanced.
fn deeper(depth: usize, line: &str) -> usize {
    let (opened, closed) = unquoted(line).fold((0, 0), |(opened, closed), char| match char {
        '{' => (opened + 1, closed),
        '}' => (opened, closed + 1),
        _ => (opened, closed),
    });
    (depth + opened).saturating_sub(closed)
}

/// The characters outside of quotes.
fn unquoted(line: &str) -> impl Iterator<Item = char> {
    let mut quoted = false;
    line.chars().filter(move |char| {
        if *char == '"' {
            quoted = !quoted;
        }
        !quoted
    })
}

/// `... # handle 5` in two.
fn without_handle(line: &str) -> (&str, Option<u64>) {
    match line.rsplit_once(" # handle ") {
        Some((text, handle)) => (text.trim_end(), handle.trim().parse().ok()),
        None => (line, None),
    }
}

fn chain((family, table): &(String, String), name: &str) -> Chain {
    Chain {
        back_end: BackEnd::Nft,
        family: family.clone(),
        table: table.clone(),
        name: name.to_owned(),
        base: None,
        rules: Vec::new(),
    }
}

/// A line of a chain: how packets enter it, or a rule.
fn content(chain: &mut Chain, line: &str, words: &[&str], handle: Option<u64>) {
    if words.first() == Some(&"type") && words.get(2) == Some(&"hook") {
        chain.base = base(line, words);
    } else if let (Some(_), Some(_)) = (handle, words.first()) {
        let (conditions, verdict) = nft::parse(line);
        let (text, packets) = without_counter(line);
        chain.rules.push(Rule { text, handle, packets, conditions, verdict });
    }
}

/// `type filter hook forward priority filter + 10; policy drop;`
fn base(line: &str, words: &[&str]) -> Option<Base> {
    let hook = Hook::named(words.get(3)?)?;
    let after = line.split("priority ").nth(1)?.split(';').next()?;
    Some(Base { hook, priority: priority(after), drops: line.contains("policy drop"), packets: None })
}

/// A number, or a name with a distance (nft(8), standard priority names).
fn priority(text: &str) -> i32 {
    let text = text.replace(' ', "");
    if let Ok(number) = text.parse() {
        return number;
    }
    let at = text.find(['+', '-']).unwrap_or(text.len());
    let (name, distance) = text.split_at(at);
    let standard = match name {
        "raw" => -300,
        "mangle" => -150,
        "dstnat" => -100,
        "security" => 50,
        "srcnat" => 100,
        _ => 0,
    };
    standard + distance.parse().unwrap_or(0)
}

/// The rule without the numbers of its counter, and the packets.
fn without_counter(line: &str) -> (String, Option<u64>) {
    let Some((before, after)) = line.split_once("counter packets ") else {
        return (line.to_owned(), None);
    };
    let mut rest = after.splitn(4, ' ');
    let packets = rest.next().and_then(|number| number.parse().ok());
    let after = rest.nth(2).unwrap_or_default();
    (format!("{before}counter {after}").trim_end().to_owned(), packets)
}

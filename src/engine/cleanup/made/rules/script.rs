//! The input of `iptables-restore --noflush` that removes rules and chains of a run from one table.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::saved::Table;

/// What is to be removed from a table.
#[derive(Debug, Default)]
pub(super) struct Removals<'r> {
    /// Rules, as `-A CHAIN ...`; one that exists twice is named twice.
    pub rules: Vec<&'r str>,
    /// Chains, which go only where nothing is left in them and nothing jumps to them.
    pub chains: Vec<&'r str>,
    /// Built-in chains with the policies that they had.
    pub policies: BTreeMap<&'r str, &'r str>,
}

/// The script for a table as it is `now`; empty where there is nothing to do. Also the chains that have to stay.
pub(super) fn script<'r>(name: &str, removals: &Removals<'r>, now: &Table) -> (String, Vec<&'r str>) {
    let mut lines = String::new();
    for (chain, policy) in &removals.policies {
        let _ = writeln!(lines, ":{chain} {policy} [0:0]");
    }
    let mut left: Vec<&str> = now.rules.iter().map(String::as_str).collect();
    for rule in &removals.rules {
        if let Some(at) = left.iter().position(|known| known == rule) {
            left.remove(at);
            let _ = writeln!(lines, "-D{}", &rule[2..]);
        }
    }
    let is_used = |chain: &&&str| left.iter().any(|rule| names_chain(rule, chain));
    let (stay, go): (Vec<&str>, Vec<&str>) = removals.chains.iter().partition(is_used);
    for chain in go {
        let _ = writeln!(lines, "-X {chain}");
    }
    (if lines.is_empty() { lines } else { format!("*{name}\n{lines}COMMIT\n") }, stay)
}

/// Whether a rule is in a chain or jumps to it.
fn names_chain(rule: &str, chain: &str) -> bool {
    let args: Vec<&str> = rule.split_whitespace().collect();
    args.windows(2).any(|pair| ["-A", "-j", "-g"].contains(&pair[0]) && pair[1] == chain)
}

#[cfg(test)]
mod tests {
    use super::super::saved::Saved;
    use super::*;

    const NOW: &str = "*filter\n:FORWARD DROP [0:0]\n:MINE - [0:0]\n:DOCKER - [0:0]\n:DOCKER-USER - [0:0]\n\
        -A FORWARD -j DOCKER-USER\n-A FORWARD -o docker0 -j DOCKER\n-A FORWARD -j MINE\n\
        -A DOCKER-USER -j RETURN\n-A MINE -j ACCEPT\nCOMMIT\n";

    const OURS: [&str; 3] =
        ["-A FORWARD -j DOCKER-USER", "-A FORWARD -o docker0 -j DOCKER", "-A DOCKER-USER -j RETURN"];

    fn table(saved: &str) -> Table {
        Saved::parse(saved).0.remove("filter").unwrap()
    }

    fn removals() -> Removals<'static> {
        Removals {
            rules: OURS.to_vec(),
            chains: vec!["DOCKER", "DOCKER-USER"],
            policies: BTreeMap::from([("FORWARD", "ACCEPT")]),
        }
    }

    #[test]
    fn recorded_rules_are_removed_one_by_one_and_their_chains_without_a_flush() {
        let (script, stay) = script("filter", &removals(), &table(NOW));
        assert_eq!(
            script,
            "*filter\n:FORWARD ACCEPT [0:0]\n-D FORWARD -j DOCKER-USER\n-D FORWARD -o docker0 -j DOCKER\n\
             -D DOCKER-USER -j RETURN\n-X DOCKER\n-X DOCKER-USER\nCOMMIT\n"
        );
        assert!(stay.is_empty());
    }

    #[test]
    fn a_chain_with_a_rule_of_somebody_else_or_a_jump_to_it_stays() {
        for theirs in ["-A DOCKER-USER -s 10.0.0.0/8 -j DROP\nCOMMIT", "-A MINE -j DOCKER-USER\nCOMMIT"] {
            let now = table(&NOW.replace("COMMIT", theirs));
            let (script, stay) = script("filter", &removals(), &now);
            assert!(!script.contains("-X DOCKER-USER"), "{script}");
            assert_eq!(stay, ["DOCKER-USER"]);
        }
    }

    #[test]
    fn a_rule_that_is_gone_is_not_removed_again() {
        let now = table(&NOW.replace("-A FORWARD -j DOCKER-USER\n", ""));
        assert!(!script("filter", &removals(), &now).0.contains("-D FORWARD -j DOCKER-USER"));
    }

    #[test]
    fn without_anything_to_remove_there_is_no_script() {
        assert_eq!(script("filter", &Removals::default(), &table(NOW)).0, "");
    }
}

//! Which firewall rules are new and dockerd's, and the script that removes them.

use std::fmt::Write;

use super::saved::{Saved, Table};

/// The removal of dockerd's rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Undo {
    /// The input of `iptables-restore --noflush`; empty where no rule is new.
    pub script: String,
    /// New tables of `nf_tables` that hold only dockerd's rules.
    pub tables: Vec<String>,
}

/// Computes it. `whole_tables`: whole tables can be removed.
pub(super) fn undo(before: &Saved, now: &Saved, whole_tables: bool) -> Undo {
    let mut undo = Undo::default();
    for (name, table) in &now.0 {
        match before.0.get(name) {
            None if whole_tables && is_only_dockers(table) => undo.tables.push(name.clone()),
            known => undo.script.push_str(&script(name, known.unwrap_or(&Table::default()), table)),
        }
    }
    undo
}

/// Whether dockerd creates a chain of this name: `DOCKER`, `DOCKER-USER`, `DOCKER-ISOLATION-STAGE-1`, ...
fn is_dockers_chain(chain: &str) -> bool {
    chain == "DOCKER" || chain.starts_with("DOCKER-")
}

/// Whether dockerd creates such a rule: in or to a chain of its own, or on one of its bridges.
fn is_dockers_rule(rule: &str) -> bool {
    let args: Vec<&str> = rule.split_whitespace().collect();
    let named = |flags: &[&str], is: fn(&str) -> bool| {
        args.windows(2).any(|pair| flags.contains(&pair[0]) && is(pair[1]))
    };
    named(&["-A", "-j", "-g"], is_dockers_chain) || named(&["-i", "-o"], is_dockers_bridge)
}

/// Whether it is `docker0`, or `br-` with twelve hexadecimal digits of a network's id.
fn is_dockers_bridge(name: &str) -> bool {
    let of_network = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    name == "docker0" || name.strip_prefix("br-").is_some_and(of_network)
}

/// Whether a table holds only rules and chains of dockerd.
fn is_only_dockers(table: &Table) -> bool {
    let is_hook = |policy: &str| policy != "-";
    let chains = table.chains.iter().all(|(name, policy)| is_hook(policy) || is_dockers_chain(name));
    chains && table.rules.iter().all(|rule| is_dockers_rule(rule))
}

/// The lines that remove dockerd's new rules from one table; empty where none is new.
fn script(name: &str, before: &Table, now: &Table) -> String {
    let mut known = before.rules.clone();
    let mut lines = String::new();
    // dockerd sets the policy of FORWARD to DROP, and never resets it.
    for (chain, policy) in &before.chains {
        if chain == "FORWARD" && policy == "ACCEPT" && now.chains.get(chain).is_some_and(|now| now == "DROP")
        {
            let _ = writeln!(lines, ":FORWARD ACCEPT [0:0]");
        }
    }
    let is_new_table = before.chains.is_empty() && now.chains.get("FORWARD").is_some_and(|now| now == "DROP");
    if is_new_table {
        let _ = writeln!(lines, ":FORWARD ACCEPT [0:0]");
    }
    let new_chain = |chain: &str| is_dockers_chain(chain) && !before.chains.contains_key(chain);
    for rule in &now.rules {
        let is_known = known.iter().position(|one| one == rule);
        if let Some(at) = is_known {
            known.remove(at);
            continue;
        }
        let chain = rule.split_whitespace().nth(1).unwrap_or_default();
        if is_dockers_rule(rule) && !new_chain(chain) {
            let _ = writeln!(lines, "-D{}", &rule[2..]);
        }
    }
    for verb in ["-F", "-X"] {
        for chain in now.chains.keys().filter(|chain| new_chain(chain)) {
            let _ = writeln!(lines, "{verb} {chain}");
        }
    }
    if lines.is_empty() { lines } else { format!("*{name}\n{lines}COMMIT\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEIRS: &str = "*filter\n:FORWARD ACCEPT [1:2]\n:MINE - [0:0]\n-A FORWARD -j MINE\nCOMMIT\n";

    const NOW: &str = "*filter\n:FORWARD DROP [0:0]\n:MINE - [0:0]\n:DOCKER - [0:0]\n:DOCKER-USER - [0:0]\n\
        -A FORWARD -j DOCKER-USER\n-A FORWARD -o docker0 -j DOCKER\n-A FORWARD -j MINE\n\
        -A DOCKER-USER -j RETURN\n-A MINE -j ACCEPT\nCOMMIT\n\
        *nat\n:POSTROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n\
        -A POSTROUTING -s 172.18.0.0/16 ! -o docker0 -j MASQUERADE\nCOMMIT\n";

    #[test]
    fn only_new_rules_of_dockerd_are_removed() {
        let undo = undo(&Saved::parse(THEIRS), &Saved::parse(NOW), false);
        assert_eq!(
            undo.script,
            "*filter\n:FORWARD ACCEPT [0:0]\n-D FORWARD -j DOCKER-USER\n-D FORWARD -o docker0 -j DOCKER\n\
             -F DOCKER\n-F DOCKER-USER\n-X DOCKER\n-X DOCKER-USER\nCOMMIT\n\
             *nat\n-D POSTROUTING -s 172.18.0.0/16 ! -o docker0 -j MASQUERADE\n-F DOCKER\n-X DOCKER\nCOMMIT\n"
        );
    }

    #[test]
    fn a_new_table_with_only_dockerds_rules_is_removed_as_a_whole() {
        let undo = undo(&Saved::parse(THEIRS), &Saved::parse(NOW), true);
        assert_eq!(undo.tables, ["nat"]);
        let shared = NOW.replace("-j MASQUERADE\n", "-j MASQUERADE\n-A POSTROUTING -j ACCEPT\n");
        assert!(super::undo(&Saved::parse(THEIRS), &Saved::parse(&shared), true).tables.is_empty());
    }

    #[test]
    fn without_new_rules_there_is_nothing_to_undo() {
        let saved = Saved::parse(NOW);
        assert_eq!(undo(&saved, &saved, true), Undo::default());
    }

    #[test]
    fn rules_of_an_older_daemon_are_left() {
        let before = "*nat\n:DOCKER - [0:0]\n-A DOCKER -i docker0 -j RETURN\nCOMMIT\n";
        let now = "*nat\n:DOCKER - [0:0]\n-A DOCKER -i docker0 -j RETURN\n-A DOCKER -i br-0123456789ab -j RETURN\nCOMMIT\n";
        let undo = undo(&Saved::parse(before), &Saved::parse(now), true);
        assert_eq!(undo.script, "*nat\n-D DOCKER -i br-0123456789ab -j RETURN\nCOMMIT\n");
    }
}

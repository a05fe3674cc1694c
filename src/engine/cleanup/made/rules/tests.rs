use super::*;
use crate::host::fake::Fake;

const MULTI: &str = "/usr/sbin/xtables-nft-multi";
const SAVE: &str = "/usr/sbin/xtables-nft-multi iptables-save";
const BEFORE: &str = "*filter\n:FORWARD ACCEPT [0:0]\n:MINE - [0:0]\n-A FORWARD -j MINE\nCOMMIT\n";
const NOW: &str = "*filter\n:FORWARD DROP [0:0]\n:DOCKER - [0:0]\n:MINE - [0:0]\n-A FORWARD -o docker0 -j DOCKER\n\
    -A FORWARD -j MINE\nCOMMIT\n*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\nCOMMIT\n";

fn machine(saved: &str) -> Fake {
    Fake::new()
        .variable("PATH", "/usr/sbin")
        .program(SAVE, 0, saved)
        .link("/usr/sbin/iptables", "/etc/alternatives/iptables")
        .link("/etc/alternatives/iptables", MULTI)
}

fn set(host: Fake, saved: &str) -> BTreeSet<Thing> {
    look(&host.program(SAVE, 0, saved), Family::Ip).unwrap().into_iter().collect()
}

#[test]
fn the_save_program_of_the_same_back_end_is_used() {
    let programs = Programs::find(&machine(NOW), Family::Ip).unwrap();
    assert!(programs.is_nft());
    assert_eq!(programs.saved(&machine(NOW)).unwrap(), Saved::parse(NOW));
}

#[test]
fn what_is_new_is_removed_and_policies_are_what_they_were() {
    let (before, now) = (set(machine(BEFORE), BEFORE), set(machine(NOW), NOW));
    let ours: Vec<Thing> = now.difference(&before).cloned().collect();
    let (script, stay) = whole_script(&ours, &before, &Saved::parse(NOW));
    assert_eq!(
        script,
        "*filter\n:FORWARD ACCEPT [0:0]\n-D FORWARD -o docker0 -j DOCKER\n-X DOCKER\nCOMMIT\n\
         *nat\n-D POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\nCOMMIT\n"
    );
    assert!(stay.is_empty());
    assert!(ours.contains(&Thing::Table(TableName { family: Family::Ip, name: "nat".into() })));
}

#[test]
fn rules_of_an_older_daemon_are_left() {
    let before = "*nat\n:DOCKER - [0:0]\n-A DOCKER -i docker0 -j RETURN\nCOMMIT\n";
    let now =
        "*nat\n:DOCKER - [0:0]\n-A DOCKER -i docker0 -j RETURN\n-A DOCKER -i docker0 -j RETURN\nCOMMIT\n";
    let (before, now_set) = (set(machine(before), before), set(machine(now), now));
    let ours: Vec<Thing> = now_set.difference(&before).cloned().collect();
    let (script, _) = whole_script(&ours, &before, &Saved::parse(now));
    assert_eq!(script, "*nat\n-D DOCKER -i docker0 -j RETURN\nCOMMIT\n");
}

#[test]
fn rules_that_cannot_be_listed_as_a_whole_are_an_error() {
    let failing = machine(NOW).program(SAVE, 1, "");
    assert!(look(&failing, Family::Ip).is_err());
    assert_eq!(look(&Fake::new().variable("PATH", "/usr/sbin"), Family::Ip).unwrap(), []);
}

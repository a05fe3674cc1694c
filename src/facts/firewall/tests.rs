use super::*;
use crate::host::fake::Fake;

const NFT: &str = r#"table ip filter { # handle 2
	set banned { # handle 9
		type ipv4_addr
		elements = { 10.0.0.1,
			     10.0.0.2 }
	}

	chain DOCKER-USER { # handle 1
		iifname "eth0" counter packets 3 bytes 180 drop # handle 8
	}

	chain FORWARD { # handle 7
		type filter hook forward priority filter; policy drop;
		counter packets 9 bytes 540 jump DOCKER-USER # handle 18
		iifname "docker0" counter packets 4 bytes 240 accept # handle 12
	}
}
table inet f { # handle 3
	chain late { # handle 1
		type filter hook forward priority filter + 10; policy accept;
		ct state vmap { invalid : drop, established : accept }
		ip saddr @banned drop # handle 3
		iifname { "docker0", "br-*" } oifname "eth0" tcp dport { 80, 443 } drop comment "a } b" # handle 4
	}
}
"#;

const SAVED: &str = "*filter\n:FORWARD DROP [5:300]\n:DOCKER-USER - [0:0]\n[9:540] -A FORWARD -j DOCKER-USER\n\
    [4:240] -A FORWARD -i docker0 -j ACCEPT\n[3:180] -A DOCKER-USER -i eth0 -j DROP\nCOMMIT\n";

/// A machine on which nft, and iptables of the `nf_tables` kind, print this.
fn machine(nft: &str, saved: &str, legacy: &str) -> Fake {
    Fake::new()
        .variable("PATH", "/usr/sbin")
        .program("/usr/sbin/nft -a -t list ruleset", 0, nft)
        .program("/usr/sbin/iptables-save -c", 0, saved)
        .program("/usr/sbin/iptables-save --version", 0, "iptables-save v1.8.9 (nf_tables)")
        .program("/usr/sbin/iptables-legacy-save -c", 0, legacy)
}

fn read(nft: &str, saved: &str, legacy: &str) -> Firewall {
    let firewall = Firewall::read(&machine(nft, saved, legacy));
    assert_eq!(firewall.unread, [] as [String; 0]);
    firewall
}

/// From a container to the outside.
fn out(port: u16) -> Packet {
    Packet {
        inputs: vec!["docker0".into()],
        outputs: vec!["eth0".into()],
        sources: vec!["172.17.0.2".parse().unwrap()],
        targets: vec!["10.1.1.1".parse().unwrap()],
        target_port: Some(port),
        ..Packet::new(Way::Through, false)
    }
}

fn commands(firewall: &Firewall, suspects: &[Suspect]) -> Vec<String> {
    suspects.iter().map(|suspect| firewall.remover.command(suspect)).collect()
}

#[test]
fn listing_and_saved_rules_are_one_chain_in_the_words_of_iptables() {
    let firewall = read(NFT, SAVED, "");
    let names: Vec<_> = firewall.chains.iter().map(|chain| (chain.back_end, chain.name.as_str())).collect();
    assert_eq!(
        names,
        [(BackEnd::IptablesNft, "DOCKER-USER"), (BackEnd::IptablesNft, "FORWARD"), (BackEnd::Nft, "late")]
    );
    let rule = &firewall.chains[0].rules[0];
    assert_eq!(
        (rule.text.as_str(), rule.handle, rule.packets),
        ("-A DOCKER-USER -i eth0 -j DROP", Some(8), Some(3))
    );
    let base = firewall.chains[1].base.as_ref().unwrap();
    assert_eq!((base.hook, base.drops, base.packets), (Hook::Forward, true, Some(5)));
    let late = &firewall.chains[2];
    assert_eq!(late.base.as_ref().unwrap().priority, 10);
    assert_eq!(late.rules.len(), 2);
    assert_eq!(
        late.rules[1].text,
        r#"iifname { "docker0", "br-*" } oifname "eth0" tcp dport { 80, 443 } drop comment "a } b""#
    );
}

#[test]
fn rule_whose_counter_grew_is_named_before_what_only_matches() {
    let before = read(NFT, SAVED, "");
    let (nft, saved) = (NFT.replace("packets 3", "packets 5"), SAVED.replace("[3:180]", "[5:300]"));
    // The jump that leads there is met as well.
    let (nft, saved) = (nft.replace("packets 9", "packets 11"), saved.replace("[9:540]", "[11:660]"));
    let after = read(&nft, &saved, "");
    let answer = out(443).answer();
    let named = after.droppers(&before, &answer);
    assert_eq!(named[0].packets, Some((3, 5)));
    assert_eq!(commands(&after, &named), ["iptables -D DOCKER-USER -i eth0 -j DROP"]);
    // The packets that leave do not come by eth0: that rule did not drop them.
    let open = after.droppers(&before, &out(443));
    assert_eq!(commands(&after, &open), ["nft delete rule inet f late handle 4"]);
    assert!(!open[0].is_counted());
    // Only the set that is not read may drop this one.
    let open = after.droppers(&before, &out(22));
    assert_eq!(commands(&after, &open), ["nft delete rule inet f late handle 3"]);
}

#[test]
fn policy_drops_where_its_counter_grew() {
    let nft = NFT.replace("\t\tiifname \"docker0\" counter packets 4 bytes 240 accept # handle 12\n", "");
    let saved = SAVED.replace("[4:240] -A FORWARD -i docker0 -j ACCEPT\n", "");
    let (before, after) = (read(&nft, &saved, ""), read(&nft, &saved.replace("[5:300]", "[7:420]"), ""));
    let named = after.droppers(&before, &out(22));
    assert_eq!(commands(&after, &named), ["iptables -P FORWARD ACCEPT"]);
    assert_eq!(named[0].packets, Some((5, 7)));
}

#[test]
fn everything_that_drops_for_certain_is_found_one_after_the_other() {
    let legacy = "*mangle\n:FORWARD ACCEPT [0:0]\n[0:0] -A FORWARD -i docker0 -m length --length 5 -j DROP\n\
        [0:0] -A FORWARD ! -i lo -j DROP\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\nCOMMIT\n";
    let firewall =
        read("", "*filter\n:FORWARD ACCEPT [0:0]\n[0:0] -A FORWARD -i docker0 -j DROP\nCOMMIT\n", legacy);
    let named = firewall.certain_droppers(&out(80), &[]);
    assert_eq!(
        commands(&firewall, &named),
        [
            "iptables-legacy -t mangle -D FORWARD ! -i lo -j DROP",
            "iptables -D FORWARD -i docker0 -j DROP",
            "iptables-legacy -P FORWARD ACCEPT"
        ]
    );
}

#[test]
fn what_may_be_accepted_before_is_not_dropped_for_certain() {
    for accepts in [
        "-s 172.17.0.0/16",
        "-m mark --mark 1",
        "-m conntrack --ctstate NEW",
        "-p tcp -m multiport --dports 80,443",
    ] {
        let saved = format!(
            "*filter\n:FORWARD DROP [0:0]\n[0:0] -A FORWARD {accepts} -j ACCEPT\n[0:0] -A FORWARD -j DROP\nCOMMIT\n"
        );
        assert_eq!(read("", &saved, "").certain_droppers(&out(80), &[]), [], "{accepts}");
    }
    for other in [
        "-s 172.18.0.0/16",
        "! -i docker0",
        "-p udp",
        "-m conntrack --ctstate RELATED,ESTABLISHED",
        "-p tcp -m tcp --dport 81:90",
    ] {
        let saved = format!(
            "*filter\n:FORWARD ACCEPT [0:0]\n[0:0] -A FORWARD {other} -j ACCEPT\n[0:0] -A FORWARD -j DROP\nCOMMIT\n"
        );
        assert_eq!(read("", &saved, "").certain_droppers(&out(80), &[]).len(), 1, "{other}");
    }
}

#[test]
fn rules_of_the_other_version_of_ip_do_not_count() {
    let six = Fake::new().variable("PATH", "/usr/sbin").program(
        "/usr/sbin/ip6tables-save -c",
        0,
        "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n",
    );
    let firewall = Firewall::read(&six);
    assert_eq!(firewall.certain_droppers(&out(80), &[]), []);
    let v6 = Packet::new(Way::Through, true);
    assert_eq!(firewall.certain_droppers(&v6, &[]).len(), 1);
}

#[test]
fn masquerade_is_found_where_it_may_match() {
    let nat = |rule: &str| {
        read("", &format!("*nat\n:POSTROUTING ACCEPT [0:0]\n[0:0] -A POSTROUTING {rule}\nCOMMIT\n"), "")
    };
    assert!(nat("-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE").translates(&out(80)));
    assert!(!nat("-s 172.18.0.0/16 ! -o docker0 -j MASQUERADE").translates(&out(80)));
    assert!(!nat("-j ACCEPT").translates(&out(80)));
}

#[test]
fn what_cannot_be_read_is_said() {
    let none = Firewall::read(&Fake::new().variable("PATH", "/usr/sbin"));
    assert_eq!(none.unread, ["the rules cannot be read: neither nft nor iptables-save is in PATH"]);
    let failing = machine(NFT, SAVED, "").program("/usr/sbin/iptables-legacy-save -c", 1, "");
    assert_eq!(Firewall::read(&failing).unread.len(), 1);
}

//! Rules of firewalls: each chain and table, both back ends of iptables, and nft.

use super::world::drops;
use crate::harness::{Bookworm, Forky, Outer, Trixie, World, report};

const OUT: &str = "an inner container does not reach this container's gateway";

/// An nft chain at the hook of forwarded packets.
const NFT_CHAIN: &str = "nft add table inet f; nft 'add chain inet f forward { type filter hook forward priority -5; policy accept; }'";

/// A resolver that answers anything with `no such name`, at an address that containers reach.
const RESOLVER: &str = r#"ip addr add 10.77.0.1/32 dev lo; echo nameserver 10.77.0.1 >/etc/resolv.conf
perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Proto=>"udp",LocalAddr=>"10.77.0.1",LocalPort=>53) or die; while($s->recv($q,512)){ $s->send(substr($q,0,2)."\x81\x83".substr($q,4,2)."\0\0\0\0\0\0".substr($q,12)) }' &"#;

drops! {
    docker_user_drops: Forky, "", "", "iptables -I DOCKER-USER -j DROP"
        => "container-outbound-network-unreachable"
        [OUT, "chain DOCKER-USER of the iptables table filter", "iptables (nf_tables)"],
        "iptables -D DOCKER-USER -j DROP";
    docker_user_drops_both_ways: Bookworm, "", "",
        "iptables -I DOCKER-USER -i eth0 -j DROP; iptables -I DOCKER-USER -o eth0 -j DROP"
        => "container-outbound-network-unreachable" [OUT, "chain DOCKER-USER of the iptables table filter"],
        "iptables -D DOCKER-USER -o eth0 -j DROP; iptables -D DOCKER-USER -i eth0 -j DROP";
    forward_rejects: Trixie, "", "", "iptables -I FORWARD -o eth0 -j REJECT"
        => "container-outbound-network-unreachable"
        [OUT, "chain FORWARD of the iptables table filter", "refuses its connections"],
        "iptables -D FORWARD -o eth0 -j REJECT --reject-with icmp-port-unreachable";
    chain_of_a_user_drops: Forky, "", "",
        "iptables -N MINE; iptables -A MINE -m comment --comment 'not \"mine\"' -j DROP; iptables -I FORWARD -i docker0 -j MINE"
        => "container-outbound-network-unreachable" [OUT, "chain MINE of the iptables table filter"],
        r#"iptables -D MINE -m comment --comment "not \"mine\"" -j DROP"#;
    containers_are_kept_apart: Forky, "", "", "iptables -I FORWARD -i br-+ -j DROP"
        => "container-no-network" ["cannot connect to it", "chain FORWARD of the iptables table filter"],
        "iptables -D FORWARD -i br-+ -j DROP";
    forward_policy_of_nft_drops: Forky, "", "",
        "nft add table inet f; nft 'add chain inet f forward { type filter hook forward priority 0; policy drop; }'"
        => "container-outbound-network-unreachable" [OUT, "the policy of the chain forward of the nft table inet f may drop"],
        "nft chain inet f forward '{ policy accept; }'";
    counted_rule_of_nft_drops: Trixie, NFT_CHAIN, "", "nft add rule inet f forward iifname docker0 counter drop"
        => "container-outbound-network-unreachable"
        [OUT, "chain forward of the nft table inet f drops", "before the attempt"],
        "nft delete rule inet f forward handle 2";
    uncounted_rule_of_nft_drops: Bookworm, NFT_CHAIN, "",
        "nft 'add rule inet f forward iifname \"docker0\" oifname \"eth0\" drop comment \"by hand\"'"
        => "container-outbound-network-unreachable"
        [OUT, "chain forward of the nft table inet f may drop", "not counted"],
        "nft delete rule inet f forward handle 2";
    input_from_containers_drops: Bookworm, "", "", "iptables -A INPUT -i docker0 -j DROP"
        => "container-no-network" ["chain INPUT of the iptables table filter"],
        "iptables -D INPUT -i docker0 -j DROP";
    input_policy_drops: Forky, "", "", "iptables -P INPUT DROP"
        => "container-no-network" ["the policy of the chain INPUT of the iptables table filter drops"],
        "iptables -P INPUT ACCEPT";
    output_to_published_ports_drops: Trixie, "", "",
        "iptables -I OUTPUT -o lo -p tcp --dport 32768:60999 -j DROP"
        => "published-port-unreachable" ["127.0.0.1:", "chain OUTPUT of the iptables table filter"],
        "iptables -D OUTPUT -o lo -p tcp -m tcp --dport 32768:60999 -j DROP";
    output_to_containers_drops: Bookworm, "", "", "iptables -A OUTPUT -o docker0 -j DROP"
        => "container-no-network" ["chain OUTPUT of the iptables table filter"],
        "iptables -D OUTPUT -o docker0 -j DROP";
    mangle_drops: Forky, "", "", "iptables -t mangle -A FORWARD -i docker0 -j DROP"
        => "container-outbound-network-unreachable" [OUT, "chain FORWARD of the iptables table mangle"],
        "iptables -t mangle -D FORWARD -i docker0 -j DROP";
    raw_drops: Bookworm, "", "", "iptables -t raw -I PREROUTING -i docker0 -p tcp -j DROP"
        => "container-no-network" ["chain PREROUTING of the iptables table raw"],
        "iptables -t raw -D PREROUTING -i docker0 -p tcp -j DROP";
    nat_accepts_before_masquerade: Trixie, "", "", "iptables -t nat -I POSTROUTING -j ACCEPT"
        => "container-outbound-network-unreachable" [OUT, "chain POSTROUTING of the iptables table nat"],
        "iptables -t nat -D POSTROUTING -j ACCEPT";
    nat_leads_elsewhere: Forky, "ip link add d0 type veth peer name d1; ip link set d1 up; ip link set d0 up; ip route add 198.18.0.0/15 dev d0", "",
        "iptables -t nat -I PREROUTING -i docker0 -p tcp -j DNAT --to-destination 198.18.0.1"
        => "container-outbound-network-unreachable" [OUT, "chain PREROUTING of the iptables table nat"],
        "iptables -t nat -D PREROUTING -i docker0 -p tcp -j DNAT --to-destination 198.18.0.1";
    masquerade_is_gone: Bookworm, "", "", "iptables -t nat -F POSTROUTING"
        => "container-outbound-network-unreachable" [OUT, "no rule masquerades", "POSTROUTING"],
        "iptables -t nat -A POSTROUTING -s 172.18.0.0/16 ! -o docker0 -j MASQUERADE";
    ip6tables_rejects: Forky, "", "", "ip6tables -I INPUT -i lo -p tcp -j REJECT"
        => "published-port-unreachable" ["[::1]:", "chain INPUT of the ip6tables table filter"],
        "ip6tables -D INPUT -i lo -p tcp -j REJECT --reject-with icmp6-port-unreachable";
    legacy_back_end_drops: Bookworm, "", "", "iptables-legacy -I FORWARD -j DROP"
        => "container-outbound-network-unreachable"
        [OUT, "chain FORWARD of the iptables-legacy table filter", "iptables (legacy)"],
        "iptables-legacy -D FORWARD -j DROP";
    nft_back_end_drops_beside_a_legacy_dockerd: Trixie,
        "update-alternatives --set iptables /usr/sbin/iptables-legacy; update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy",
        "", "iptables-nft -I FORWARD -i docker0 -j DROP"
        => "container-outbound-network-unreachable"
        [OUT, "chain FORWARD of the iptables table filter", "iptables (nf_tables)"],
        "iptables-nft -D FORWARD -i docker0 -j DROP";
    queries_of_containers_drop: Trixie, RESOLVER, "", "iptables -I INPUT -i docker0 -p udp --dport 53 -j DROP"
        => "container-dns-broken" ["10.77.0.1", "chain INPUT of the iptables table filter"],
        "iptables -D INPUT -i docker0 -p udp -m udp --dport 53 -j DROP";
}

#[test]
#[ignore = "needs root and the test bed"]
fn rules_that_cannot_be_read_are_said() {
    let away =
        "mkdir /away; mv /usr/sbin/nft /usr/sbin/ip*tables*-save /away; iptables -I DOCKER-USER -j DROP";
    let seen = World::new(Forky).broken_later(away).play();
    seen.fails("container-network", "container-outbound-network-unreachable");
    let findings = seen.step("container-network")["findings"].to_string();
    assert!(findings.contains("the rules cannot be read: neither nft nor iptables-save"), "{findings}");
}

#[test]
#[ignore = "needs root and the test bed"]
fn rules_that_drop_nothing_of_containers_are_no_problem() {
    let foreign = format!(
        "iptables -P FORWARD DROP; iptables -A FORWARD -j DROP; iptables -A INPUT -i eth0 -p tcp --dport 22 -j DROP; {NFT_CHAIN}
         nft 'add rule inet f forward ct state vmap {{ established : accept, related : accept, invalid : drop }}'
         nft 'add rule inet f forward iifname \"docker0\" accept'; nft 'add rule inet f forward iifname \"br-*\" accept'
         nft 'add rule inet f forward drop'; iptables -t raw -A PREROUTING -s 192.0.2.0/24 -j DROP"
    );
    World::new(Bookworm).broken(&foreign).play().is_sound();
    let seen = World::of_steps(Forky, "network").broken(&foreign).play();
    seen.is_sound();
    assert!(report::warnings(&seen.report).is_empty(), "{:?}", seen.problems());
}

/// `network` alone, after each of these.
#[test]
#[ignore = "needs root and the test bed"]
fn rules_that_will_drop_are_a_warning_of_network() {
    let faults = [
        "nft add table inet f; nft 'add chain inet f forward { type filter hook forward priority 0; policy drop; }'",
        "iptables -t mangle -A FORWARD -o docker0 -j DROP",
        "iptables-legacy -P FORWARD DROP",
        "iptables -N DOCKER-USER; iptables -A DOCKER-USER -i eth0 -j DROP",
    ];
    let named = [
        "the policy of the chain forward of the nft table inet f",
        "the chain FORWARD of the iptables table mangle",
        "the policy of the chain FORWARD of the iptables-legacy table filter",
        "the chain DOCKER-USER of the iptables table filter",
    ];
    let check = "timeout 60 dindcheck verify --only network --repair none --format json";
    let script: String = faults
        .iter()
        .map(|fault| {
            format!("( unshare -n bash -c \"$(cat <<'END'\nip link add eth0 type veth peer name e1; ip link set e1 up; ip addr add 10.5.0.2/24 dev eth0; ip link set eth0 up; ip route add default via 10.5.0.1; {fault}; {check}; echo @@\nEND\n)\" ) 2>/dev/null\n")
        })
        .collect();
    let played = Outer::new(Forky).play(&script);
    let reports: Vec<&str> =
        played.stdout.split("@@").map(str::trim).filter(|text| !text.is_empty()).collect();
    assert_eq!(reports.len(), faults.len(), "{}", played.said());
    for (text, named) in reports.iter().zip(named) {
        let seen: serde_json::Value = serde_json::from_str(text).expect("a report");
        let warned = report::warnings(&seen);
        let expected = ("network", "container-outbound-network-unreachable");
        assert!(warned.contains(&expected) && text.contains(named), "no `{named}`: {warned:?}");
    }
}

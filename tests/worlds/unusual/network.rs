//! Networks: IPv6 in its forms, what options of dockerd switch off, other bridges and addresses.

use crate::harness::{Bookworm, Forky, Outer, SUITES, Suite, Trixie, each_engine};
use crate::unusual::{Row, play, row};

/// What an option switches off is told as a warning that names it.
const OFF: &[(&str, &str)] = &[("container-network", "container-network-switched-off")];

const IPV6: &[Row] = &[
    row("ipv6_of_the_file").json(r#"{"ipv6": true, "fixed-cidr-v6": "fd00:1::/64"}"#),
    row("ipv6_of_flags_without_rules").args("--ipv6 --fixed-cidr-v6=fd00:2::/80 --ip6tables=false"),
    row("ipv6_with_rules")
        .json(r#"{"ipv6": true, "fixed-cidr-v6": "fd00:1::/64", "ip6tables": true, "experimental": true}"#),
    row("ipv6_without_a_proxy")
        .json(r#"{"ipv6": true, "fixed-cidr-v6": "fd00:1::/64", "userland-proxy": false}"#),
    row("ipv6_of_the_pools").json(r#"{"ipv6": true}"#).of(&[Forky]),
    row("ipv6_switched_off_by_a_sysctl")
        .before("sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
        .after("sysctl -qw net.ipv6.conf.all.disable_ipv6=0"),
    row("ipv6_sockets_for_ipv6_alone")
        .before("sysctl -qw net.ipv6.bindv6only=1")
        .after("sysctl -qw net.ipv6.bindv6only=0"),
    row("ipv6_address_outside")
        .before("ip -6 addr add fd77::1/64 dev eth0 nodad")
        .after("ip -6 addr del fd77::1/64 dev eth0"),
];

const SWITCHED_OFF: &[Row] = &[
    row("no_rules").args("--iptables=false").warns(OFF),
    row("no_rules_and_no_rules_of_ipv6").json(r#"{"iptables": false, "ip6tables": false}"#).warns(OFF),
    row("no_masquerading").json(r#"{"ip-masq": false}"#).warns(OFF),
    row("no_default_network").args("--bridge=none").warns(OFF),
    row("no_rules_and_no_default_network").args("--iptables=false --bridge=none").warns(OFF),
    row("neither_rules_nor_proxy").args("--iptables=false --userland-proxy=false").warns(OFF),
    row("no_proxy").json(r#"{"userland-proxy": false}"#),
    row("no_traffic_between_containers").args("--icc=false"),
    row("no_rules_of_ipv6").json(r#"{"ip6tables": false}"#),
    row("forwarding_left_off")
        .before("sysctl -qw net.ipv4.ip_forward=0")
        .json(r#"{"ip-forward": false}"#)
        .warns(&[
            ("container-network", "container-network-switched-off"),
            ("network", "ip-forward-disabled"),
        ]),
    row("forwarding_left_on_by_somebody_else")
        .before("sysctl -qw net.ipv4.ip_forward=1")
        .args("--ip-forward=false"),
    row("masquerading_by_somebody_else")
        .before("iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE")
        .args("--ip-masq=false")
        .after("iptables -t nat -D POSTROUTING -o eth0 -j MASQUERADE"),
];

const ADDRESSES: &[Row] = &[
    row("ports_on_loopback").json(r#"{"ip": "127.0.0.1"}"#),
    row("smaller_packets").json(r#"{"mtu": 1400}"#),
    row("own_address_of_docker0").json(r#"{"bip": "10.200.0.1/24", "fixed-cidr": "10.200.0.128/25"}"#),
    row("own_pools").json(r#"{"default-address-pools": [{"base": "10.99.0.0/16", "size": 24}]}"#),
    row("bridge_of_another_name")
        .before("ip link add br7 type bridge; ip addr add 10.98.0.1/24 dev br7; ip link set br7 up")
        .json(r#"{"bridge": "br7"}"#)
        .after("ip link del br7"),
    row("docker0_of_an_earlier_daemon")
        .before("ip link add docker0 type bridge; ip addr add 172.30.0.1/16 dev docker0; ip link set docker0 up")
        .after("ip link del docker0 2>/dev/null || true"),
    row("many_name_servers")
        .json(r#"{"dns": ["172.17.0.1", "10.1.2.3", "10.1.2.4"], "dns-opts": ["ndots:2"], "dns-search": ["a.b", "c"]}"#),
    row("network_options").json(r#"{"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}}}"#).of(&[Trixie, Forky]),
    row("direct_routing").json(r#"{"allow-direct-routing": true}"#).of(&[Forky]),
    row("forwarding_dropped_by_default").before("iptables -P FORWARD DROP").after("iptables -P FORWARD ACCEPT"),
    row("more_interfaces_and_routes")
        .before("ip link add d0 type dummy; ip addr add 10.55.0.1/24 dev d0; ip link set d0 up; ip route add 10.56.0.0/16 via 10.55.0.9")
        .after("ip link del d0"),
    row("rules_of_nft_beside")
        .before("nft add table inet mine; nft 'add chain inet mine c { type filter hook input priority 5; }'; nft add rule inet mine c counter")
        .after("nft delete table inet mine"),
];

/// All of them.
pub(super) fn rows() -> Vec<Row> {
    [IPV6, SWITCHED_OFF, ADDRESSES].concat()
}

each_engine! {
    ipv6_in_its_forms: Bookworm, of SUITES;
    what_options_switch_off: Forky, of SUITES;
    other_addresses: Trixie, of SUITES;
    no_iptables_at_all: Forky, of SUITES;
}

fn ipv6_in_its_forms(suite: Suite) {
    play(suite, &Outer::new(suite), IPV6);
}

fn what_options_switch_off(suite: Suite) {
    play(suite, &Outer::new(suite), SWITCHED_OFF);
}

fn other_addresses(suite: Suite) {
    play(suite, &Outer::new(suite), ADDRESSES);
}

/// What the remedy of a missing iptables says.
fn no_iptables_at_all(suite: Suite) {
    let gone = row("no_iptables")
        .before("rm -f /usr/sbin/{iptables,ip6tables}*")
        .args("--iptables=false --bridge=none");
    play(suite, &Outer::new(suite), &[gone.warns(OFF)]);
}

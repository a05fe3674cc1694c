//! What drops without a rule: routes, routing rules, sysctls, an interface that is down, and what is outside.

use super::world::drops;
use crate::harness::{Bookworm, Forky, Trixie};

const OUT: &str = "an inner container does not reach this container's gateway";

/// A network namespace behind two links, with a server that must be reached: its answers come by the other link.
const ROUTER: &str = r"ip netns add r; ip link add v0 type veth peer name p0 netns r; ip link add v1 type veth peer name p1 netns r
for n in 0 1; do ip addr add 10.9.$n.2/24 dev v$n; ip link set v$n up; ip -n r addr add 10.9.$n.1/24 dev p$n; ip -n r link set p$n up; done
ip -n r link set lo up; ip -n r addr add 10.9.9.9/32 dev lo; ip netns exec r sysctl -qw net.ipv4.conf.all.rp_filter=0
ip netns exec r perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Listen=>5,LocalPort=>4321) or die; while($s->accept){}' &
until ip netns exec r ss -Hltn sport = :4321 | grep -q .; do sleep 0.05; done
ip route add 10.9.9.9 via 10.9.0.1; ip -n r route add 10.9.0.2 via 10.9.1.2
ip -n r neigh add 10.9.1.2 lladdr $(cat /sys/class/net/v1/address) dev p1 nud permanent";
const SERVER: &str = "network:\\n  endpoints: [\"10.9.9.9:4321\"]";

drops! {
    strict_reverse_path_filter_of_all: Trixie, ROUTER, SERVER, "sysctl -qw net.ipv4.conf.all.rp_filter=1"
        => "container-outbound-network-unreachable"
        ["10.9.9.9:4321", "net.ipv4.conf.all.rp_filter = 1", "IPReversePathFilter"],
        "sysctl -w net.ipv4.conf.all.rp_filter=2";
    strict_reverse_path_filter_of_an_interface: Forky, ROUTER, SERVER,
        "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.v1.rp_filter=1"
        => "container-outbound-network-unreachable"
        ["10.9.9.9:4321", "net.ipv4.conf.v1.rp_filter = 1", "IPReversePathFilter"],
        "sysctl -w net.ipv4.conf.v1.rp_filter=2";
    outer_firewall: Bookworm, ROUTER, SERVER, "ip netns exec r iptables -I INPUT -p tcp --dport 4321 -j DROP"
        => "container-outbound-network-unreachable"
        ["10.9.9.9:4321", "its packets leave by v0 and no rule here drops them", "\"leaves_by\":\"v0\""],
        "permit tcp 10.9.9.9:4321 outside of this container, in the firewall behind v0 (on a Docker host: `iptables -S DOCKER-USER`, `nft list ruleset`), or start what should answer there",
        mended by "ip netns exec r iptables -D INPUT -p tcp --dport 4321 -j DROP";
    blackhole_in_another_table: Bookworm, "", "",
        "ip route add blackhole 172.17.0.0/16 table 100; ip rule add from 172.18.0.0/16 lookup 100 pref 50"
        => "container-outbound-network-unreachable" [OUT, "the route `blackhole 172.17.0.0/16 table 100`"],
        "ip -4 route del blackhole 172.17.0.0/16 table 100";
    routing_rule_prohibits: Trixie, "", "", "ip rule add iif docker0 pref 60 prohibit"
        => "container-outbound-network-unreachable" [OUT, "the routing rule `from all iif docker0 prohibit`"],
        "ip -4 rule del pref 60";
    forwarding_is_off: Bookworm, "", "", "sysctl -qw net.ipv4.ip_forward=0"
        => "container-outbound-network-unreachable" [OUT, "IPv4 forwarding is off"],
        "sysctl -w net.ipv4.ip_forward=1";
    bridge_is_down: Trixie, "", "", "ip link set docker0 down"
        => "container-no-network" ["the interface docker0 is down"],
        "ip link set docker0 up";
}

//! Networks that are broken in one place each.

use crate::harness::{Forky, SUITES, Trixie, World, faults};

/// A proxy is where PATH, or Docker's own directory, has it.
const NO_PROXY: &str = "mv $(which docker-proxy) /tmp/; ls /usr/libexec/docker/docker-proxy 2>/dev/null | xargs -r -I{} mv {} /tmp/";
const NO_WAY: &str = "sysctl -qw net.ipv4.ip_forward=0";

faults! {
    docker0_removed: SUITES, |w| w.broken_later("ip link del docker0")
        => fails "container-run" "docker0-bridge-missing";
    docker0_down: &[Trixie], |w| w.broken_later("ip link set docker0 down")
        => fails "container-network" "container-no-network";
    docker0_without_address: &[Trixie], |w| w.broken_later("ip addr flush dev docker0")
        => fails "container-network" "container-no-network";
    iptables_chains_flushed: SUITES,
        |w| w.broken_later("iptables -t nat -F; iptables -t nat -X; iptables -F; iptables -X")
        => fails "container-network" "docker-iptables-chains-flushed";
    published_ports_dropped: SUITES,
        |w| w.broken_later("iptables -I OUTPUT -o lo -p tcp --syn --dport 32768:60999 -j DROP")
        => fails "container-network" "published-port-unreachable";
    output_to_docker0_dropped: &[Forky], |w| w.broken_later("iptables -I OUTPUT -o docker0 -j DROP")
        => fails "container-network" "container-no-network";
    docker_proxy_missing: SUITES, |w| w.broken_later(NO_PROXY)
        => fails "container-network" "docker-proxy-program-missing";
    outer_mtu_below_the_bridge: SUITES, |w| w.broken("ip link set eth0 mtu 1400")
        => warns "container-network" "mtu-mismatch";
    large_packets_dropped: &[Trixie],
        |w| w.broken_later("iptables -I FORWARD -m length --length 1401:65535 -j DROP")
        => fails "container-network" "mtu-mismatch";
    forwarding_off: &[Trixie], |w| w.broken_later(NO_WAY)
        => fails "container-network" "container-outbound-network-unreachable";
    masquerade_rules_flushed: &[Trixie], |w| w.broken_later("iptables -t nat -F POSTROUTING")
        => fails "container-network" "container-outbound-network-unreachable";
    forward_to_outside_dropped: &[Trixie], |w| w.broken_later("iptables -I FORWARD -o eth0 -j DROP")
        => fails "container-network" "container-outbound-network-unreachable";
    // dockerd leaves loopback addresses out and gives public resolvers instead, which are not reached here.
    resolver_on_loopback_only: &[Trixie], |w| w.broken(&resolver("127.0.0.1"))
        => fails "container-network" "container-dns-broken";
    required_name_unknown: &[Trixie],
        |w| w.broken(&here()).profile("network:\n  names: [nowhere.example]")
        => fails "container-network" "container-dns-broken";
    required_endpoint_closed: &[Trixie], |w| w.profile("network:\n  endpoints: ['172.17.0.1:9']")
        => fails "container-network" "container-outbound-network-unreachable";
    address_pool_used_up: SUITES, |w| w.options("-- --default-address-pool base=10.99.0.0/24,size=24")
        => fails "container-network" "no-free-address-pool";
}

#[test]
#[ignore = "needs root and the test bed"]
fn mtu_given_to_dockerd_is_no_mismatch() {
    let seen = World::new(Trixie).broken("ip link set eth0 mtu 1400").options("-- --mtu 1400").play();
    seen.is_sound();
    seen.passes("container-network");
}

#[test]
#[ignore = "needs root and the test bed"]
fn container_without_a_way_out_is_sound() {
    let world = World::new(Trixie).docker(&["-v", "/var/lib/docker", "--network", "none"]);
    let seen = world.play();
    seen.is_sound();
    assert_eq!(seen.step("container-network")["outcome"], "passed", "{:#}", seen.step("container-network"));
    let dropped =
        World::new(Trixie).broken("iptables -I OUTPUT -o eth0 -j DROP; iptables -I FORWARD -o eth0 -j DROP");
    dropped.play().within(120).is_sound();
}

/// A resolver at an address of this container that answers anything with `no such name`.
fn resolver(address: &str) -> String {
    format!(
        "perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Proto=>\"udp\",LocalAddr=>\"{address}\",LocalPort=>53) or die; \
         while($s->recv($q,512)){{ $s->send(substr($q,0,2).\"\\x81\\x83\".substr($q,4,2).\"\\0\\0\\0\\0\\0\\0\".substr($q,12)) }}' &\n\
         echo nameserver {address} >/etc/resolv.conf"
    )
}

/// One at an address that containers reach.
fn here() -> String {
    format!("ip addr add 10.77.0.1/32 dev lo\n{}", resolver("10.77.0.1"))
}

#[test]
#[ignore = "needs root and the test bed"]
fn resolver_that_containers_reach_is_reported() {
    let seen = World::new(Trixie).broken(&here()).play();
    seen.is_sound();
    let findings = seen.step("container-network")["findings"].to_string();
    assert!(findings.contains("the resolver 10.77.0.1 answers"), "{findings}");
}

#[test]
#[ignore = "needs root and the test bed"]
fn open_endpoint_is_reached() {
    let open = "perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Listen=>5,LocalPort=>4321); while($s->accept){}' & listens 4321; ip addr add 10.77.0.1/32 dev lo";
    World::new(Trixie).broken(open).profile("network:\n  endpoints: ['10.77.0.1:4321']").play().is_sound();
}

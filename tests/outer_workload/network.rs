//! Networks that are broken in one place each.

use crate::world::{SUITES, World, faults};

/// A proxy is where PATH, or Docker's own directory, has it.
const NO_PROXY: &str = "mv $(which docker-proxy) /tmp/; ls /usr/libexec/docker/docker-proxy 2>/dev/null | xargs -r -I{} mv {} /tmp/";
const NO_WAY: &str = "sysctl -qw net.ipv4.ip_forward=0";

faults! {
    a_bridge_that_somebody_removed: SUITES, |w| w.broken_later("ip link del docker0")
        => fails "container-run" "docker0-bridge-missing";
    a_bridge_that_is_down: ["trixie"], |w| w.broken_later("ip link set docker0 down")
        => fails "container-network" "container-no-network";
    a_bridge_without_its_address: ["trixie"], |w| w.broken_later("ip addr flush dev docker0")
        => fails "container-network" "container-no-network";
    chains_that_somebody_flushed: SUITES,
        |w| w.broken_later("iptables -t nat -F; iptables -t nat -X; iptables -F; iptables -X")
        => fails "container-network" "docker-iptables-chains-flushed";
    a_rule_that_blocks_published_ports: SUITES,
        |w| w.broken_later("iptables -I OUTPUT -o lo -p tcp --syn --dport 32768:60999 -j DROP")
        => fails "container-network" "published-port-unreachable";
    a_rule_that_blocks_the_container: ["forky"], |w| w.broken_later("iptables -I OUTPUT -o docker0 -j DROP")
        => fails "container-network" "container-no-network";
    a_proxy_that_is_gone: SUITES, |w| w.broken_later(NO_PROXY)
        => fails "container-network" "docker-proxy-program-missing";
    a_way_out_that_is_narrower_than_the_bridge: SUITES, |w| w.broken("ip link set eth0 mtu 1400")
        => warns "container-network" "mtu-mismatch";
    large_packets_that_vanish: ["trixie"],
        |w| w.broken_later("iptables -I FORWARD -m length --length 1401:65535 -j DROP")
        => fails "container-network" "mtu-mismatch";
    forwarding_that_is_off: ["trixie"], |w| w.broken_later(NO_WAY)
        => fails "container-network" "container-outbound-network-unreachable";
    no_masquerading: ["trixie"], |w| w.broken_later("iptables -t nat -F POSTROUTING")
        => fails "container-network" "container-outbound-network-unreachable";
    a_rule_that_blocks_the_way_out: ["trixie"], |w| w.broken_later("iptables -I FORWARD -o eth0 -j DROP")
        => fails "container-network" "container-outbound-network-unreachable";
    // dockerd leaves loopback addresses out and gives public resolvers instead, which are not reached here.
    a_resolver_that_answers_only_outside: ["trixie"], |w| w.broken(&resolver("127.0.0.1"))
        => fails "container-network" "container-dns-broken";
    a_name_that_nobody_knows: ["trixie"],
        |w| w.broken(&here()).profile("network:\n  names: [nowhere.example]")
        => fails "container-network" "container-dns-broken";
    an_endpoint_that_is_closed: ["trixie"], |w| w.profile("network:\n  endpoints: ['172.17.0.1:9']")
        => fails "container-network" "container-outbound-network-unreachable";
    no_room_for_another_network: SUITES, |w| w.options("-- --default-address-pool base=10.99.0.0/24,size=24")
        => fails "container-network" "no-free-address-pool";
}

#[test]
#[ignore = "needs root and the test bed"]
fn an_mtu_that_was_told_is_no_mismatch() {
    let told = World::new("trixie").broken("ip link set eth0 mtu 1400").options("-- --mtu 1400").play();
    told.holds();
    assert_eq!(told.step("container-network")["outcome"], "passed", "{:#}", told.step("container-network"));
}

#[test]
#[ignore = "needs root and the test bed"]
fn a_world_without_any_way_out_is_sound() {
    let world = World::new("trixie").docker(&["-v", "/var/lib/docker", "--network", "none"]);
    let played = world.play();
    played.holds();
    assert_eq!(
        played.step("container-network")["outcome"],
        "passed",
        "{:#}",
        played.step("container-network")
    );
    let dropped = World::new("trixie")
        .broken("iptables -I OUTPUT -o eth0 -j DROP; iptables -I FORWARD -o eth0 -j DROP");
    dropped.play().within(120).holds();
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
fn a_resolver_that_containers_reach_is_told() {
    let played = World::new("trixie").broken(&here()).play();
    played.holds();
    let findings = played.step("container-network")["findings"].to_string();
    assert!(findings.contains("the resolver 10.77.0.1 answers"), "{findings}");
}

#[test]
#[ignore = "needs root and the test bed"]
fn an_endpoint_that_is_open_is_reached() {
    let open = "perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Listen=>5,LocalPort=>4321); while($s->accept){}' & sleep 0.2; ip addr add 10.77.0.1/32 dev lo";
    World::new("trixie").broken(open).profile("network:\n  endpoints: ['10.77.0.1:4321']").play().holds();
}

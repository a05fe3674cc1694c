//! Networks that are broken in one place each.

use crate::world::{SUITES, World};

#[test]
#[ignore = "needs root and the test bed"]
fn a_bridge_that_somebody_removed() {
    for suite in SUITES {
        let played = World::new(suite).broken_later("ip link del docker0").play();
        played.fails("container-run", "docker0-bridge-missing");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn a_rule_that_blocks_published_ports() {
    for suite in SUITES {
        let rule = "iptables -I OUTPUT -o lo -p tcp --syn --dport 32768:60999 -j DROP";
        World::new(suite).broken_later(rule).play().fails("container-network", "published-port-unreachable");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn a_rule_that_blocks_the_container() {
    let rule = "iptables -I OUTPUT -o docker0 -j DROP";
    World::new("forky").broken_later(rule).play().fails("container-network", "container-no-network");
}

#[test]
#[ignore = "needs root and the test bed"]
fn a_proxy_that_is_gone() {
    let gone = "mv $(which docker-proxy) /tmp/; ls /usr/libexec/docker/docker-proxy 2>/dev/null | xargs -r -I{} mv {} /tmp/";
    for suite in SUITES {
        World::new(suite)
            .broken_later(gone)
            .play()
            .fails("container-network", "docker-proxy-program-missing");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn a_way_out_that_is_narrower_than_the_bridge() {
    for suite in SUITES {
        let played = World::new(suite).broken("ip link set eth0 mtu 1400").play();
        played.warns("container-network", "mtu-mismatch");
    }
    let told = World::new("trixie").broken("ip link set eth0 mtu 1400").options("-- --mtu 1400").play();
    told.holds();
    assert_eq!(told.step("container-network")["outcome"], "passed", "{:#}", told.step("container-network"));
}

#[test]
#[ignore = "needs root and the test bed"]
fn large_packets_that_vanish() {
    let rule = "iptables -I FORWARD -m length --length 1401:65535 -j DROP";
    World::new("trixie").broken_later(rule).play().fails("container-network", "mtu-mismatch");
}

#[test]
#[ignore = "needs root and the test bed"]
fn a_way_out_that_is_closed_inside_only() {
    let cause = "container-outbound-network-unreachable";
    for broken in [
        "sysctl -qw net.ipv4.ip_forward=0",
        "iptables -t nat -F POSTROUTING",
        "iptables -I FORWARD -o eth0 -j DROP",
    ] {
        World::new("trixie").broken_later(broken).play().fails("container-network", cause);
    }
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

#[test]
#[ignore = "needs root and the test bed"]
fn resolvers_that_answer_only_outside() {
    // dockerd leaves loopback addresses out and gives public resolvers instead, which are not reached here.
    World::new("trixie")
        .broken(&resolver("127.0.0.1"))
        .play()
        .fails("container-network", "container-dns-broken");
    let here = format!("ip addr add 10.77.0.1/32 dev lo\n{}", resolver("10.77.0.1"));
    let played = World::new("trixie").broken(&here).play();
    played.holds();
    let findings = played.step("container-network")["findings"].to_string();
    assert!(findings.contains("the resolver 10.77.0.1 answers"), "{findings}");
}

#[test]
#[ignore = "needs root and the test bed"]
fn what_a_profile_names_must_be_reached() {
    let here = format!("ip addr add 10.77.0.1/32 dev lo\n{}", resolver("10.77.0.1"));
    let names = World::new("trixie").broken(&here).profile("network:\n  names: [nowhere.example]");
    names.play().fails("container-network", "container-dns-broken");
    let closed = World::new("trixie").profile("network:\n  endpoints: ['172.17.0.1:9']");
    closed.play().fails("container-network", "container-outbound-network-unreachable");
    let open = "perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Listen=>5,LocalPort=>4321); while($s->accept){}' & sleep 0.2; ip addr add 10.77.0.1/32 dev lo";
    World::new("trixie").broken(open).profile("network:\n  endpoints: ['10.77.0.1:4321']").play().holds();
}

#[test]
#[ignore = "needs root and the test bed"]
fn no_room_for_another_network() {
    for suite in SUITES {
        let pool = "-- --default-address-pool base=10.99.0.0/24,size=24";
        World::new(suite).options(pool).play().fails("container-network", "no-free-address-pool");
    }
}

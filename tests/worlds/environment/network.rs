//! What `network` finds, and that its trial leaves no trace.

use crate::harness::{Forky, Trixie, World};

#[test]
#[ignore = "needs root and the test bed"]
fn container_without_a_network_passes_and_one_in_the_hosts_sees_its_rules() {
    // The bed's engine has no name server to hand on, and a rule of the bed keeps its network from going anywhere.
    let refused: &[&str] = &["container-outbound-network-unreachable"];
    for (network, outcome, causes) in
        [("--network=none", "passed", &[][..]), ("--network=host", "warned", refused)]
    {
        let world = World::of_steps(Trixie, "network").docker(&[network, "--dns=10.0.0.2"]);
        world.play().step_is("network", outcome, causes);
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn network_trial_leaves_no_trace() {
    // iptables-legacy-save itself brings its tables in, so it is not asked.
    let clean = "test ! -e /run/xtables.lock && test \"$(ls /sys/class/net | tr '\\n' ' ')\" = 'eth0 lo ' \
        && test -z \"$(iptables-nft-save; cat /proc/net/ip_tables_names)\" && echo clean";
    for backend in ["true", "update-alternatives --set iptables /usr/sbin/iptables-legacy"] {
        let seen = World::of_steps(Forky, "network").broken(backend).then(clean).play();
        seen.step_is("network", "passed", &[]);
        assert_eq!(seen.answer, "clean", "{backend}");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn network_fault_is_named() {
    for (broken, outcome, cause) in [
        ("iptables-legacy -t nat -A POSTROUTING -j MASQUERADE", "warned", "iptables-backends-mixed"),
        ("rm /usr/sbin/iptables", "failed", "iptables-program-missing"),
        ("ip link set eth0 mtu 1400", "warned", "mtu-mismatch"),
        ("echo nameserver 127.0.0.11 >/etc/resolv.conf", "warned", "embedded-dns-unreachable"),
        ("ip route del default", "warned", "container-outbound-network-unreachable"),
    ] {
        World::of_steps(Trixie, "network").broken(broken).play().step_is("network", outcome, &[cause]);
    }
}

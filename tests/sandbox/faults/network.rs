//! Faults of `network`: the firewall's tables, forwarding, addresses, names.

use nix::libc::{AF_NETLINK, ENOENT, EPROTONOSUPPORT, SYS_getsockopt, SYS_socket};

use crate::fault::{EVERY_ENGINE, FAULT, Fault, IMPATIENT, Repair, WARNING};
use crate::seccomp::Refusal;
use crate::world::Suite;

const NETWORK: Fault = Fault { step: "network", ..FAULT };
const WARNED: Fault = Fault { step: "network", ..WARNING };
const LEGACY: &str = "for t in iptables ip6tables; do ln -sf /usr/sbin/$t-legacy /etc/alternatives/$t; done";

/// A kernel without `nf_tables`: no netlink socket of NETLINK_NETFILTER.
const NO_NF_TABLES: &[Refusal] =
    &[Refusal { call: SYS_socket, with: &[(0, AF_NETLINK as u32), (2, 12)], errno: EPROTONOSUPPORT }];
/// A kernel without the nat table of IPv4: `IPT_SO_GET_INFO` finds none.
const NO_LEGACY_TABLES: &[Refusal] =
    &[Refusal { call: SYS_getsockopt, with: &[(1, 0), (2, 64)], errno: ENOENT }];
/// The same for IPv6.
const NO_LEGACY_IPV6: &[Refusal] =
    &[Refusal { call: SYS_getsockopt, with: &[(1, 41), (2, 64)], errno: ENOENT }];

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "kernel-without-nf-tables",
        refuses: NO_NF_TABLES,
        cause: "kernel-lacks-nf-tables",
        suites: &[Suite::Trixie, Suite::Forky],
        ..NETWORK
    },
    Fault {
        name: "kernel-without-legacy-tables",
        breaks: LEGACY,
        refuses: NO_LEGACY_TABLES,
        cause: "kernel-lacks-legacy-iptables-nat",
        suites: &[Suite::Trixie, Suite::Forky],
        ..NETWORK
    },
    Fault {
        name: "kernel-without-legacy-ipv6-tables",
        breaks: LEGACY,
        refuses: NO_LEGACY_IPV6,
        cause: "kernel-lacks-ip6tables-nat",
        suites: &[Suite::Forky],
        ..WARNED
    },
    Fault {
        name: "ip-forward-not-writable",
        breaks: "mount --bind /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ip_forward; mount -o remount,bind,ro /proc/sys/net/ipv4/ip_forward",
        cause: "ip-forward-not-writable",
        repair: Repair::Repaired,
        suites: EVERY_ENGINE,
        ..NETWORK
    },
    Fault {
        name: "rules-of-both-kinds",
        breaks: "iptables-legacy -t nat -A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE",
        cause: "iptables-backends-mixed",
        ..WARNED
    },
    Fault {
        name: "xtables-lock-held",
        breaks: concat!(
            "for t in iptables ip6tables; do ln -sf /usr/sbin/$t-legacy /etc/alternatives/$t; done; ",
            "setsid flock /run/xtables.lock sleep 300 >/dev/null 2>&1 & sleep 0.2"
        ),
        profile: IMPATIENT,
        cause: "iptables-resource-busy",
        ..NETWORK
    },
    Fault { name: "outer-mtu-1400", breaks: "ip link set eth0 mtu 1400", cause: "mtu-mismatch", ..WARNED },
    Fault { name: "mtu-given-above-the-outer", dockerd: &["--mtu=9000"], cause: "mtu-mismatch", ..WARNED },
    Fault {
        name: "resolver-on-the-loopback",
        breaks: "echo nameserver 127.0.0.53 >/etc/resolv.conf",
        cause: "resolv-conf-unusable",
        ..WARNED
    },
    Fault { name: "no-resolver", breaks: ": >/etc/resolv.conf", cause: "resolv-conf-unusable", ..WARNED },
    Fault { name: "no-resolv-conf", breaks: "rm /etc/resolv.conf", cause: "resolv-conf-unusable", ..WARNED },
    Fault {
        name: "embedded-resolver-of-the-outer-network",
        breaks: "echo nameserver 127.0.0.11 >/etc/resolv.conf",
        cause: "embedded-dns-unreachable",
        ..WARNED
    },
    Fault {
        name: "bip-is-the-outer-subnet",
        dockerd: &["--bip=172.17.0.9/16"],
        cause: "bridge-subnet-overlaps",
        ..NETWORK
    },
    Fault {
        name: "bip-within-the-outer-subnet",
        dockerd: &["--bip=172.17.9.1/24"],
        cause: "bridge-subnet-overlaps",
        ..WARNED
    },
    Fault {
        name: "the-only-pool-is-taken",
        breaks: "mkdir -p /etc/docker; echo '{\"default-address-pools\": [{\"base\": \"172.17.0.0/16\", \"size\": 16}]}' >/etc/docker/daemon.json",
        cause: "no-free-address-pool",
        suites: EVERY_ENGINE,
        ..NETWORK
    },
    Fault {
        name: "strict-reverse-path-filter",
        breaks: "ip link add other type veth peer name far; ip addr add 192.0.2.1/24 dev other; ip link set other up; ip link set far up; ip route add default via 192.0.2.2 metric 100; for f in all eth0 other; do echo 1 >/proc/sys/net/ipv4/conf/$f/rp_filter; done",
        cause: "rp-filter-asymmetric-route",
        ..WARNED
    },
    Fault {
        name: "bridge-that-is-not-there",
        dockerd: &["--bridge=br9"],
        cause: "docker0-bridge-missing",
        suites: EVERY_ENGINE,
        ..NETWORK
    },
    Fault {
        name: "no-route-out",
        breaks: "ip route del default",
        cause: "container-outbound-network-unreachable",
        ..WARNED
    },
    Fault {
        name: "an-outer-proxy",
        env: &[("HTTPS_PROXY", "http://172.17.0.1:3128")],
        cause: "proxy-required",
        ..WARNED
    },
    Fault {
        name: "ipv6-without-a-subnet",
        dockerd: &["--ipv6"],
        cause: "ipv6-subnet-not-configured",
        suites: &[Suite::Bookworm, Suite::Trixie],
        ..NETWORK
    },
];

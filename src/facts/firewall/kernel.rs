//! What drops packets without a rule: the counters and sysctls of the kernel, and routes.

use std::collections::BTreeMap;
use std::path::Path;

use crate::finding::quoted_text;
use crate::host::SystemReader;

/// Counters of dropped packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drops {
    /// Packets that a reverse path filter dropped (TcpExt `IPReversePathFilter`).
    pub reverse_path: u64,
    /// Packets that had no route when they came (IpExt `InNoRoutes`) or left (Ip `OutNoRoutes`).
    pub no_route: u64,
    /// Packets that were sent on (Ip `ForwDatagrams`).
    pub forwarded: u64,
}

impl Drops {
    /// Reads them; 0 for what is not there.
    pub fn read(host: &dyn SystemReader) -> Self {
        let text = |path: &str| host.read_text(Path::new(path)).unwrap_or_default();
        let (netstat, snmp) = (text("/proc/net/netstat"), text("/proc/net/snmp"));
        let of = |text: &str, group, name| counter(text, group, name).unwrap_or(0);
        Self {
            reverse_path: of(&netstat, "TcpExt:", "IPReversePathFilter"),
            no_route: of(&netstat, "IpExt:", "InNoRoutes") + of(&snmp, "Ip:", "OutNoRoutes"),
            forwarded: of(&snmp, "Ip:", "ForwDatagrams"),
        }
    }
}

/// A counter of a group: the first line of the group has the names, the second one the values.
fn counter(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut rows = text.lines().filter(|line| line.split(' ').next() == Some(group));
    let at = rows.next()?.split_whitespace().position(|known| known == name)?;
    rows.next()?.split_whitespace().nth(at)?.parse().ok()
}

/// Packets that an interface sent and received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Sent.
    pub sent: u64,
    /// Received.
    pub received: u64,
}

impl Traffic {
    /// Those of every interface whose counters can be read.
    pub fn of_all(host: &dyn SystemReader) -> BTreeMap<String, Self> {
        let names = host.list(Path::new("/sys/class/net")).unwrap_or_default();
        let names = names.into_iter().map(|name| name.to_string_lossy().into_owned());
        names.filter_map(|name| Some((name.clone(), Self::of(host, &name)?))).collect()
    }

    fn of(host: &dyn SystemReader, interface: &str) -> Option<Self> {
        let read = |name: &str| {
            let path = format!("/sys/class/net/{interface}/statistics/{name}");
            host.read_line(Path::new(&path)).ok()?.parse().ok()
        };
        Some(Self { sent: read("tx_packets")?, received: read("rx_packets")? })
    }
}

/// Whether an interface is down (`IFF_UP`, netdevice(7)); false where that cannot be read.
pub fn is_down(host: &dyn SystemReader, interface: &str) -> bool {
    let flags = host.read_line(Path::new(&format!("/sys/class/net/{interface}/flags")));
    let flags = flags.ok().and_then(|flags| u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok());
    flags.is_some_and(|flags| flags & 1 == 0)
}

/// The command that sets a sysctl of an interface. A name with a dot (`eth0.5`) needs slashes.
pub fn set_conf(interface: &str, name: &str, value: u32) -> String {
    let path = format!("net/ipv4/conf/{interface}/{name}");
    let path = if interface.contains('.') { path } else { path.replace('/', ".") };
    format!("sysctl -w {}", quoted_text(&path)) + &format!("={value}")
}

/// A sysctl of an interface, below /proc/sys/net/ipv4/conf; `None` where it cannot be read.
pub fn conf(host: &dyn SystemReader, interface: &str, name: &str) -> Option<u32> {
    let path = format!("/proc/sys/net/ipv4/conf/{interface}/{name}");
    host.read_line(Path::new(&path)).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn counters_are_found_by_group_and_name() {
        let host = Fake::new()
            .file(
                "/proc/net/netstat",
                "TcpExt: A IPReversePathFilter B\nTcpExt: 1 7 3\nIpExt: InNoRoutes\nIpExt: 2\n",
            )
            .file("/proc/net/snmp", "Ip: OutNoRoutes ForwDatagrams\nIp: 3 9\nUdp: X\nUdp: 1\n");
        assert_eq!(Drops::read(&host), Drops { reverse_path: 7, no_route: 5, forwarded: 9 });
        assert_eq!(Drops::read(&Fake::new()), Drops::default());
    }
}

//! Where does IPv4 go from here? /proc/net/route, parsed, and the resolvers of /etc/resolv.conf.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::Context;

use super::ipv4::Net;
use crate::host::SystemReader;

/// Where the kernel tells it (net/ipv4/fib_trie.c, `fib_route_seq_show`).
const ROUTE: &str = "/proc/net/route";

/// A route that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Through which interface; `*` for a route that refuses.
    pub device: String,
    /// To where.
    pub to: Net,
    /// By which router; `None` where the network is on the link.
    pub gateway: Option<Ipv4Addr>,
    /// The smaller one wins.
    pub metric: u32,
}

/// The main table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes(pub Vec<Route>);

impl Routes {
    /// Reads them; a kernel without IPv4 has no such file.
    pub fn read(host: &dyn SystemReader) -> anyhow::Result<Self> {
        let text = host.read_if_there(Path::new(ROUTE))?.unwrap_or_default();
        Self::parse(&text).with_context(|| format!("{ROUTE} is not as expected"))
    }

    /// Parses the text; its first line is a heading.
    fn parse(text: &str) -> anyhow::Result<Self> {
        let rows = text.lines().skip(1).filter(|line| !line.trim().is_empty());
        rows.map(|line| row(line).with_context(|| format!("`{}`", line.trim())))
            .filter_map(Result::transpose)
            .collect::<anyhow::Result<_>>()
            .map(Self)
    }

    /// Networks that are reached without a router.
    pub fn on_link(&self) -> impl Iterator<Item = Net> {
        self.0.iter().filter(|route| route.gateway.is_none() && route.to.bits() > 0).map(|route| route.to)
    }

    /// The default routes, the one that is used first.
    pub fn defaults(&self) -> Vec<&Route> {
        let mut defaults: Vec<&Route> = self.0.iter().filter(|route| route.to.bits() == 0).collect();
        defaults.sort_by_key(|route| route.metric);
        defaults
    }
}

/// One row; `None` for a route that is not up. Addresses are hexadecimal in the machine's byte order.
fn row(line: &str) -> anyhow::Result<Option<Route>> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [device, to, gateway, flags, _, _, metric, mask, ..] = fields.as_slice() else {
        anyhow::bail!("fewer than 8 fields");
    };
    let address = |hex: &str| -> anyhow::Result<Ipv4Addr> {
        Ok(Ipv4Addr::from(u32::from_str_radix(hex, 16)?.to_ne_bytes()))
    };
    if u32::from_str_radix(flags, 16)? & 1 == 0 {
        return Ok(None);
    }
    let gateway = address(gateway)?;
    Ok(Some(Route {
        device: (*device).to_owned(),
        to: Net::new(address(to)?, u8::try_from(u32::from(address(mask)?).count_ones())?),
        gateway: (!gateway.is_unspecified()).then_some(gateway),
        metric: metric.parse()?,
    }))
}

/// The addresses after `nameserver` (resolv.conf(5)); what is no address is left out, as libnetwork does.
pub fn nameservers(text: &str) -> Vec<IpAddr> {
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.split('%').next()?.parse().ok()).flatten()
    });
    servers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth1\t00000000\t010012AC\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
        eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0   \n\
        eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
        eth9\t00000A0A\t00000000\t0000\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";

    #[test]
    fn reads_routes_that_are_up() {
        let routes = Routes::parse(SAMPLE).unwrap();
        assert_eq!(routes.on_link().map(|net| net.to_string()).collect::<Vec<_>>(), ["172.17.0.0/16"]);
        let defaults = routes.defaults();
        assert_eq!(defaults.len(), 2);
        assert_eq!(
            (defaults[0].device.as_str(), defaults[0].gateway),
            ("eth0", Some([172, 17, 0, 1].into()))
        );
    }

    #[test]
    fn no_route_is_no_error_and_junk_is() {
        assert_eq!(Routes::parse("").unwrap(), Routes::default());
        assert!(Routes::parse("Iface\nnonsense\n").is_err());
        assert!(Routes::parse("Iface\neth0 zz 0 1 0 0 0 0 0 0 0\n").is_err());
    }

    #[test]
    fn reads_resolvers() {
        let text =
            "# x\nsearch a\nnameserver 127.0.0.11\n nameserver fe80::1%eth0\nnameserver\nnameserver x\n";
        let expected: [IpAddr; 2] = ["127.0.0.11".parse().unwrap(), "fe80::1".parse().unwrap()];
        assert_eq!(nameservers(text), expected);
    }
}

//! IPv4 routes from /proc/net/route, and name servers from /etc/resolv.conf.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::Context;

use super::ipv4::Net;
use crate::host::SystemReader;

/// The main routing table (net/ipv4/fib_trie.c, `fib_route_seq_show`).
const ROUTE: &str = "/proc/net/route";

/// A route that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The interface; `*` for a route that rejects.
    pub device: String,
    /// The destination.
    pub to: Net,
    /// The gateway; `None` where the destination is on the link.
    pub gateway: Option<Ipv4Addr>,
    /// The route with the smaller metric is preferred.
    pub metric: u32,
}

/// The routes of the main table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes(pub Vec<Route>);

impl Routes {
    /// Reads them; none where the file is missing, as in a kernel without IPv4. An error where a row is malformed.
    pub fn read(host: &dyn SystemReader) -> anyhow::Result<Self> {
        let text = host.read_if_there(Path::new(ROUTE))?.unwrap_or_default();
        Self::parse(&text).with_context(|| format!("{ROUTE} is not as expected"))
    }

    /// Parses the table; its first line is a heading.
    fn parse(text: &str) -> anyhow::Result<Self> {
        let rows = text.lines().skip(1).filter(|line| !line.trim().is_empty());
        rows.map(|line| row(line).with_context(|| format!("`{}`", line.trim())))
            .filter_map(Result::transpose)
            .collect::<anyhow::Result<_>>()
            .map(Self)
    }

    /// The networks on the link, without the default route.
    pub fn on_link(&self) -> impl Iterator<Item = Net> {
        self.0.iter().filter(|route| route.gateway.is_none() && route.to.bits() > 0).map(|route| route.to)
    }

    /// The default routes, the preferred one first.
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

/// The addresses after `nameserver` (resolv.conf(5)). An invalid address is left out, as libnetwork does.
pub fn nameservers(text: &str) -> Vec<IpAddr> {
    let servers = text.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        (fields.next() == Some("nameserver"))
            .then(|| fields.next()?.split('%').next()?.parse().ok())
            .flatten()
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
    fn routes_that_are_up_are_read() {
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
    fn empty_table_is_no_route_and_malformed_row_an_error() {
        assert_eq!(Routes::parse("").unwrap(), Routes::default());
        assert!(Routes::parse("Iface\nnonsense\n").is_err());
        assert!(Routes::parse("Iface\neth0 zz 0 1 0 0 0 0 0 0 0\n").is_err());
    }

    #[test]
    fn name_servers_are_read_without_zone() {
        let text =
            "# x\nsearch a\nnameserver 127.0.0.11\n nameserver fe80::1%eth0\nnameserver\nnameserver x\n";
        let expected: [IpAddr; 2] = ["127.0.0.11".parse().unwrap(), "fe80::1".parse().unwrap()];
        assert_eq!(nameservers(text), expected);
    }
}

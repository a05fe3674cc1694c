//! IPv4 networks: [`ipnet::Ipv4Net`] without host bits, as routes and address pools have them.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// A network: base address and prefix length. Host bits are always zero, so that two equal networks compare as equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net(Ipv4Net);

impl Net {
    /// The network with a prefix of `bits` bits that holds `address`; a prefix above 32 counts as 32.
    pub fn new(address: Ipv4Addr, bits: u8) -> Self {
        Self(Ipv4Net::new_assert(address, bits.min(32)).trunc())
    }

    /// Parses `172.17.0.1/16`, the notation of daemon.json; host bits are dropped.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(|net: Ipv4Net| Self(net.trunc()))
    }

    /// The prefix length, 0 to 32.
    pub fn bits(self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether an address lies in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.0.contains(&other.0) || other.0.contains(&self.0)
    }

    /// Whether an address lies in the network.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        self.0.contains(&address)
    }

    /// The subnets with a prefix of `bits` bits, in ascending order; the network itself where it is not larger.
    pub fn subnets(self, bits: u8) -> impl Iterator<Item = Self> {
        let bits = bits.clamp(self.bits(), 32);
        self.0.subnets(bits).into_iter().flatten().map(Self)
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        Net::parse(text).unwrap()
    }

    #[test]
    fn network_is_parsed_and_printed_without_host_bits() {
        assert_eq!(net("172.17.0.1/16").to_string(), "172.17.0.0/16");
        assert_eq!(Net::new(Ipv4Addr::new(10, 0, 0, 7), 24), net("10.0.0.0/24"));
        assert_eq!(Net::new(Ipv4Addr::new(10, 0, 0, 7), 99).to_string(), "10.0.0.7/32");
    }

    #[test]
    fn invalid_networks_are_refused() {
        for bad in ["", "172.17.0.1", "172.17.0.1/33", "x/8", "1.2.3/8", "1.2.3.4/-1", "fd00::/64"] {
            assert!(Net::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn networks_overlap_where_one_holds_the_other() {
        assert!(net("172.16.0.0/12").overlaps(net("172.17.0.0/16")));
        assert!(net("172.17.0.0/16").overlaps(net("172.16.0.0/12")));
        assert!(!net("172.17.0.0/16").overlaps(net("172.18.0.0/16")));
        assert!(net("0.0.0.0/0").overlaps(net("255.255.255.255/32")));
        assert!(net("10.0.0.0/8").contains(Ipv4Addr::new(10, 255, 0, 1)));
        assert!(!net("10.0.0.0/8").contains(Ipv4Addr::new(11, 0, 0, 0)));
    }

    #[test]
    fn subnets_come_in_order_and_a_smaller_network_is_its_own() {
        let subnets: Vec<String> = net("172.20.0.0/14").subnets(16).map(|net| net.to_string()).collect();
        assert_eq!(subnets, ["172.20.0.0/16", "172.21.0.0/16", "172.22.0.0/16", "172.23.0.0/16"]);
        assert_eq!(net("10.0.0.0/16").subnets(8).collect::<Vec<_>>(), [net("10.0.0.0/16")]);
        assert_eq!(net("10.0.0.0/16").subnets(99).count(), 1 << 16);
        assert_eq!(net("0.0.0.0/0").subnets(1).last().unwrap().to_string(), "128.0.0.0/1");
    }
}

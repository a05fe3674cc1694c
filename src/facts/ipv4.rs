//! Which IPv4 networks overlap?

use std::fmt;
use std::net::Ipv4Addr;

/// A network: base address and prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    base: u32,
    bits: u8,
}

impl Net {
    /// The network of that length which holds an address; more than 32 bits count as 32.
    pub fn new(address: Ipv4Addr, bits: u8) -> Self {
        let bits = bits.min(32);
        Self { base: u32::from(address) & mask(bits), bits }
    }

    /// `172.17.0.1/16`, as daemon.json has it.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let bits: u8 = bits.parse().ok().filter(|bits| *bits <= 32)?;
        Some(Self::new(address.parse().ok()?, bits))
    }

    /// The prefix length.
    pub fn bits(self) -> u8 {
        self.bits
    }

    /// Whether an address lies in both.
    pub fn overlaps(self, other: Self) -> bool {
        let common = mask(self.bits.min(other.bits));
        self.base & common == other.base & common
    }

    /// Whether an address lies in it.
    pub fn holds(self, address: Ipv4Addr) -> bool {
        self.overlaps(Self::new(address, 32))
    }

    /// Its parts of that length, the first first; itself where it is no larger.
    pub fn parts(self, bits: u8) -> impl Iterator<Item = Self> {
        let bits = bits.clamp(self.bits, 32);
        let count = 1_u64 << (bits - self.bits);
        let base = self.base;
        (0..count).filter_map(move |nth| {
            let step = u32::try_from(nth << (32 - u32::from(bits))).ok()?;
            Some(Self { base: base | step, bits })
        })
    }
}

/// The first `bits` bits set.
fn mask(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        Net::parse(text).unwrap()
    }

    #[test]
    fn reads_and_prints() {
        assert_eq!(net("172.17.0.1/16").to_string(), "172.17.0.0/16");
        for bad in ["", "172.17.0.1", "172.17.0.1/33", "x/8", "1.2.3/8", "1.2.3.4/-1", "fd00::/64"] {
            assert!(Net::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn tells_overlap() {
        assert!(net("172.16.0.0/12").overlaps(net("172.17.0.0/16")));
        assert!(net("172.17.0.0/16").overlaps(net("172.16.0.0/12")));
        assert!(!net("172.17.0.0/16").overlaps(net("172.18.0.0/16")));
        assert!(net("0.0.0.0/0").overlaps(net("255.255.255.255/32")));
        assert!(net("10.0.0.0/8").holds(Ipv4Addr::new(10, 255, 0, 1)));
    }

    #[test]
    fn cuts_into_parts() {
        let parts: Vec<String> = net("172.20.0.0/14").parts(16).map(|part| part.to_string()).collect();
        assert_eq!(parts, ["172.20.0.0/16", "172.21.0.0/16", "172.22.0.0/16", "172.23.0.0/16"]);
        assert_eq!(net("10.0.0.0/16").parts(8).count(), 1);
        assert_eq!(net("0.0.0.0/0").parts(1).last().unwrap().to_string(), "128.0.0.0/1");
    }
}

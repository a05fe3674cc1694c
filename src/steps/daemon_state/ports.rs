//! Finds TCP ports of dockerd that are already in use.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use crate::diagnosis::causes;
use crate::facts::daemon::Settings;
use crate::facts::daemon::hosts::Listen;
use crate::finding::Finding;
use crate::host::SystemReader;

/// State `TCP_LISTEN` (include/net/tcp_states.h).
const LISTEN: &str = "0A";

/// Compares each TCP address with the listening sockets.
pub(super) fn check(host: &dyn SystemReader, settings: &Settings) -> anyhow::Result<Vec<Finding>> {
    let addresses: Vec<_> =
        settings.hosts.iter().filter(|listen| matches!(listen, Listen::Tcp(..))).collect();
    if addresses.is_empty() {
        return Ok(Vec::new());
    }
    let mut taken = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        taken.extend(parse(&host.read_if_there(Path::new(table))?.unwrap_or_default()));
    }
    Ok(addresses.into_iter().filter_map(|listen| judge(listen, &taken)).collect())
}

/// One address.
fn judge(listen: &Listen, taken: &[(IpAddr, u16)]) -> Option<Finding> {
    let Listen::Tcp(host, port) = listen else { return None };
    let own = match host.as_str() {
        "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        host => host.parse().ok(),
    };
    // The wildcard address conflicts with every address; a host name may be any address of this machine.
    let collides = |other: &IpAddr| {
        other.is_unspecified() || own.is_some_and(|own| own.is_unspecified() || own == *other)
    };
    let (other, _) = taken.iter().find(|(other, used)| used == port && collides(other))?;
    let what = format!("dockerd will listen on {listen}, but port {port} is in use at {other}");
    Some(
        Finding::fail(causes::LISTEN_PORT_IN_USE, what)
            .with("host", listen)
            .hint(format!(
                "`ss -ltnp 'sport = :{port}'` shows the program that uses it; or let dockerd listen elsewhere: `--host=tcp://{host}:{}`",
                free_port(*port, taken)
            )),
    )
}

/// The next port on which nothing listens.
fn free_port(port: u16, taken: &[(IpAddr, u16)]) -> u16 {
    let is_free = |candidate: &u16| taken.iter().all(|(_, used)| used != candidate);
    (port.saturating_add(1)..u16::MAX).find(is_free).unwrap_or(port)
}

/// Listening addresses of a table of proc_pid_net(5).
fn parse(table: &str) -> Vec<(IpAddr, u16)> {
    let rows = table.lines().skip(1).filter_map(|row| {
        let mut fields = row.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        let (address, port) = local.split_once(':')?;
        (state == LISTEN).then_some((self::address(address)?, u16::from_str_radix(port, 16).ok()?))
    });
    rows.collect()
}

/// Words of 32 bits, each in the machine's byte order.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            let address = Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?);
            Some(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:0947 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 2 1
   2: 0100007F:0948 0100007F:1234 01 00000000:00000000 00:00000000 00000000 0 0 3 1
";

    #[test]
    fn listening_addresses_are_parsed() {
        assert_eq!(parse(TABLE), [(Ipv4Addr::LOCALHOST.into(), 2375), (Ipv4Addr::UNSPECIFIED.into(), 22)]);
        let any = "sl\n 0: 00000000000000000000000000000000:0947 0:0 0A";
        assert_eq!(parse(any), [(Ipv6Addr::UNSPECIFIED.into(), 2375)]);
    }

    #[test]
    fn address_conflicts_with_itself_and_with_the_wildcard() {
        let collides = |text: &str| judge(&Listen::parse(text, false).unwrap(), &parse(TABLE)).is_some();
        assert!(
            collides("tcp://127.0.0.1:2375")
                && collides("tcp://localhost:2375")
                && collides("tcp://0.0.0.0:2375")
        );
        assert!(
            !collides("tcp://10.0.0.1:2375") && collides("tcp://10.0.0.1:22") && collides("tcp://name:22")
        );
        assert!(!collides("tcp://127.0.0.1:2376"));
    }
}

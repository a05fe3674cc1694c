//! A DNS client for one question over UDP (RFC 1035).
//!
//! The resolver is our own, since the probe is the only file of its image, which has neither a C library with NSS nor its
//! configuration, and each server of /etc/resolv.conf is queried by itself, with a deadline. A resolver crate would bring
//! caching, retries and TCP, which would hide what is looked for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use nix::errno::Errno;

use crate::host::{HostError, HostResult};

/// The ID of the query; each socket sends one.
const ID: [u8; 2] = [0xd1, 0xc4];
/// The record type of an IPv4 address.
const A: u16 = 1;
/// The record type of a name server. The root has some, whatever else a resolver knows.
const NS: u16 = 2;
const INTERNET: u16 = 1;
const HEADER: usize = 12;

/// The answer of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The response code: 0 no error, 2 server failure, 3 no such name, 5 refused.
    pub code: u8,
    /// The IPv4 addresses of its records.
    pub addresses: Vec<Ipv4Addr>,
}

/// Queries `server` for the IPv4 addresses of a name, or for the name servers of the root where the name is empty. Errors:
/// `ETIMEDOUT` after `within`, `EINVAL` for an invalid name, `EPROTO` for a malformed answer.
pub fn ask(server: IpAddr, name: &str, within: Duration) -> HostResult<Answer> {
    let to = SocketAddr::new(server, 53);
    let failed = |op: &'static str| move |error: std::io::Error| HostError::timed(op, to.to_string(), &error);
    let from: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((from, 0)).map_err(failed("open a socket to"))?;
    socket.set_read_timeout(Some(within)).map_err(failed("set the timeout of"))?;
    socket.connect(to).map_err(failed("connect to"))?;
    let question = question(name).ok_or_else(|| HostError::new("resolve the name", name, Errno::EINVAL))?;
    socket.send(&question).map_err(failed("query"))?;
    let mut answer = [0; 1500];
    let length = socket.recv(&mut answer).map_err(failed("receive an answer from"))?;
    parse(&answer[..length])
        .ok_or_else(|| HostError::new("parse the answer of", to.to_string(), Errno::EPROTO))
}

/// The bytes of a query; `None` where the name is invalid.
fn question(name: &str) -> Option<Vec<u8>> {
    let (record_type, name) = if name.is_empty() { (NS, "") } else { (A, name.trim_end_matches('.')) };
    let mut bytes = [&ID[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    for label in name.split('.').filter(|_| !name.is_empty()) {
        bytes.push(u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend([record_type.to_be_bytes(), INTERNET.to_be_bytes()].concat());
    Some(bytes)
}

/// Parses an answer; `None` where it is malformed.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let number = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let is_answer = bytes.get(..2)? == ID && bytes.get(2)? & 0x80 != 0;
    let code = bytes.get(3).filter(|_| is_answer)? & 0xf;
    let mut at = HEADER;
    for _ in 0..number(4)? {
        at = after_name(bytes, at)? + 4;
    }
    let mut addresses = Vec::new();
    for _ in 0..number(6)? {
        let record = after_name(bytes, at)?;
        let length = usize::from(number(record + 8)?);
        let data = bytes.get(record + 10..record + 10 + length)?;
        if number(record)? == A {
            addresses.push(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?));
        }
        at = record + 10 + length;
    }
    Some(Answer { code, addresses })
}

/// The offset after the name at `at`; a compression pointer ends a name.
fn after_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length => at += usize::from(length) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn query_is_encoded_and_invalid_name_is_refused() {
        let bytes = question("a.bc.").unwrap();
        assert_eq!(&bytes[HEADER..], b"\x01a\x02bc\0\0\x01\0\x01");
        assert_eq!(&question("").unwrap()[HEADER..], b"\0\0\x02\0\x01");
        assert!(question("a..b").is_none() && question(&"x".repeat(64)).is_none());
    }

    #[test]
    fn addresses_and_code_of_an_answer_are_parsed() {
        let head = [0xd1, 0xc4, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0];
        let question = b"\x01a\0\0\x01\0\x01";
        let alias = b"\xc0\x0c\0\x05\0\x01\0\0\0\x05\0\x02\xc0\x0c";
        let address = b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x0a\0\0\x07";
        let bytes = [&head[..], question, alias, address].concat();
        assert_eq!(parse(&bytes), Some(Answer { code: 0, addresses: vec![Ipv4Addr::new(10, 0, 0, 7)] }));
        assert_eq!(parse(&[0xd1, 0xc4, 0x81, 0x83, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap().code, 3);
        assert_eq!(parse(&bytes[..20]), None);
    }

    proptest! {
        #[test]
        fn parser_never_panics(tail in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&[&[0xd1, 0xc4, 0x81, 0x80][..], &tail].concat());
        }
    }
}

//! One question to one name server (RFC 1035): over UDP, and over TCP where the answer does not fit.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::NameFailure;
use crate::host::HostError;

/// The largest answer over UDP (RFC 6891 allows more only on request).
const MAX_UDP: usize = 4096;

/// The addresses of a name, IPv4 or else IPv6; none where the server knows no such name or no such address.
pub(super) async fn ask(
    to: SocketAddr,
    name: &str,
    v6: bool,
    within: Duration,
) -> Result<Vec<IpAddr>, NameFailure> {
    let id = u16::try_from(RandomState::new().build_hasher().finish() & 0xffff).unwrap_or_default();
    let question = question(id, name, v6).ok_or(NameFailure::Invalid)?;
    let asked = tokio::time::timeout(within, exchange(to, id, &question)).await;
    let answer = asked.map_err(|_| NameFailure::Silent(to.ip()))?;
    let answer = answer.map_err(|error| {
        NameFailure::Unreachable(to.ip(), HostError::timed("ask", to.to_string(), &error))
    })?;
    let packet =
        Packet::parse(&answer).map_err(|_| NameFailure::Refused(to.ip(), RCODE::FormatError as u16))?;
    match packet.rcode() {
        RCODE::NoError => Ok(packet.answers.iter().filter_map(|record| address(&record.rdata)).collect()),
        RCODE::NameError => Ok(Vec::new()),
        code => Err(NameFailure::Refused(to.ip(), code as u16)),
    }
}

/// The bytes of the question; `None` where the name is invalid.
fn question(id: u16, name: &str, v6: bool) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).ok().filter(|_| !name.is_empty() && name.is_ascii())?;
    let kind = QTYPE::TYPE(if v6 { TYPE::AAAA } else { TYPE::A });
    packet.questions.push(Question::new(name, kind, QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().ok()
}

/// Sends the question, and returns the first answer that has its id.
async fn exchange(to: SocketAddr, id: u16, question: &[u8]) -> io::Result<Vec<u8>> {
    let from: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((from, 0)).await?;
    socket.connect(to).await?;
    socket.send(question).await?;
    let mut answer = vec![0; MAX_UDP];
    loop {
        let length = socket.recv(&mut answer).await?;
        // The flags: an answer, cut off.
        let is_ours = length >= 12 && answer[..2] == id.to_be_bytes() && answer[2] & 0x80 != 0;
        if is_ours && answer[2] & 0x02 != 0 {
            return over_tcp(to, question).await;
        }
        if is_ours {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

/// The same over TCP, where two bytes of length come before each message; so an answer has at most 64 KiB.
async fn over_tcp(to: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(to).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], question].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

fn address(data: &RData<'_>) -> Option<IpAddr> {
    match data {
        RData::A(record) => Some(Ipv4Addr::from(record.address).into()),
        RData::AAAA(record) => Some(Ipv6Addr::from(record.address).into()),
        _ => None,
    }
}

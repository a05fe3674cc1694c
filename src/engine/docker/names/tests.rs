//! A name server on loopback, and the texts of the two files.

use std::net::UdpSocket;
use std::sync::{Arc, Mutex};

use simple_dns::rdata::{A, AAAA, RData};
use simple_dns::{CLASS, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};

use super::*;

/// What the server does with a question.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// It answers, NXDOMAIN where it does not know the name.
    Answers,
    /// It fails (SERVFAIL).
    Fails,
    /// It fails for IPv6 only.
    FailsForIpv6,
    /// It says nothing.
    Silent,
    /// It cuts its answers over UDP, so that they are asked for over TCP.
    Cuts,
}

/// A server that knows these names; its port, and the names that it was asked for.
fn server(manner: Manner, known: &'static [&'static str]) -> (u16, Arc<Mutex<Vec<String>>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    if manner == Manner::Cuts {
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        std::thread::spawn(move || {
            use std::io::{Read, Write};
            for stream in listener.incoming() {
                let (mut stream, mut length) = (stream.unwrap(), [0; 2]);
                stream.read_exact(&mut length).unwrap();
                let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut question).unwrap();
                let answer = answer(&question, Manner::Answers, known);
                let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                stream.write_all(&[&length[..], &answer].concat()).unwrap();
            }
        });
    }
    std::thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            let question = &question[..length];
            log.lock().unwrap().push(Packet::parse(question).unwrap().questions[0].qname.to_string());
            if manner != Manner::Silent {
                // Somebody else's answer comes first.
                let mut other = answer(question, manner, known);
                other[0] ^= 0xff;
                socket.send_to(&other, from).unwrap();
                socket.send_to(&answer(question, manner, known), from).unwrap();
            }
        }
    });
    (port, asked)
}

fn answer(question: &[u8], manner: Manner, known: &[&str]) -> Vec<u8> {
    let mut packet = Packet::parse(question).unwrap().into_reply();
    let asked = packet.questions[0].clone();
    let v6 = asked.qtype == QTYPE::TYPE(TYPE::AAAA);
    let fails = manner == Manner::Fails || manner == Manner::FailsForIpv6 && v6;
    if fails {
        *packet.rcode_mut() = RCODE::ServerFailure;
    } else if manner == Manner::Cuts {
        packet.set_flags(PacketFlag::TRUNCATION);
    } else if known.contains(&asked.qname.to_string().as_str()) {
        let data = if v6 {
            RData::AAAA(AAAA { address: Ipv6Addr::LOCALHOST.into() })
        } else {
            RData::A(A { address: Ipv4Addr::new(127, 0, 0, 9).into() })
        };
        packet.answers.push(ResourceRecord::new(asked.qname.clone(), CLASS::IN, 1, data));
    } else {
        *packet.rcode_mut() = RCODE::NameError;
    }
    packet.build_bytes_vec().unwrap()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// The addresses of a name with these texts, by a server at this port.
fn resolved(hosts: &str, resolv: &str, port: u16, name: &str) -> Result<String, NameError> {
    let names =
        Names::of(hosts.to_owned(), &format!("nameserver 127.0.0.1\noptions timeout:1\n{resolv}"), port);
    let addresses = run(names.resolve(name))?;
    Ok(addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

#[test]
fn addresses_loopback_and_hosts_need_no_server() {
    let (port, asked) = server(Manner::Silent, &[]);
    let hosts = "10.0.0.9\tOther x # y\nnonsense x\n::1 six\n127.0.0.5 localhost\n10.0.0.10 x\n";
    for (name, addresses) in [
        ("10.1.2.3", "10.1.2.3"),
        ("::1", "::1"),
        ("localhost", "127.0.0.1 ::1"),
        ("LOCALHOST.", "127.0.0.1 ::1"),
        ("api.localhost", "127.0.0.1 ::1"),
        ("other", "10.0.0.9"),
        ("X", "10.0.0.9 10.0.0.10"),
        ("six", "::1"),
    ] {
        assert_eq!(resolved(hosts, "", port, name).unwrap(), addresses, "{name}");
    }
    assert!(asked.lock().unwrap().is_empty());
}

#[test]
fn short_name_is_found_in_a_search_domain() {
    let (port, asked) = server(Manner::Answers, &["docker.ci.svc.cluster.local"]);
    let resolv = "search other.local ci.svc.cluster.local\noptions ndots:5\n";
    assert_eq!(resolved("", resolv, port, "docker").unwrap(), "127.0.0.9 ::1");
    assert!(!asked.lock().unwrap().contains(&"docker".to_owned()), "search domains come first");
}

#[test]
fn name_with_dots_or_a_dot_at_its_end_is_asked_for_as_it_is() {
    let (port, asked) = server(Manner::Answers, &["docker.example"]);
    for name in ["docker.example", "docker.example."] {
        assert_eq!(resolved("", "search a.b\n", port, name).unwrap(), "127.0.0.9 ::1");
    }
    assert!(asked.lock().unwrap().iter().all(|name| name == "docker.example"), "{asked:?}");
}

#[test]
fn server_that_does_not_know_ipv6_or_needs_tcp_is_enough() {
    let (port, _) = server(Manner::FailsForIpv6, &["docker"]);
    assert_eq!(resolved("", "", port, "docker").unwrap(), "127.0.0.9");
    let (port, _) = server(Manner::Cuts, &["docker"]);
    assert_eq!(resolved("", "", port, "docker").unwrap(), "127.0.0.9 ::1");
}

#[test]
fn failure_names_the_host_and_the_server() {
    let server_address: IpAddr = Ipv4Addr::LOCALHOST.into();
    let why = |manner, name: &str| resolved("", "search a.b\n", server(manner, &[]).0, name).unwrap_err().why;
    let names = vec!["docker.a.b".to_owned(), "docker".to_owned()];
    assert_eq!(why(Manner::Answers, "docker"), NameFailure::Unknown(server_address, names));
    assert_eq!(why(Manner::Fails, "docker"), NameFailure::Refused(server_address, 2));
    assert_eq!(why(Manner::Silent, "docker"), NameFailure::Silent(server_address));
    assert_eq!(why(Manner::Answers, &"x".repeat(70)), NameFailure::Invalid);
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = resolved("", "", closed, "docker").unwrap_err();
    assert!(matches!(error.why, NameFailure::Unreachable(..)), "{error}");
    for part in ["`docker`", "127.0.0.1", "ECONNREFUSED", "/etc/resolv.conf"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn every_address_of_a_host_is_tried() {
    // Of localhost the IPv4 address comes first, and only the IPv6 one listens.
    let listener = std::net::TcpListener::bind("[::1]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    assert!(run(connect(&format!("localhost:{port}"))).is_ok());
    assert!(run(connect(&format!("[::1]:{port}"))).is_ok());
    drop(listener);
    let refused = run(connect(&format!("localhost:{port}"))).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(run(connect("no port")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}
